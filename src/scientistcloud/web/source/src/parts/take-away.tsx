/** What can be taken along: a link to this view, a picture, samples, lines of Python. */

import { useState } from "preact/hooks";
import { address, linkToken } from "../api/client";
import type { Description } from "../viewer/description";
import { finest } from "../viewer/grid";
import type { PlaneView, Shown } from "../viewer/plane-view";
import { pictureOf } from "../viewer/picture";
import type { ViewState } from "../viewer/view-state";
import { t } from "../words";

interface Props {
  description: Description;
  state: ViewState;
  shown: Shown[];
  view: () => PlaneView | null;
}

export function TakeAway({ description, state, shown, view }: Props) {
  const [told, setTold] = useState("");
  const field = shown[0]?.layer.field ?? description.fields[0]?.name ?? "";
  const ends = seenBox(description, view()).join(",");
  const cut = (format: string): string =>
    address(`datasets/${encodeURIComponent(description.uuid)}/box`, {
      field, time: state.time, box: ends, format, resolution: finest(description.bitmask),
    });
  const copy = (text: string): void => {
    navigator.clipboard.writeText(text).then(() => setTold(t("copied")), () => setTold(text));
  };
  const save = async (): Promise<void> => {
    const found = view();
    if (!found) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await pictureOf(found, description, shown));
    link.download = `${description.name}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  return (
    <section class="take-away" aria-label={t("take_along")}>
      <h2>{t("take_along")}</h2>
      <div class="row">
        <button type="button" onClick={() => copy(location.href)}>{t("copy_link")}</button>
        <button type="button" onClick={() => void save()}>{t("picture")}</button>
        <button type="button" onClick={() => copy(python(description, field, Math.max(0, description.timesteps.indexOf(state.time)), ends))}>{t("python")}</button>
        <a class="button" href={cut("npy")} download={`${description.name}.npy`}>.npy</a>
        <a class="button" href={cut("tiff")} download={`${description.name}.tif`}>TIFF</a>
        <a class="button" href={cut("netcdf")} download={`${description.name}.nc`}>NetCDF</a>
      </div>
      <p role="status" class="told">{told}</p>
    </section>
  );
}

/** The box that is seen, as `x1,x2,y1,y2[,z1,z2]`. */
function seenBox({ dims }: Description, view: PlaneView | null): number[] {
  const box = view?.seen() ?? { from: dims.map(() => 0), to: dims };
  return dims.flatMap((_, axis) => [box.from[axis] as number, box.to[axis] as number]);
}

function python(description: Description, field: string, timestep: number, ends: string): string {
  const pairs = ends.split(",").map(Number);
  const slices = description.dims.map((_, axis) => `slice(${pairs[2 * axis]}, ${pairs[2 * axis + 1]})`).reverse();
  const url = new URL(`d/${description.uuid}/visus.idx`, document.baseURI).href;
  const link = linkToken();
  const token = link ? `, token=${JSON.stringify(link)}` : "";
  return [
    "import scientistcloud",
    "",
    `dataset = scientistcloud.open(${JSON.stringify(url)}${token})`,
    `samples = dataset.read(${JSON.stringify(field)}, ${timestep}, (${slices.join(", ")}))`,
    "",
  ].join("\n");
}
