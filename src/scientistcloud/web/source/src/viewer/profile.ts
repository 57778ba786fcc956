/** The values along a line, at the finest samples that are there. */

import type { PlaneView } from "./plane-view";

const MOST_POINTS = 512;

export function profileOf(view: PlaneView, [from, to]: [[number, number], [number, number]]): number[] {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const points = Math.min(MOST_POINTS, Math.max(2, Math.ceil(length)));
  return Array.from({ length: points }, (_, index) => {
    const share = index / (points - 1);
    const found = view.valueAt([
      from[0] + (to[0] - from[0]) * share,
      from[1] + (to[1] - from[1]) * share,
    ]);
    return Number(found?.values[0] ?? NaN);
  });
}
