/** A line that was drawn: its length, and the values along it. */

import type { Line } from "../viewer/plane-canvas";
import { inWords } from "../viewer/samples";
import { number, t } from "../words";

export interface Measured {
  plane: number;
  line: Line;
  length: number;
  units: string;
  profile: number[];
  level: number;
}

export function LinePanel({ measured, onClose }: { measured: Measured; onClose: () => void }) {
  const { profile, length, units } = measured;
  const finite = profile.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const points = profile
    .map((value, index) => Number.isFinite(value)
      ? `${(100 * index) / Math.max(1, profile.length - 1)},${38 - (36 * (value - low)) / (high - low || 1)}` : "")
    .join(" ");
  return (
    <section class="line" aria-label={t("line")}>
      <p>
        {t("length")}: <strong>{number(length, 4)} {units}</strong>
        <button type="button" onClick={onClose}>{t("close")}</button>
      </p>
      {finite.length > 1 && (
        <figure>
          <svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label={t("profile")}>
            <polyline points={points} />
          </svg>
          <figcaption>{inWords(low)} … {inWords(high)}</figcaption>
        </figure>
      )}
    </section>
  );
}
