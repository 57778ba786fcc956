/** Which tiles a view of a plane needs: pure decisions. */

import { clamp, countSamples, finest, resolutionFor, snap, spacings, type Axis, type Box } from "./grid";

/** Samples along each edge of a tile. */
export const TILE = 512;
/** A picture of at most so many samples along an edge is there first. */
export const COARSE = 128;
/** A plane of at most so many samples is shown at full resolution, however small it is drawn. */
const AFFORDABLE = 1_200_000;

/** A plane through a dataset: two axes across and down, and where the others stand. */
export interface Plane {
  across: Axis;
  down: Axis;
  /** The position along every axis, in samples; those of `across` and `down` do not matter. */
  at: number[];
}

export interface Tile {
  key: string;
  resolution: number;
  box: Box;
  /** Samples across and down. */
  width: number;
  height: number;
}

export interface Grid {
  bitmask: string;
  dims: number[];
}

/** The part of the plane that is seen, in samples of full resolution. */
export interface Window {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/**
 * The resolution that is sharp at a magnification.
 *
 * @param pixels - pixels of the screen for each sample of full resolution
 */
export function sharpResolution(grid: Grid, plane: Plane, window: Window, pixels: number): number {
  const axes = grid.dims.length;
  const wanted = resolutionFor(grid.bitmask, axes, [plane.across, plane.down], 1 / pixels);
  const seen = clip(grid, plane, window);
  const samples = (seen.right - seen.left) * (seen.bottom - seen.top);
  // Only the finest level holds every plane: at a coarser one, a plane nearby is seen.
  return samples <= AFFORDABLE ? finest(grid.bitmask) : wanted;
}

/** The finest resolution of which the whole plane is small. */
export function coarseResolution(grid: Grid, plane: Plane, most = COARSE): number {
  const { bitmask, dims } = grid;
  let found = 0;
  for (let resolution = 0; resolution <= finest(bitmask); resolution++) {
    const spacing = spacings(bitmask, resolution, dims.length);
    const edges = [plane.across, plane.down].map((axis) =>
      countSamples(0, dims[axis] as number, spacing[axis] as number),
    );
    if (Math.max(...edges) > most) break;
    found = resolution;
  }
  return found;
}

/** The tiles of a resolution that cover a window, those in its middle first. */
export function tilesOf(grid: Grid, plane: Plane, resolution: number, window: Window): Tile[] {
  const { dims, bitmask } = grid;
  const spacing = spacings(bitmask, resolution, dims.length);
  const [across, down] = [spacing[plane.across] as number, spacing[plane.down] as number];
  const seen = clip(grid, plane, window);
  if (seen.right <= seen.left || seen.bottom <= seen.top) return [];
  const found: Tile[] = [];
  const [wide, high] = [TILE * across, TILE * down];
  for (let row = Math.floor(seen.top / high); row * high < seen.bottom; row++) {
    for (let column = Math.floor(seen.left / wide); column * wide < seen.right; column++) {
      found.push(tileAt(grid, plane, resolution, spacing, column, row));
    }
  }
  const [x, y] = [(seen.left + seen.right) / 2, (seen.top + seen.bottom) / 2];
  const distance = (tile: Tile): number =>
    Math.hypot(
      ((tile.box.from[plane.across]! + tile.box.to[plane.across]!) / 2 - x) / wide,
      ((tile.box.from[plane.down]! + tile.box.to[plane.down]!) / 2 - y) / high,
    );
  return found.sort((one, other) => distance(one) - distance(other));
}

function tileAt(
  grid: Grid, plane: Plane, resolution: number, spacing: number[], column: number, row: number,
): Tile {
  const { dims } = grid;
  const from = dims.map((_, axis) => snap(plane.at[axis] ?? 0, spacing[axis] as number));
  const to = from.map((at) => at + 1);
  const edges: [Axis, number][] = [[plane.across, column], [plane.down, row]];
  for (const [axis, index] of edges) {
    const edge = TILE * (spacing[axis] as number);
    from[axis] = index * edge;
    to[axis] = Math.min(dims[axis] as number, (index + 1) * edge);
  }
  const still = from.filter((_, axis) => axis !== plane.across && axis !== plane.down);
  const count = (axis: Axis): number =>
    countSamples(from[axis] as number, to[axis] as number, spacing[axis] as number);
  return {
    key: `${plane.across}${plane.down}/${still.join(",")}/${resolution}/${column},${row}`,
    resolution,
    box: { from, to },
    width: count(plane.across),
    height: count(plane.down),
  };
}

function clip(grid: Grid, plane: Plane, window: Window): Window {
  const [wide, high] = [grid.dims[plane.across] as number, grid.dims[plane.down] as number];
  return {
    left: clamp(window.left, 0, wide),
    top: clamp(window.top, 0, high),
    right: clamp(window.right, 0, wide),
    bottom: clamp(window.bottom, 0, high),
  };
}
