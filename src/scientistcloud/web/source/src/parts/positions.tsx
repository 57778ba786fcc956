/** Where the planes cross, and the value that is pointed at. */

import type { Description } from "../viewer/description";
import { placeOf } from "../viewer/description";
import { inWords } from "../viewer/samples";
import type { ViewState } from "../viewer/view-state";
import { number, t } from "../words";

export interface Probe {
  field: string;
  values: (number | bigint)[];
  at: number[];
}

export function Positions({ description, state, onChange }: { description: Description; state: ViewState; onChange: (changes: Partial<ViewState>) => void }) {
  return (
    <fieldset class="positions">
      <legend>{t("position")}</legend>
      {description.dims.map((samples, axis) => {
        const found = description.axes[axis];
        const place = placeOf(found, state.at[axis] ?? 0);
        return (
          <label key={axis}>
            <span>{found?.name || "xyz"[axis]}</span>
            <input
              type="range" min="0" max={samples - 1} value={state.at[axis]}
              onInput={(event) => onChange({ at: state.at.with(axis, Number(event.currentTarget.value)) })}
            />
            <output>{state.at[axis]}{place !== null && ` (${number(place, 4)} ${found?.units ?? ""})`}</output>
          </label>
        );
      })}
    </fieldset>
  );
}

export function ProbeLine({ description, probe }: { description: Description; probe: Probe | null }) {
  if (!probe) return <p class="probe">{t("point_at")}</p>;
  const places = probe.at.map((sample, axis) => {
    const found = description.axes[axis];
    const place = placeOf(found, sample);
    return place === null ? null : `${found?.name} ${number(place, 5)} ${found?.units ?? ""}`;
  });
  const units = description.fields.find(({ name }) => name === probe.field)?.units ?? "";
  return (
    <p class="probe">
      <strong>{probe.values.map(inWords).join(", ")} {units}</strong> [{probe.at.join(", ")}]
      <small> {places.filter(Boolean).join(" · ")}</small>
    </p>
  );
}
