/** One plane of a dataset on a canvas: panned, zoomed, coarse first, refined as tiles arrive. */

import { clamp, spacings, type Axis, type Box } from "./grid";
import type { Look } from "./painter";
import { Painter } from "./painter";
import { TileStore, type Fetch, type Layer, type LoadedTile } from "./tile-store";
import {
  coarseResolution,
  sharpResolution,
  tilesOf,
  type Grid,
  type Plane,
  type Tile,
  type Window,
} from "./tiles";

/** A layer and how it is shown. */
export interface Shown {
  layer: Layer;
  look: Look;
}

export type Sharpness = "loading" | "coarse" | "sharp";

export interface Progress {
  state: Sharpness;
  /** The resolution that is seen everywhere in the window. */
  resolution: number;
}

/** Where the plane lies on the canvas. */
export interface Camera {
  /** The sample in the middle of the canvas, across and down. */
  x: number;
  y: number;
  /** Pixels of the canvas for each sample across; `stretch` times as many down. */
  zoom: number;
}

export interface Scene {
  grid: Grid;
  plane: Plane;
  shown: Shown[];
  /** Whether sample 0 is at the bottom. */
  upwards: boolean;
  /** How much longer a sample is down than across, in physical units. */
  stretch: number;
  /** Planes that are likely to be asked for next. */
  ahead: Plane[];
}

const MOST_ZOOM = 64;
const MOST_TILES_TO_LOOK_AHEAD = 6;
const EVERYWHERE: Window = { left: 0, top: 0, right: Infinity, bottom: Infinity };

export class PlaneView {
  readonly painter: Painter;
  camera: Camera = { x: 0, y: 0, zoom: 0 };
  private readonly store: TileStore;
  private scene: Scene | null = null;
  private frame = 0;

  constructor(
    readonly canvas: HTMLCanvasElement,
    fetch: Fetch,
    private readonly told: (progress: Progress) => void,
    failed: (error: unknown) => void,
    private readonly painted: () => void = () => undefined,
  ) {
    this.painter = new Painter(canvas);
    this.store = new TileStore(this.painter, fetch, () => this.redraw(), failed);
  }

  /** Show this from now on; what was seen stays until there is something of it. */
  show(scene: Scene): void {
    this.scene = scene;
    if (!this.camera.zoom) this.fit();
    this.redraw();
  }

  /** Bring the whole plane into the canvas. */
  fit(): void {
    if (!this.scene) return;
    const [wide, high] = this.extent();
    const zoom = Math.min(this.canvas.width / wide, this.canvas.height / (high * this.scene.stretch));
    this.camera = { x: wide / 2, y: high / 2, zoom: zoom || 0 };
    this.redraw();
  }

  /** Pan by pixels of the canvas. */
  pan(right: number, down: number): void {
    this.look({
      ...this.camera,
      x: this.camera.x - right / this.camera.zoom,
      y: this.camera.y - (down / this.zoomDown()) * this.direction(),
    });
  }

  /** Magnify about a pixel of the canvas. */
  magnify(factor: number, pixel: [number, number]): void {
    const [x, y] = this.sampleAt(pixel);
    const least = 0.25 * Math.min(this.canvas.width, this.canvas.height) / Math.max(...this.extent());
    const zoom = clamp(this.camera.zoom * factor, Math.min(least, this.camera.zoom), MOST_ZOOM * devicePixelRatio);
    const ratio = this.camera.zoom / zoom;
    this.look({
      zoom,
      x: x + (this.camera.x - x) * ratio,
      y: y + (this.camera.y - y) * ratio,
    });
  }

  /** Look there, never wholly past the data. */
  look(camera: Camera): void {
    const [wide, high] = this.extent();
    this.camera = { ...camera, x: clamp(camera.x, 0, wide), y: clamp(camera.y, 0, high) };
    this.redraw();
  }

