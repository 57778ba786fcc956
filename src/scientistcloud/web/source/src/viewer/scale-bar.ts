/** The length of a scale bar: a round number, at most so many pixels long. */

const ROUND = [1, 2, 5];

export interface ScaleBar {
  length: number;
  units: string;
  pixels: number;
}

/**
 * @param unitsPerPixel - what one pixel measures
 * @param most - pixels that the bar may take
 */
export function scaleBar(unitsPerPixel: number, units: string, most: number): ScaleBar | null {
  const longest = unitsPerPixel * most;
  if (!(longest > 0) || !Number.isFinite(longest)) return null;
  const power = 10 ** Math.floor(Math.log10(longest));
  const length = power * (ROUND.findLast((each) => each * power <= longest) ?? 1);
  return { length, units, pixels: length / unitsPerPixel };
}
