/** Palettes: 256 colours each. Perceptual ones first; these are safe for the colour-blind. */

import tables from "../../../../streaming/palettes.json";

const TABLES: Record<string, string> = tables;

export const PALETTES = Object.keys(TABLES);
export const DEFAULT_PALETTE = "viridis";

const known = new Map<string, Uint8Array>();

/** The colours of a palette: 256 x 3 bytes. */
export function paletteColors(name: string): Uint8Array {
  let colors = known.get(name);
  if (!colors) {
    const text = atob(TABLES[name] ?? (TABLES[DEFAULT_PALETTE] as string));
    colors = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    known.set(name, colors);
  }
  return colors;
}

/** Which of the 256 colours a place on the palette has. */
export function colorIndex(place: number): number {
  return Math.min(255, Math.max(0, Math.floor(place * 256)));
}
