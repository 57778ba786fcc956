/** What would be made of an upload, with the choices that its files left open as a form. */

import { useEffect, useState } from "preact/hooks";
import type { Dataset } from "../api/datasets";
import { change, finish, read, retry } from "../api/datasets";
import { inspect, type Inspected, type Look, type Parameters } from "../api/looks";
import { duration, number, size, t } from "../words";
import { Failure } from "./failure";
import { Glimpses } from "./glimpses";
import { SENSORS } from "./sensors";

export function Inspection({ dataset, onStarted }: { dataset: Dataset; onStarted: (dataset: Dataset) => void }) {
  const { uuid } = dataset;
  const [look, setLook] = useState<Look>({ sensor: dataset.sensor ?? "OTHER", parameters: dataset.parameters ?? {} });
  const [found, setFound] = useState<Inspected | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(true);
  const [known, setKnown] = useState<Record<string, string[]>>({});
  useEffect(() => {
    let isWanted = true;
    setBusy(true);
    inspect(uuid, look).then(
      (all) => {
        if (!isWanted) return;
        setFound(all);
        setKnown((former) => withValues(former, all));
        setFailure(null);
        setBusy(false);
      },
      (error: unknown) => { if (isWanted) { setFailure(error); setBusy(false); } },
    );
    return () => { isWanted = false; };
  }, [uuid, look]);
  const choose = (changes: Parameters): void => {
    const all = { ...look.parameters, ...changes };
    setLook({ ...look, parameters: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== "")) });
  };
  const start = (event: SubmitEvent): void => {
    event.preventDefault();
    setBusy(true);
    convert(uuid, look).then(onStarted, (error: unknown) => { setFailure(error); setBusy(false); });
  };
  return (
    <form class="stack" onSubmit={start} data-inspected={!isBusy && found ? found.format : undefined} aria-busy={isBusy}>
      <h3>{t("would_be_made")}</h3>
      {isBusy && <p role="status">{t("looking")}</p>}
      {failure !== null && <Failure error={failure} />}
      {found && failure === null && <Made found={found} />}
      {failure === null && <Glimpses uuid={uuid} look={look} />}
      <label>{t("sensor")}
        <select value={look.sensor} onChange={(event) => setLook({ ...look, sensor: event.currentTarget.value })}>
          {SENSORS.map((each) => <option key={each} value={each}>{each === "OTHER" ? t("found_out") : each}</option>)}
        </select>
      </label>
      {found?.choices.map((choice) => (
        <ChoiceField
          key={choice.parameter} choice={choice} values={known[choice.parameter] ?? []}
          onChange={(value) => choose({ [choice.parameter]: value })}
        />
      ))}
      <Others parameters={look.parameters ?? {}} onChange={(parameters) => setLook({ ...look, parameters })} />
      <button class="main" disabled={isBusy || failure !== null}>{t("convert")}</button>
    </form>
  );
}

interface ChoiceProps {
  choice: Inspected["choices"][number];
  /** All that it was, and could be, since the upload was looked at first. */
  values: string[];
  onChange: (value: string) => void;
}

function ChoiceField({ choice, values, onChange }: ChoiceProps) {
  const { parameter, chosen, rule } = choice;
  return (
    <label data-parameter={parameter}>
      <span dir="auto">{parameter} <small>{rule}</small></span>
      {values.length > 1
        ? <select value={chosen} onChange={(event) => onChange(event.currentTarget.value)}>{values.map((each) => <option key={each}>{each}</option>)}</select>
        : <input value={chosen} onChange={(event) => onChange(event.currentTarget.value)} />}
    </label>
  );
}

/** An answer to a choice has no alternatives any more: those of former looks stay. */
function withValues(former: Record<string, string[]>, found: Inspected): Record<string, string[]> {
  const pairs = found.choices.map(({ parameter, chosen, alternatives }): [string, string[]] =>
    [parameter, [...new Set([...(former[parameter] ?? []), chosen, ...alternatives])]]);
  return { ...former, ...Object.fromEntries(pairs) };
}

/** Every parameter that a format knows, for those who know them too. */
function Others({ parameters, onChange }: { parameters: Parameters; onChange: (parameters: Parameters) => void }) {
  const [problem, setProblem] = useState("");
  const read = (text: string): void => {
    try {
      const all: unknown = text.trim() ? JSON.parse(text) : {};
      if (typeof all !== "object" || all === null || Array.isArray(all)) throw new Error();
      setProblem("");
      onChange(all as Parameters);
    } catch {
      setProblem(t("not_json"));
    }
  };
  return (
    <details>
      <summary>{t("parameters")}</summary>
      <textarea
        class="mono" rows={4} aria-label={t("parameters")} value={JSON.stringify(parameters, null, 1)}
        onChange={(event) => read(event.currentTarget.value)}
      />
      {problem && <p class="error" role="alert">{problem}</p>}
    </details>
  );
}

/** Formats, grids and fields, as a table. */
function Made({ found }: { found: Inspected }) {
  const seconds = found.estimated_seconds;
  return (
    <>
      <p dir="auto">
        <strong>{found.format}</strong>: {t("files_of", { count: number(found.input_count), size: size(found.input_bytes) })}
        {seconds !== null && ` · ${t("about", { time: duration(seconds) })}`}
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("would_be_made")}>
        <table>
          <thead><tr>{[t("grid"), t("spacing"), t("fields"), t("size")].map((each) => <th key={each} scope="col">{each}</th>)}</tr></thead>
          <tbody>
            {found.datasets.map((each) => (
              <tr key={each.path}>
                <td dir="auto">{each.axes.map(({ name }, axis) => `${name} ${number(each.dims[axis] ?? 0)}`).join(" × ")}
                  {each.timesteps > 1 && `, ${t("timesteps", { count: number(each.timesteps) })}`}</td>
                <td dir="auto">{each.axes.map(({ name, spacing, units }) => spacing === null ? "" : `${name} ${number(spacing, 6)} ${units ?? ""}`).filter(Boolean).join(", ") || "–"}</td>
                <td dir="auto">{each.fields.map(({ name, dtype, components, units }) => `${name} ${dtype}${components > 1 ? `[${components}]` : ""} ${units ?? ""}`.trim()).join(", ")}</td>
                <td>{size(each.samples_bytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {found.notes.length > 0 && <ul>{found.notes.map((each) => <li key={each} dir="auto">{each}</li>)}</ul>}
    </>
  );
}

/** Queue it with these choices, also if it was queued meanwhile because nobody did anything. */
async function convert(uuid: string, look: Look): Promise<Dataset> {
  const now = await read(uuid);
  if (now.stage !== "upload") return await retry(uuid, { ...look });
  await change(uuid, { ...look });
  return await finish(uuid);
}
