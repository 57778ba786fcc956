/** What the colours mean. */

import type { Description } from "../viewer/description";
import type { Shown } from "../viewer/plane-view";
import { inWords } from "../viewer/samples";
import { PaletteBar } from "./channel-panel";

export function Legend({ shown, description }: { shown: Shown[]; description: Description }) {
  return (
    <ul class="legend">
      {shown.filter(({ layer }) => layer.components < 3).map(({ layer, look }) => {
        const units = description.fields.find(({ name }) => name === layer.field)?.units ?? "";
        return (
          <li key={layer.field}>
            <span dir="auto">{layer.field}</span>
            {look.tint
              ? <span class="palette-bar" style={{ background: `linear-gradient(90deg, #000, rgb(${look.tint.map((each) => each * 255).join(" ")}))` }} />
              : <PaletteBar name={look.palette} />}
            <span>{inWords(look.range.low)} … {inWords(look.range.high)} {units}</span>
          </li>
        );
      })}
    </ul>
  );
}