  /** Where a pixel of the canvas lies on the plane, in samples (fractions of them, too). */
  sampleAt([right, down]: [number, number]): [number, number] {
    const { camera, canvas } = this;
    return [
      camera.x + (right - canvas.width / 2) / camera.zoom,
      camera.y + ((down - canvas.height / 2) / this.zoomDown()) * this.direction(),
    ];
  }

  /** The pixel of the canvas at which a place on the plane lies. */
  pixelAt([x, y]: [number, number]): [number, number] {
    const { camera, canvas } = this;
    return [
      canvas.width / 2 + (x - camera.x) * camera.zoom,
      canvas.height / 2 + (y - camera.y) * this.zoomDown() * this.direction(),
    ];
  }

  /** The finest samples there are at a place of the plane, with the position of each. */
  valueAt([x, y]: [number, number]): { values: (number | bigint)[]; at: number[] } | null {
    const scene = this.scene;
    const first = scene?.shown[0];
    if (!scene || !first) return null;
    const { grid, plane } = scene;
    for (let resolution = grid.bitmask.length - 1; resolution >= 0; resolution--) {
      const spot: Window = { left: x, top: y, right: x + 1e-6, bottom: y + 1e-6 };
      const [tile] = tilesOf(grid, plane, resolution, spot);
      const found = tile && this.store.get(first.layer, tile);
      if (found) return sampleOf(found, plane, first.layer.components, [x, y]);
    }
    return null;
  }

  /** The samples that are seen of a layer, at the finest level that is there of all of it. */
  samples(index = 0): Iterable<number | bigint> {
    const scene = this.scene;
    const layer = scene?.shown[index]?.layer;
    if (!scene || !layer) return [];
    const found = this.loaded(layer, this.levels(scene)).findLast((tiles) => tiles.every(Boolean));
    return (function* () {
      for (const loaded of found ?? []) if (loaded) yield* loaded.values;
    })();
  }

  /** The plane that is shown. */
  get plane(): Plane | null {
    return this.scene?.plane ?? null;
  }

  /** The part of the dataset that is seen, one sample thick. */
  seen(): Box | null {
    const scene = this.scene;
    if (!scene) return null;
    const { dims } = scene.grid;
    const { across, down, at } = scene.plane;
    const window = this.window();
    const from = dims.map((_, axis) => at[axis] ?? 0);
    const to = from.map((each) => each + 1);
    for (const [axis, one, other] of [[across, window.left, window.right], [down, window.top, window.bottom]] as const) {
      from[axis] = clamp(Math.floor(one), 0, (dims[axis] as number) - 1);
      to[axis] = clamp(Math.ceil(other), (from[axis] as number) + 1, dims[axis] as number);
    }
    return { from, to };
  }

