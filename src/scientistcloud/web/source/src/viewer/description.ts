/** What a converted dataset is, as the server describes it, and what follows from that. */

import type { Axis } from "./grid";
import type { Grid, Plane } from "./tiles";
import type { Range } from "./range";

export interface FieldDescription {
  name: string;
  dtype: string;
  components: number;
  units: string | null;
  /** Smallest and largest value that is stored. */
  range: [number, number] | null;
  fill_value: number | null;
}

export interface AxisDescription {
  name: string;
  /** Sample i lies at origin + i * spacing. */
  spacing: number | null;
  origin: number | null;
  units: string | null;
}

export interface Description {
  uuid: string;
  name: string;
  generation: string;
  /** x first. */
  dims: number[];
  bitmask: string;
  fields: FieldDescription[];
  /** The numbers of the timesteps, and what they stand for where the source says so. */
  timesteps: number[];
  times: (number | string)[];
  time_units: string | null;
  /** x first. */
  axes: AxisDescription[];
  /** Whether the rows of a picture are stored from the bottom. */
  upwards: boolean;
  /** Further datasets of the same source. */
  others: string[];
}

const UPWARDS = /^(lat|latitude|northing|projection_y|y_utm|alt|altitude|height|elevation)/i;

/** Whether the samples of an axis go up on the screen: to the north and upwards; rows of pictures go down. */
export function goesUp(description: Description, axis: Axis): boolean {
  if (axis === 1 && description.upwards) return true;
  const found = description.axes[axis];
  return found !== undefined && UPWARDS.test(found.name) && (found.spacing ?? 0) > 0;
}

export function gridOf({ bitmask, dims }: Description): Grid {
  return { bitmask, dims };
}

/** The planes through a dataset: one of a picture, three of a volume. */
export function planesOf(description: Description, at: number[]): Plane[] {
  const pairs: [Axis, Axis][] = [[0, 1], [0, 2], [1, 2]];
  const shown = description.dims.length === 2 ? pairs.slice(0, 1) : pairs;
  return shown.map(([across, down]) => ({ across, down, at }));
}

/** How much longer a sample is down than across; 1 where nothing is known. */
export function stretchOf(description: Description, plane: Plane): number {
  const across = description.axes[plane.across];
  const down = description.axes[plane.down];
  if (!across?.spacing || !down?.spacing || across.units !== down.units) return 1;
  return Math.abs(down.spacing / across.spacing);
}

/** The range that a field is shown with at first: bytes of colour as they are, else what is stored. */
export function firstRange(field: FieldDescription): Range {
  if (field.components >= 3 && field.dtype === "uint8") return { low: 0, high: 255 };
  const [low, high] = field.range ?? [0, 1];
  return { low, high };
}

/** Where a sample lies, in the units of the axis; null where nothing is known. */
export function placeOf(axis: AxisDescription | undefined, sample: number): number | null {
  if (!axis || axis.spacing === null) return null;
  return (axis.origin ?? 0) + sample * axis.spacing;
}
