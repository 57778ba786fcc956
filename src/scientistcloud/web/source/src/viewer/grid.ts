/** The geometry of IDX levels: which samples a resolution has, and where they lie. */

export type Axis = 0 | 1 | 2;

/** A half-open box of samples, x first. */
export interface Box {
  from: number[];
  to: number[];
}

/**
 * The distance between the samples of a resolution along each axis, x first.
 *
 * Resolution H has the spacing 2^(digits of the axis in the bitmask after the H-th).
 */
export function spacings(bitmask: string, resolution: number, axes: number): number[] {
  const found = new Array<number>(axes).fill(1);
  for (const digit of bitmask.slice(1 + resolution)) found[Number(digit)]! *= 2;
  return found;
}

/** The finest resolution there is. */
export function finest(bitmask: string): number {
  return bitmask.length - 1;
}

/** The coarsest resolution whose samples are no further apart than `wanted` along the axes. */
export function resolutionFor(
  bitmask: string,
  axes: number,
  plane: readonly Axis[],
  wanted: number,
): number {
  const last = finest(bitmask);
  for (let resolution = 0; resolution < last; resolution++) {
    const spacing = spacings(bitmask, resolution, axes);
    if (plane.every((axis) => spacing[axis]! <= Math.max(1, wanted))) return resolution;
  }
  return last;
}

/** How many samples of a spacing lie in a half-open range. */
export function countSamples(from: number, to: number, spacing: number): number {
  return Math.max(0, Math.ceil(to / spacing) - Math.ceil(from / spacing));
}

/** The sample that stands for `at` where only every `spacing`-th is there. */
export function snap(at: number, spacing: number): number {
  return Math.floor(at / spacing) * spacing;
}

export function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
