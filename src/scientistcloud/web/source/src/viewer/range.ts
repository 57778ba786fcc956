/** From values to places on a palette: pure functions, the same in the shader (`shaders.ts`). */

export type Scale = "linear" | "log" | "symlog";

export interface Range {
  low: number;
  high: number;
}

/** Where a value lies between the ends of a range, 0 to 1 (outside: below 0, above 1). */
export function place(value: number, range: Range, scale: Scale): number {
  const low = bent(range.low, range, scale);
  const high = bent(range.high, range, scale);
  if (high === low) return value < range.low ? 0 : value > range.high ? 1 : 0.5;
  return (bent(value, range, scale) - low) / (high - low);
}

/** The values from which symlog bends: a thousandth of the larger end. */
export function linearPart(range: Range): number {
  return Math.max(Math.abs(range.low), Math.abs(range.high)) / 1000 || 1;
}

/** The smallest value that log can show in this range. */
export function logFloor(range: Range): number {
  return range.low > 0 ? range.low : Math.max(range.high, 1e-30) / 1e6;
}

function bent(value: number, range: Range, scale: Scale): number {
  if (scale === "log") return Math.log(Math.max(value, logFloor(range)));
  if (scale === "symlog") return Math.asinh(value / linearPart(range));
  return value;
}

/** The range that is as far below zero as above. */
export function symmetric(range: Range): Range {
  const end = Math.max(Math.abs(range.low), Math.abs(range.high));
  return { low: -end, high: end };
}

/** The finite values at two percentiles; null where there are none. */
export function percentiles(values: Iterable<number>, low: number, high: number): Range | null {
  const finite = Float64Array.from(values).filter(Number.isFinite).sort();
  if (!finite.length) return null;
  const at = (percent: number): number =>
    finite[Math.round((percent / 100) * (finite.length - 1))] as number;
  return { low: at(low), high: at(high) };
}

/** How many values fall in each of `bins` equal parts of a range. */
export function histogram(values: Iterable<number>, range: Range, bins: number): number[] {
  const counts = new Array<number>(bins).fill(0);
  const width = range.high - range.low || 1;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    const bin = Math.floor(((value - range.low) / width) * bins);
    if (bin >= 0 && bin <= bins) counts[Math.min(bin, bins - 1)]! += 1;
  }
  return counts;
}
