/** What every page but the viewer has around it. */

import type { ComponentChildren } from "preact";
import type { Me } from "../api/datasets";
import { chooseLanguage, language, languages, t } from "../words";

interface Props {
  page: "datasets" | "upload" | "system";
  me: Me | null;
  children: ComponentChildren;
}

export function Frame({ page, me, children }: Props) {
  document.body.dataset.page = page;
  const link = (to: string, name: Props["page"]) => (
    <a href={to} aria-current={page === name ? "page" : undefined}>{t(name)}</a>
  );
  return (
    <>
      <a class="skip" href="#main">{t("skip")}</a>
      <header class="top">
        <a class="brand" href="./"><img src="./icon.svg" alt="" width="26" height="26" /> scientistcloud</a>
        <nav aria-label={t("pages")}>
          {link("./", "datasets")}
          {link("./upload", "upload")}
          {me?.is_admin && link("./system", "system")}
        </nav>
        <span class="faint">{me?.email ?? t("nobody")}</span>
        <label>
          <span class="skip">{t("language")}</span>
          <select
            aria-label={t("language")} value={language()}
            onChange={(event) => { chooseLanguage(event.currentTarget.value); location.reload(); }}
          >
            {languages.map((name) => <option key={name}>{name}</option>)}
          </select>
        </label>
      </header>
      <main class="plain" id="main" tabIndex={-1}>{children}</main>
    </>
  );
}
