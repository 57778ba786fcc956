/** The middle planes of an upload, straight from its files, before anything is converted. */

import { useEffect, useState } from "preact/hooks";
import { glimpse, type Glimpse, type Look } from "../api/looks";
import { inWords } from "../viewer/samples";
import { number, t } from "../words";

export function Glimpses({ uuid, look }: { uuid: string; look?: Look }) {
  const [found, setFound] = useState<Glimpse | null>(null);
  const asked = JSON.stringify(look ?? {});
  useEffect(() => {
    let isWanted = true;
    // What keeps it from being shown is told by the inspection, or by the conversion.
    glimpse(uuid, JSON.parse(asked) as Look).then((all) => isWanted && setFound(all), () => isWanted && setFound(null));
    return () => { isWanted = false; };
  }, [uuid, asked]);
  if (!found) return null;
  return (
    <section class="glimpses" aria-label={t("first_picture")} data-glimpse={found.planes.length}>
      {found.planes.map((plane, index) => {
        const name = plane.still === null
          ? `${plane.across} · ${plane.down}` : `${plane.across} · ${plane.down}, ${plane.still} = ${number(plane.at ?? 0)}`;
        return (
          <figure key={index}>
            <img src={`data:image/png;base64,${plane.png}`} alt={t("plane", { name })} width={plane.width} height={plane.height} />
            <figcaption dir="auto">{name}{!plane.is_whole && ` (${t("coarse")})`}</figcaption>
          </figure>
        );
      })}
      <small dir="auto">{found.field}: {inWords(found.range[0])} … {inWords(found.range[1])} {found.units ?? ""}</small>
    </section>
  );
}
