/** The canvas of one plane with what lies over it: cross-hair, scale bar, lines, what is wrong. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Description } from "./description";
import { goesUp, gridOf, placeOf, stretchOf } from "./description";
import { listen } from "./gestures";
import { clamp } from "./grid";
import { PlaneView, type Camera, type Progress, type Shown } from "./plane-view";
import { scaleBar } from "./scale-bar";
import type { Fetch } from "./tile-store";
import type { Plane } from "./tiles";
import { number, t } from "../words";

export type Line = [[number, number], [number, number]];

export interface PlaneCanvasProps {
  description: Description;
  plane: Plane;
  shown: Shown[];
  fetch: Fetch;
  camera: Camera | null;
  hasCross: boolean;
  /** Whether dragging draws a line instead of moving the picture. */
  isDrawing: boolean;
  line: Line | null;
  /** By how many samples the planes move at a step. */
  stride: number;
  onProgress: (progress: Progress) => void;
  onCamera: (camera: Camera) => void;
  onPick: (place: [number, number]) => void;
  onHover: (place: [number, number] | null, view: PlaneView) => void;
  onStep: (planes: number) => void;
  onLine: (line: Line, view: PlaneView) => void;
  onView?: (view: PlaneView | null) => void;
}

const SCALE_BAR_SHARE = 0.3;

export function PlaneCanvas(props: PlaneCanvasProps) {
  const { description, plane, shown, camera } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [view, setView] = useState<PlaneView | null>(null);
  const [problem, setProblem] = useState("");
  const [, repaint] = useState(0);
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    const made = new PlaneView(
      canvas.current as HTMLCanvasElement,
      props.fetch,
      (progress) => latest.current.onProgress(progress),
      (error) => setProblem(error instanceof Error ? error.message : String(error)),
      () => {
        latest.current.onCamera(made.camera);
        repaint((count) => count + 1);
      },
    );
    const deaf = listen(made, () => ({
      pick: (place) => latest.current.onPick(place),
      hover: (place) => latest.current.onHover(place, made),
      step: (planes) => latest.current.onStep(planes * latest.current.stride),
      ...(latest.current.isDrawing && {
        line: (from: [number, number], to: [number, number]) =>
          latest.current.onLine([from, to], made),
      }),
    }));
    if (camera) made.camera = camera;
    setView(made);
    props.onView?.(made);
    return () => {
      deaf();
      made.close();
      props.onView?.(null);
    };
  }, [props.fetch]);

  useLayoutEffect(() => {
    const element = canvas.current as HTMLCanvasElement;
    const watch = new ResizeObserver(() => {
      const { clientWidth, clientHeight } = element;
      const [width, height] = [clientWidth, clientHeight].map((each) => Math.round(each * devicePixelRatio));
      if (element.width === width && element.height === height) return;
      Object.assign(element, { width, height });
      view?.redraw();
    });
    watch.observe(element);
    return () => watch.disconnect();
  }, [view]);

  useEffect(() => {
    setProblem("");
    view?.show({
      grid: gridOf(description),
      plane,
      shown,
      upwards: goesUp(description, plane.down),
      stretch: stretchOf(description, plane),
      ahead: nextPlanes(description, plane, props.stride),
    });
  }, [view, description, plane, shown]);

  const name = axesInWords(description, plane);
  return (
    <div class="plane">
      <canvas ref={canvas} tabIndex={0} role="img" aria-label={t("plane_of", { axes: name })} />
      {view && <Overlay {...props} view={view} />}
      <span class="plane-name">{name}</span>
      {problem && (
        <p class="problem" role="alert">
          {t("no_samples")} {problem}{" "}
          <button type="button" onClick={() => { setProblem(""); view?.retry(); }}>{t("try_again")}</button>
        </p>
      )}
    </div>
  );
}

function Overlay({ description, plane, hasCross, line, view }: PlaneCanvasProps & { view: PlaneView }) {
  const { width, height } = view.canvas;
  const ratio = devicePixelRatio;
  const pixel = (place: [number, number]): [number, number] => {
    const [x, y] = view.pixelAt(place);
    return [x / ratio, y / ratio];
  };
  const [x, y] = pixel([(plane.at[plane.across] ?? 0) + 0.5, (plane.at[plane.down] ?? 0) + 0.5]);
  const axis = description.axes[plane.across];
  const bar = view.camera.zoom > 0
    ? scaleBar(Math.abs(axis?.spacing ?? 1) / view.camera.zoom * ratio,
        axis?.spacing ? axis.units ?? "" : t("samples"), (width / ratio) * SCALE_BAR_SHARE)
    : null;
  const ends = line?.map(pixel);
  return (
    <svg class="overlay" viewBox={`0 0 ${width / ratio} ${height / ratio}`} aria-hidden="true">
      {hasCross && (
        <g class="cross">
          <line x1={x} x2={x} y1="0" y2={height / ratio} />
          <line y1={y} y2={y} x1="0" x2={width / ratio} />
        </g>
      )}
      {ends && (
        <line class="measure" x1={ends[0]![0]} y1={ends[0]![1]} x2={ends[1]![0]} y2={ends[1]![1]} />
      )}
      {bar && (
        <g class="scale-bar" transform={`translate(12 ${height / ratio - 14})`}>
          <rect width={bar.pixels} height="4" />
          <text x={bar.pixels / 2} y="-6" text-anchor="middle">
            {number(bar.length, 6)} {bar.units}
          </text>
        </g>
      )}
    </svg>
  );
}

/** The neighbours of a plane, which are likely to be asked for next. */
function nextPlanes(description: Description, plane: Plane, stride: number): Plane[] {
  const axis = stillAxis(description, plane);
  if (axis === null) return [];
  const last = (description.dims[axis] as number) - 1;
  return [stride, -stride].flatMap((step) => {
    const next = clamp((plane.at[axis] as number) + step, 0, last);
    return next === plane.at[axis] ? [] : [{ ...plane, at: plane.at.with(axis, next) }];
  });
}

/** The axis that a plane is cut across; null for a picture. */
export function stillAxis(description: Description, plane: Plane): 0 | 1 | 2 | null {
  if (description.dims.length < 3) return null;
  return (3 - plane.across - plane.down) as 0 | 1 | 2;
}

export function axesInWords(description: Description, plane: Plane): string {
  const axis = stillAxis(description, plane);
  const name = (each: number): string => description.axes[each]?.name || "xyz"[each] || "";
  const pair = `${name(plane.across)} · ${name(plane.down)}`;
  if (axis === null) return pair;
  const sample = plane.at[axis] as number;
  const found = description.axes[axis];
  const place = placeOf(found, sample);
  const units = found?.units ? ` ${found.units}` : "";
  return `${pair}, ${name(axis)} = ${sample}${place === null ? "" : ` (${number(place, 4)}${units})`}`;
}
