/** The volume as a whole: the finest level that fits the graphics card, coarse first. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Description } from "./description";
import { goesUp } from "./description";
import { countSamples, finest, spacings } from "./grid";
import type { Progress } from "./plane-view";
import { shownOf } from "./shown";
import type { Fetch } from "./tile-store";
import type { ViewState } from "./view-state";
import type { Extent, Pose, Rendering, VolumeRenderer } from "./volume";
import { t } from "../words";

interface Props {
  description: Description;
  state: ViewState;
  fetch: Fetch;
  /** Whether it has the page for itself: then it is refined. */
  isAlone: boolean;
  onProgress: (progress: Progress) => void;
}

const FIRST_SAMPLES = 2 ** 18;
const SMALL_SAMPLES = 2 ** 20;
const MOST_SAMPLES = 2 ** 23;
const RENDERINGS: [Rendering, "maximum" | "density" | "oblique"][] = [
  ["maximum", "maximum"],
  ["density", "density"],
  ["oblique", "oblique"],
];

export function VolumePanel({ description, state, fetch, isAlone, onProgress }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [renderer, setRenderer] = useState<VolumeRenderer | null>(null);
  const [pose, setPose] = useState<Pose>({ turn: 0.6, tilt: 0.4, zoom: 1, depth: 0, rendering: "maximum" });
  const [level, setLevel] = useState(-1);
  const [problem, setProblem] = useState("");
  const [first] = shownOf(description, state);
  const layer = first?.layer;
  const isShown = layer !== undefined && layer.components === 1;

  useEffect(() => {
    let made: VolumeRenderer | null = null;
    let isGone = false;
    import("./volume").then(({ VolumeRenderer: Renderer }) => {
      if (isGone) return;
      made = new Renderer(canvas.current as HTMLCanvasElement);
      setRenderer(made);
    }, (error) => setProblem(String(error)));
    return () => { isGone = true; made?.close(); };
  }, []);

  useEffect(() => {
    if (!renderer || !layer || !isShown) return;
    const stop = new AbortController();
    void refine(description, layer.field, state.time, fetch, isAlone ? MOST_SAMPLES : SMALL_SAMPLES, stop.signal,
      (values, extent, resolution, isLast) => {
        renderer.load(values, extent);
        setLevel(resolution);
        onProgress({ state: isLast ? "sharp" : "coarse", resolution });
      }).catch((error) => { if (!stop.signal.aborted) setProblem(String(error.message ?? error)); });
    return () => stop.abort();
  }, [renderer, description, layer?.field, state.time, isAlone]);

  useEffect(() => {
    const element = canvas.current as HTMLCanvasElement;
    const paint = (): void => { if (first && isShown) renderer?.draw(pose, first.look); };
    const watch = new ResizeObserver(() => {
      const [width, height] = [element.clientWidth, element.clientHeight];
      if (element.width !== width || element.height !== height) Object.assign(element, { width, height });
      paint();
    });
    watch.observe(element);
    const frame = requestAnimationFrame(paint);
    return () => { watch.disconnect(); cancelAnimationFrame(frame); };
  }, [renderer, pose, first?.look, level]);

  const change = (changes: Partial<Pose>): void => setPose((now) => ({ ...now, ...changes }));
  return (
    <div class="plane volume">
      <canvas
        ref={canvas} tabIndex={0} role="img" aria-label={t("volume_of", { name: description.name })}
        onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
        onPointerMove={(event) => {
          if (event.buttons) change({ turn: pose.turn - event.movementX / 150, tilt: pose.tilt - event.movementY / 150 });
        }}
        onWheel={(event) => { event.preventDefault(); change({ zoom: pose.zoom * Math.exp(-event.deltaY / 400) }); }}
        onKeyDown={(event) => {
          const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
          if (step) { event.preventDefault(); change({ turn: pose.turn + step[0]!, tilt: pose.tilt + step[1]! }); }
          if (event.key === "+") change({ zoom: pose.zoom * 1.25 });
          if (event.key === "-") change({ zoom: pose.zoom / 1.25 });
        }}
      />
      <div class="volume-choice">
        <select aria-label={t("rendering")} value={pose.rendering} onChange={(event) => change({ rendering: event.currentTarget.value as Rendering })}>
          {RENDERINGS.map(([rendering, word]) => <option key={rendering} value={rendering}>{t(word)}</option>)}
        </select>
        {pose.rendering === "oblique" && (
          <input type="range" aria-label={t("depth")} min="-1" max="1" step="0.01" value={pose.depth}
            onInput={(event) => change({ depth: Number(event.currentTarget.value) })} />
        )}
      </div>
      {!isShown && <p class="problem">{t("no_volume")}</p>}
      {problem && <p class="problem" role="alert">{problem}</p>}
    </div>
  );
}

type Loaded = (values: Awaited<ReturnType<Fetch>>, extent: Extent, resolution: number, isLast: boolean) => void;

async function refine(
  description: Description, field: string, time: number, fetch: Fetch, most: number,
  signal: AbortSignal, loaded: Loaded,
): Promise<void> {
  const { dims } = description;
  const levels = [FIRST_SAMPLES, most].map((limit) => finestUnder(description, limit));
  for (const resolution of new Set(levels)) {
    const box = { from: dims.map(() => 0), to: [...dims] };
    const values = await fetch({ field, time, resolution, box }, signal);
    if (signal.aborted) return;
    loaded(values, extentOf(description, resolution), resolution, resolution === levels.at(-1));
  }
}

function samplesAt({ bitmask, dims }: Description, resolution: number): [number, number, number] {
  const spacing = spacings(bitmask, resolution, dims.length);
  return dims.map((samples, axis) => countSamples(0, samples, spacing[axis] as number)) as [number, number, number];
}

function finestUnder(description: Description, most: number): number {
  const last = finest(description.bitmask);
  for (let resolution = last; resolution > 0; resolution--) {
    const [x, y, z] = samplesAt(description, resolution);
    if (x * y * z <= most && Math.max(x, y, z) <= 2048) return resolution;
  }
  return 0;
}

function extentOf(description: Description, resolution: number): Extent {
  const scales = description.axes.map(({ spacing, units }) =>
    spacing && units === description.axes[0]?.units ? Math.abs(spacing) : null);
  const isKnown = scales.every((scale) => scale !== null);
  const edges = description.dims.map((samples, axis) => samples * (isKnown ? scales[axis] as number : 1));
  return {
    samples: samplesAt(description, resolution),
    edges: edges as [number, number, number],
    upwards: goesUp(description, 1),
  };
}
