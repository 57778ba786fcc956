/** A second view beside the first, linked to it: another time, or another dataset on the same grid. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { boxFetcher, describe } from "../api/boxes";
import { list, type Dataset } from "../api/datasets";
import type { Description } from "../viewer/description";
import { planesOf } from "../viewer/description";
import { PlaneCanvas } from "../viewer/plane-canvas";
import type { Camera, PlaneView, Progress, Shown } from "../viewer/plane-view";
import { shownOf } from "../viewer/shown";
import { firstView, type Beside, type ViewState } from "../viewer/view-state";
import { t } from "../words";
import { Failure } from "./failure";
import { timeInWords } from "./time-slider";

const MOST_LISTED = 200;

interface BesideProps {
  description: Description;
  state: ViewState;
  beside: Beside;
  onCamera: (camera: Camera) => void;
  onProgress: (told: Progress) => void;
  onView: (view: PlaneView | null) => void;
}

export function BesideView({ description, state, beside, onCamera, onProgress, onView }: BesideProps) {
  const [other, setOther] = useState<Description | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  useEffect(() => {
    if (beside.uuid === description.uuid) setOther(description);
    else describe(beside.uuid).then(setOther, setFailure);
  }, [beside.uuid, description]);
  const fetch = useMemo(() => other && boxFetcher(other), [other]);
  const planes = useMemo(() => other && planesOf(other, within(other, state.at)), [other, state.at]);
  const shown = useMemo(() => (other ? shownBeside(description, other, state, beside) : []), [other, state.channels, state.overlay, beside.time]);
  if (failure !== null) return <Failure error={failure} />;
  if (!other || !fetch || !planes) return <p role="status">{t("loading")}</p>;
  return (
    <PlaneCanvas
      description={other} plane={planes[state.plane] ?? planes[0]!} shown={shown} fetch={fetch} camera={state.camera}
      hasCross={other.dims.length === 3} isDrawing={false} line={null} stride={1}
      onProgress={onProgress} onCamera={onCamera} onView={onView}
      onPick={() => undefined} onHover={() => undefined} onStep={() => undefined} onLine={() => undefined}
    />
  );
}

/** The same channels with the same looks, so that colours can be compared. */
function shownBeside(description: Description, other: Description, state: ViewState, beside: Beside): Shown[] {
  const own = firstView(other);
  const channels = own.channels.map((channel, index) => {
    const same = state.channels.find(({ field }) => field === channel.field) ?? (other === description ? undefined : state.channels[index]);
    return same ? { ...same, field: channel.field } : channel;
  });
  const time = other.timesteps.includes(beside.time) ? beside.time : own.time;
  return shownOf(other, { ...state, channels, time });
}

function within(description: Description, at: number[]): number[] {
  return description.dims.map((samples, axis) => Math.min(samples - 1, at[axis] ?? 0));
}

interface ChooserProps {
  description: Description;
  beside: Beside | null;
  onChange: (beside: Beside | null) => void;
}

/** What is to be seen beside: nothing, another time, another dataset. */
export function BesideChooser({ description, beside, onChange }: ChooserProps) {
  const [others, setOthers] = useState<Dataset[]>([]);
  const load = (): void => {
    list({ status: "done", limit: MOST_LISTED }).then(({ datasets }) => setOthers(datasets), () => setOthers([]));
  };
  const { uuid, timesteps } = description;
  const first = timesteps[0] ?? 0;
  const isOther = beside !== null && beside.uuid !== uuid;
  return (
    <fieldset class="beside">
      <legend>{t("side_by_side")}</legend>
      <label>{t("dataset")}
        <select
          value={beside?.uuid ?? ""} onFocus={load} onPointerDown={() => { if (!others.length) load(); }}
          onChange={(event) => onChange(event.currentTarget.value ? { uuid: event.currentTarget.value, time: beside?.time ?? first } : null)}
        >
          <option value="">{t("none")}</option>
          <option value={uuid}>{t("this_one")}</option>
          {isOther && !others.some((each) => each.uuid === beside.uuid) && <option value={beside.uuid}>{beside.uuid}</option>}
          {others.filter((each) => each.uuid !== uuid).map((each) => <option key={each.uuid} value={each.uuid}>{each.name}</option>)}
        </select>
      </label>
      {beside && timesteps.length > 1 && (
        <label>{t("time")}
          <select value={String(beside.time)} onChange={(event) => onChange({ ...beside, time: Number(event.currentTarget.value) })}>
            {timesteps.slice(0, MOST_LISTED).map((each, index) => <option key={each} value={String(each)}>{timeInWords(description, index)}</option>)}
          </select>
        </label>
      )}
    </fieldset>
  );
}
