/** The words of the page: a file for each language, chosen by the browser's and kept once chosen. */

import de from "./words/de.json";
import en from "./words/en.json";

export type Word = keyof typeof en;

const LANGUAGES: Record<string, Record<Word, string>> = { en, de };
const KEPT = "language";

export const languages = Object.keys(LANGUAGES);

export function language(): string {
  const wished = [localStorage.getItem(KEPT), ...navigator.languages];
  return wished.map((each) => each?.slice(0, 2) ?? "").find((each) => each in LANGUAGES) ?? "en";
}

export function chooseLanguage(name: string): void {
  localStorage.setItem(KEPT, name);
  document.documentElement.lang = name;
}

/** The text of a word; `{name}` in it is replaced. */
export function t(word: Word, values: Record<string, string | number> = {}): string {
  const text = (LANGUAGES[language()] as Record<Word, string>)[word];
  return text.replace(/\{(\w+)\}/g, (all, name: string) => String(values[name] ?? all));
}

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(language(), { maximumFractionDigits: digits }).format(value);
}

const SIZES = ["B", "kB", "MB", "GB", "TB", "PB"];

export function size(bytes: number): string {
  const power = Math.min(SIZES.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${number(bytes / 1000 ** power, power ? 1 : 0)} ${SIZES[power]}`;
}

export function duration(seconds: number): string {
  if (seconds < 90) return `${number(Math.ceil(seconds))} s`;
  if (seconds < 5400) return `${number(Math.round(seconds / 60))} min`;
  return `${number(seconds / 3600, 1)} h`;
}
