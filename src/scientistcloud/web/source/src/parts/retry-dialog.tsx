/** Converting again, with other choices: parameters as the server names them. */

import { useEffect, useState } from "preact/hooks";
import { get } from "../api/client";
import type { Dataset } from "../api/datasets";
import { retry } from "../api/datasets";
import type { Choice } from "../api/looks";
import { t } from "../words";
import { Dialog } from "./dialog";
import { Failure } from "./failure";
import { SENSORS } from "./sensors";


export function RetryDialog({ dataset, onClose, onChanged }: { dataset: Dataset; onClose: () => void; onChanged: (dataset: Dataset) => void }) {
  const [failure, setFailure] = useState<unknown>(null);
  const [choices, setChoices] = useState<Choice[]>([]);
  const former = JSON.stringify(dataset.parameters ?? {}, null, 1);
  const [text, setText] = useState(former === "{}" ? "" : former);
  useEffect(() => {
    get<{ source?: { choices?: Choice[] } }>(`datasets/${encodeURIComponent(dataset.uuid)}/metadata`)
      .then(({ source }) => setChoices(source?.choices ?? []), () => setChoices([]));
  }, [dataset.uuid]);
  const parameters = (): Record<string, unknown> => (text.trim() ? JSON.parse(text) : {}) as Record<string, unknown>;
  const choose = (name: string, value: string): void => {
    try {
      const next = parameters();
      if (value) next[name] = value;
      else delete next[name];
      setText(Object.keys(next).length ? JSON.stringify(next, null, 1) : "");
    } catch (error) {
      setFailure(error);
    }
  };
  const send = (event: SubmitEvent): void => {
    event.preventDefault();
    const sensor = String(new FormData(event.currentTarget as HTMLFormElement).get("sensor") ?? "");
    try {
      retry(dataset.uuid, { parameters: parameters(), ...(sensor && { sensor }) })
        .then((changed) => { onChanged(changed); onClose(); }, setFailure);
    } catch {
      setFailure(new Error(t("not_json")));
    }
  };
  return (
    <Dialog title={t("convert_again")} onClose={onClose}>
      <form onSubmit={send}>
        {choices.map((choice) => (
          <label key={choice.parameter + choice.chosen}>
            {choice.parameter} <small>{choice.rule}</small>
            <select onChange={(event) => choose(choice.parameter, event.currentTarget.value)}>
              <option value="">{choice.chosen}</option>
              {choice.alternatives.map((each) => <option key={each} value={each}>{each}</option>)}
            </select>
          </label>
        ))}
        <label>{t("sensor")}
          <select name="sensor">{["", ...SENSORS].map((each) => <option key={each} value={each}>{each || t("as_it_is")}</option>)}</select>
        </label>
        <label>{t("parameters")}<textarea class="mono" rows={4} value={text} onInput={(event) => setText(event.currentTarget.value)} /></label>
        <button class="main">{t("convert_again")}</button>
        {failure !== null && <Failure error={failure} />}
      </form>
    </Dialog>
  );
}
