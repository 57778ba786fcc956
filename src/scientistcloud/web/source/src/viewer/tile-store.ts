/** Tiles as they arrive: a bounded store, a bounded number of requests, the wanted ones first. */

import type { BoxRequest } from "../api/boxes";
import type { Tile } from "./tiles";
import { asFloats, type Values } from "./samples";
import type { Painter, Picture } from "./painter";

export interface LoadedTile {
  tile: Tile;
  picture: Picture;
  /** As they came, for exact values. */
  values: Values;
}

export type Fetch = (request: BoxRequest, signal: AbortSignal) => Promise<Values>;

const MOST_BYTES = 384 * 2 ** 20;
const MOST_REQUESTS = 4;
const RETRIES = 3;

/** One field at one time, or one of several that are laid over each other. */
export interface Layer {
  field: string;
  time: number;
  components: number;
}

interface Wanted {
  key: string;
  layer: Layer;
  tile: Tile;
}

export class TileStore {
  private readonly loaded = new Map<string, LoadedTile>();
  private readonly running = new Map<string, AbortController>();
  private readonly failures = new Map<string, number>();
  private wanted: Wanted[] = [];
  private bytes = 0;
  private isClosed = false;

  /**
   * @param arrived - called for each tile that has come
   * @param failed - called with what keeps a tile from coming, after a few tries
   */
  constructor(
    private readonly painter: Painter,
    private readonly fetch: Fetch,
    private readonly arrived: () => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  get(layer: Layer, tile: Tile): LoadedTile | undefined {
    const key = keyOf(layer, tile);
    const found = this.loaded.get(key);
    if (found) {
      this.loaded.delete(key);
      this.loaded.set(key, found); // the newest last
    }
    return found;
  }

  /** Ask for these tiles, in this order, and for no others any more. */
  want(all: [Layer, Tile][]): void {
    this.wanted = all
      .map(([layer, tile]) => ({ key: keyOf(layer, tile), layer, tile }))
      .filter(({ key }) => !this.loaded.has(key) && (this.failures.get(key) ?? 0) < RETRIES);
    const keys = new Set(this.wanted.map(({ key }) => key));
    for (const [key, controller] of this.running) {
      if (!keys.has(key)) controller.abort();
    }
    this.next();
  }

  get isBusy(): boolean {
    return this.wanted.length > 0;
  }

  /** Try again what has failed. */
  forgive(): void {
    this.failures.clear();
  }

  close(): void {
    this.isClosed = true;
    this.want([]);
    for (const { picture } of this.loaded.values()) this.painter.drop(picture);
    this.loaded.clear();
  }

  private next(): void {
    for (const wanted of this.wanted) {
      if (this.running.size >= MOST_REQUESTS) return;
      if (!this.running.has(wanted.key)) void this.load(wanted);
    }
  }

  private async load({ key, layer, tile }: Wanted): Promise<void> {
    const controller = new AbortController();
    this.running.set(key, controller);
    try {
      const { resolution, box } = tile;
      const values = await this.fetch(
        { field: layer.field, time: layer.time, resolution, box },
        controller.signal,
      );
      if (this.isClosed) return;
      this.keep(key, layer, tile, values);
    } catch (error) {
      if (!controller.signal.aborted) this.fail(key, error);
    } finally {
      this.running.delete(key);
      this.wanted = this.wanted.filter((each) => each.key !== key || controller.signal.aborted);
      if (!this.isClosed) this.next();
    }
  }

  private keep(key: string, layer: Layer, tile: Tile, values: Values): void {
    const { width, height } = tile;
    const picture = this.painter.upload(asFloats(values), width, height, layer.components);
    this.loaded.set(key, { tile, picture, values });
    this.bytes += picture.bytes + values.byteLength;
    for (const [old, { picture: oldest, values: samples }] of this.loaded) {
      if (this.bytes <= MOST_BYTES || old === key) break;
      this.painter.drop(oldest);
      this.loaded.delete(old);
      this.bytes -= oldest.bytes + samples.byteLength;
    }
    this.arrived();
  }

  private fail(key: string, error: unknown): void {
    const failures = (this.failures.get(key) ?? 0) + 1;
    this.failures.set(key, failures);
    if (failures >= RETRIES) this.failed(error);
  }
}

function keyOf(layer: Layer, tile: Tile): string {
  return `${layer.field}/${layer.time}/${tile.key}`;
}