  redraw(): void {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  close(): void {
    cancelAnimationFrame(this.frame);
    this.frame = -1;
    this.store.close();
  }

  /** Ask again for what could not be had. */
  retry(): void {
    this.store.forgive();
    this.redraw();
  }

  private draw(): void {
    this.frame = 0;
    const { scene, canvas } = this;
    if (!scene || !canvas.width || !canvas.height) return;
    if (!this.camera.zoom) this.fit();
    const levels = this.levels(scene);
    this.store.want(this.wishes(scene, levels));
    const layers = scene.shown.map(({ layer }) => this.loaded(layer, levels));
    const best = levels.findLastIndex((_, level) =>
      layers.every((each) => each[level]!.every((tile) => tile !== undefined)),
    );
    // Of a plane of which nothing is there, the picture of the former one stays.
    if (best >= 0) this.paint(scene, layers, best);
    const state = best < 0 ? "loading" : best < levels.length - 1 ? "coarse" : "sharp";
    this.told({ state, resolution: levels[best]?.[0]?.resolution ?? -1 });
    this.painted();
  }

  /** The tiles of each level that is wanted, from a coarse picture of all to the sharp one. */
  private levels(scene: Scene): Tile[][] {
    const { grid, plane } = scene;
    const window = this.window();
    const sharp = sharpResolution(grid, plane, window, this.camera.zoom);
    const coarse = Math.min(coarseResolution(grid, plane), sharp);
    const found = [tilesOf(grid, plane, coarse, EVERYWHERE)];
    if (sharp > coarse) found.push(tilesOf(grid, plane, sharp, window));
    return found;
  }

  /** What to ask for: coarse before sharp, and where that is little, the planes that come next. */
  private wishes(scene: Scene, levels: Tile[][]): [Layer, Tile][] {
    const resolution = levels.at(-1)?.[0]?.resolution ?? 0;
    const ahead = scene.ahead.flatMap((plane) =>
      tilesOf(scene.grid, plane, resolution, this.window()),
    );
    const tiles = levels.flat();
    if (tiles.length <= MOST_TILES_TO_LOOK_AHEAD) tiles.push(...ahead);
    return tiles.flatMap((tile) => scene.shown.map(({ layer }): [Layer, Tile] => [layer, tile]));
  }

  private loaded(layer: Layer, levels: Tile[][]): (LoadedTile | undefined)[][] {
    return levels.map((tiles) => tiles.map((tile) => this.store.get(layer, tile)));
  }

  private paint(scene: Scene, layers: (LoadedTile | undefined)[][][], best: number): void {
    const channels = scene.shown.some(({ look }) => look.tint);
    this.painter.clear(channels, this.rectangle([0, 0], this.extent()));
    scene.shown.forEach(({ look }, index) => {
      // Channels add up, so that each place is painted once; else fine tiles cover coarse ones.
      const levels = channels ? [layers[index]![best]!] : layers[index]!.slice(best);
      for (const loaded of levels.flat()) {
        if (loaded) this.painter.paint(loaded.picture, look, this.place(scene, loaded.tile));
      }
    });
  }

  private place(scene: Scene, tile: Tile): number[] {
    const { across, down } = scene.plane;
    const left = tile.box.from[across] as number;
    const top = tile.box.from[down] as number;
    const [wide, high] = this.sampleSize(scene, tile);
    return this.rectangle([left, top], [left + tile.width * wide, top + tile.height * high]);
  }

  private sampleSize(scene: Scene, tile: Tile): [number, number] {
    const spacing = spacings(scene.grid.bitmask, tile.resolution, scene.grid.dims.length);
    return [spacing[scene.plane.across] as number, spacing[scene.plane.down] as number];
  }

  private rectangle(from: [number, number], to: [number, number]): number[] {
    return [...this.pixelAt(from), ...this.pixelAt(to)];
  }

  private window(): Window {
    const { width, height } = this.canvas;
    const [left, one] = this.sampleAt([0, 0]);
    const [right, other] = this.sampleAt([width, height]);
    return { left, right, top: Math.min(one, other), bottom: Math.max(one, other) };
  }

  private extent(): [number, number] {
    const { grid, plane } = this.scene as Scene;
    return [grid.dims[plane.across] as number, grid.dims[plane.down] as number];
  }

  private direction(): number {
    return this.scene?.upwards ? -1 : 1;
  }

  private zoomDown(): number {
    return this.camera.zoom * (this.scene?.stretch ?? 1);
  }
}

function sampleOf(
  { tile, values }: LoadedTile, plane: Plane, components: number, [x, y]: [number, number],
): { values: (number | bigint)[]; at: number[] } {
  const { from, to } = tile.box;
  const index = (axis: Axis, at: number, count: number): [number, number] => {
    const spacing = Math.ceil(((to[axis] as number) - (from[axis] as number)) / count) || 1;
    const place = clamp(Math.floor((at - (from[axis] as number)) / spacing), 0, count - 1);
    return [place, (from[axis] as number) + place * spacing];
  };
  const [column, atX] = index(plane.across, x, tile.width);
  const [row, atY] = index(plane.down, y, tile.height);
  const at = [...from];
  at[plane.across] = atX;
  at[plane.down] = atY;
  const first = (row * tile.width + column) * components;
  return { values: [...values.slice(first, first + components)], at };
}
