/** What the source said of the dataset, and how it was converted. */

import { useState } from "preact/hooks";
import { get } from "../api/client";
import type { Description } from "../viewer/description";
import { t } from "../words";

export function Facts({ description }: { description: Description }) {
  const [metadata, setMetadata] = useState<unknown>(null);
  const load = (event: Event): void => {
    if (!(event.currentTarget as HTMLDetailsElement).open || metadata) return;
    get(`datasets/${encodeURIComponent(description.uuid)}/metadata`).then(setMetadata, (error) => setMetadata({ error: String(error.message) }));
  };
  return (
    <details class="facts" onToggle={load}>
      <summary>{t("metadata")}</summary>
      {metadata === null ? <p role="status">{t("loading")}</p> : <Value value={metadata} depth={0} />}
    </details>
  );
}

const MOST = 200;

function Value({ value, depth }: { value: unknown; depth: number }) {
  if (value === null || typeof value !== "object") return <span dir="auto">{String(value)}</span>;
  if (Array.isArray(value) && value.every((each) => each === null || typeof each !== "object")) {
    return <span dir="auto">{value.slice(0, MOST).join(", ")}</span>;
  }
  const entries = Object.entries(value).slice(0, MOST);
  return (
    <dl class={depth ? "inner" : ""}>
      {entries.map(([name, each]) => (
        <div key={name}>
          <dt dir="auto">{name}</dt>
          <dd><Value value={each} depth={depth + 1} /></dd>
        </div>
      ))}
    </dl>
  );
}
