/** What is looked at, as a value, and as the part of the address behind `#`: a link shows the same. */

import { DEFAULT_PALETTE, PALETTES } from "./palettes";
import type { Description } from "./description";
import { firstRange } from "./description";
import type { Camera } from "./plane-view";
import type { Range, Scale } from "./range";

export interface Channel {
  field: string;
  isOn: boolean;
  palette: string;
  range: Range;
  scale: Scale;
  /** Its colour where several are laid over each other: `#rrggbb`. */
  color: string;
}

export type Layout = "planes" | "plane" | "volume";

/** What is seen beside, linked. */
export interface Beside {
  uuid: string;
  time: number;
}

export interface ViewState {
  layout: Layout;
  /** Which of the planes is alone in layout `plane`. */
  plane: number;
  time: number;
  /** Where the planes cross, x first. */
  at: number[];
  channels: Channel[];
  /** Whether the channels that are on are laid over each other. */
  overlay: boolean;
  camera: Camera | null;
  beside: Beside | null;
}

export const COLORS = ["#00ff66", "#ff00ff", "#00a2ff", "#ff3b30", "#ffd60a", "#7dfff0"];
const SCALES: Scale[] = ["linear", "log", "symlog"];
const LAYOUTS: Layout[] = ["planes", "plane", "volume"];

/** What is shown first: the middle, the first field. */
export function firstView(description: Description): ViewState {
  return {
    layout: description.dims.length === 3 ? "planes" : "plane",
    plane: 0,
    time: description.timesteps[0] ?? 0,
    at: description.dims.map((samples) => Math.floor(samples / 2)),
    channels: description.fields.map((field, index) => ({
      field: field.name,
      isOn: index === 0,
      palette: DEFAULT_PALETTE,
      range: firstRange(field),
      scale: "linear",
      color: COLORS[index % COLORS.length] as string,
    })),
    overlay: false,
    camera: null,
    beside: null,
  };
}

/** The text behind `#`: what differs from the first view. */
export function toHash(state: ViewState, description: Description): string {
  const first = firstView(description);
  const parts = new URLSearchParams();
  if (state.layout !== first.layout) parts.set("layout", state.layout);
  if (state.plane) parts.set("plane", String(state.plane));
  if (state.time !== first.time) parts.set("time", String(state.time));
  if (state.at.join() !== first.at.join()) parts.set("at", state.at.join());
  if (state.overlay) parts.set("overlay", "1");
  if (state.camera) {
    const { x, y, zoom } = state.camera;
    parts.set("camera", [x, y, zoom].map((each) => Number(each.toPrecision(7))).join());
  }
  if (state.beside) parts.set("beside", `${state.beside.uuid}~${state.beside.time}`);
  state.channels.forEach((channel, index) => {
    const text = channelText(channel);
    if (text !== channelText(first.channels[index] as Channel)) parts.append(`c${index}`, text);
  });
  return parts.toString();
}

/** The view that a link asks for; what it does not say, or says wrongly, is as in the first view. */
export function fromHash(hash: string, description: Description): ViewState {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const state = firstView(description);
  const layout = LAYOUTS.find((each) => each === parts.get("layout"));
  if (layout && description.dims.length === 3) state.layout = layout;
  state.plane = description.dims.length === 3 ? whole(parts.get("plane"), 0, 2) ?? 0 : 0;
  const time = Number(parts.get("time") ?? NaN);
  if (description.timesteps.includes(time)) state.time = time;
  const at = numbers(parts.get("at"));
  state.at = state.at.map((middle, axis) => {
    const last = (description.dims[axis] as number) - 1;
    return whole(String(at[axis] ?? ""), 0, last) ?? middle;
  });
  state.overlay = parts.get("overlay") === "1";
  const [x, y, zoom] = numbers(parts.get("camera"));
  if (x !== undefined && y !== undefined && zoom !== undefined && zoom > 0) {
    state.camera = { x, y, zoom };
  }
  const [uuid, besideTime] = (parts.get("beside") ?? "").split("~");
  if (uuid && Number.isFinite(Number(besideTime))) state.beside = { uuid, time: Number(besideTime) };
  state.channels = state.channels.map((channel, index) => readChannel(channel, parts.get(`c${index}`)));
  return state;
}

function channelText({ isOn, palette, range, scale, color }: Channel): string {
  return [isOn ? 1 : 0, palette, scale, range.low, range.high, color.slice(1)].join("~");
}

function readChannel(channel: Channel, text: string | null): Channel {
  const [isOn, palette, scale, low, high, color] = (text ?? "").split("~");
  if (color === undefined) return channel;
  const [from, to] = [Number(low), Number(high)];
  return {
    field: channel.field,
    isOn: isOn === "1",
    palette: PALETTES.find((each) => each === palette) ?? channel.palette,
    scale: SCALES.find((each) => each === scale) ?? channel.scale,
    range: Number.isFinite(from) && Number.isFinite(to) ? { low: from, high: to } : channel.range,
    color: /^[0-9a-f]{6}$/.test(color) ? `#${color}` : channel.color,
  };
}

function numbers(text: string | null): number[] {
  const found = (text ?? "").split(",").map(Number);
  return text && found.every(Number.isFinite) ? found : [];
}

function whole(text: string | null, least: number, most: number): number | null {
  const found = text ? Number(text) : NaN;
  return Number.isInteger(found) && found >= least && found <= most ? found : null;
}
