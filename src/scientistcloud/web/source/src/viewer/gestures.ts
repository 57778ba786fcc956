/** Wheel, drag, pinch and keys on a canvas, as pans and magnifications of its view. */

import type { PlaneView } from "./plane-view";

export interface Actions {
  /** A click that was no drag: a place on the plane. */
  pick: (place: [number, number]) => void;
  hover: (place: [number, number] | null) => void;
  /** Through the planes: by so many. */
  step: (planes: number) => void;
  /** A line is being drawn (measure, profile): from, to, whether it is done. */
  line?: (from: [number, number], to: [number, number], done: boolean) => void;
}

const CLICK_PIXELS = 4;
const ZOOM_STEP = 1.25;

export function listen(view: PlaneView, actions: () => Actions): () => void {
  const { canvas } = view;
  const pointers = new Map<number, [number, number]>();
  let moved = 0;
  let start: [number, number] | null = null;
  const stop = new AbortController();
  const on = <K extends keyof HTMLElementEventMap>(
    name: K, act: (event: HTMLElementEventMap[K]) => void,
  ): void => canvas.addEventListener(name, act, { signal: stop.signal, passive: false });

  const pixel = (event: MouseEvent): [number, number] => {
    const box = canvas.getBoundingClientRect();
    const ratio = canvas.width / box.width;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  };

  on("wheel", (event) => {
    event.preventDefault();
    if (event.shiftKey || event.altKey) {
      actions().step(Math.sign(event.deltaY || event.deltaX));
      return;
    }
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    view.magnify(Math.exp((-event.deltaY * lines) / 400), pixel(event));
  });

  on("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, pixel(event));
    start = pixel(event);
    moved = 0;
  });

  on("pointermove", (event) => {
    const now = pixel(event);
    const former = pointers.get(event.pointerId);
    actions().hover(view.sampleAt(now));
    if (!former) return;
    moved += Math.hypot(now[0] - former[0], now[1] - former[1]);
    const draw = actions().line;
    if (draw && start) {
      draw(view.sampleAt(start), view.sampleAt(now), false);
    } else if (pointers.size === 1) {
      view.pan(now[0] - former[0], now[1] - former[1]);
    } else {
      pinch(event.pointerId, former, now);
    }
    pointers.set(event.pointerId, now);
  });

  const pinch = (id: number, former: [number, number], now: [number, number]): void => {
    const other = [...pointers].find(([each]) => each !== id)?.[1];
    if (!other) return;
    const before = Math.hypot(former[0] - other[0], former[1] - other[1]);
    const after = Math.hypot(now[0] - other[0], now[1] - other[1]);
    view.pan((now[0] - former[0]) / 2, (now[1] - former[1]) / 2);
    if (before > 0) view.magnify(after / before, [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
  };

  const end = (event: PointerEvent): void => {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    const now = pixel(event);
    const draw = actions().line;
    if (draw && start && moved > CLICK_PIXELS) draw(view.sampleAt(start), view.sampleAt(now), true);
    else if (event.type === "pointerup" && moved <= CLICK_PIXELS * devicePixelRatio) {
      actions().pick(view.sampleAt(now));
    }
    start = null;
  };
  on("pointerup", end);
  on("pointercancel", end);
  on("pointerleave", () => actions().hover(null));
  on("dblclick", (event) => view.magnify(ZOOM_STEP ** 3, pixel(event)));

  on("keydown", (event) => {
    const { width, height } = canvas;
    const middle: [number, number] = [width / 2, height / 2];
    const keys: Record<string, () => void> = {
      ArrowLeft: () => view.pan(width / 8, 0),
      ArrowRight: () => view.pan(-width / 8, 0),
      ArrowUp: () => view.pan(0, height / 8),
      ArrowDown: () => view.pan(0, -height / 8),
      "+": () => view.magnify(ZOOM_STEP, middle),
      "=": () => view.magnify(ZOOM_STEP, middle),
      "-": () => view.magnify(1 / ZOOM_STEP, middle),
      "0": () => view.fit(),
      PageUp: () => actions().step(1),
      PageDown: () => actions().step(-1),
      Enter: () => actions().pick(view.sampleAt(middle)),
    };
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  return () => stop.abort();
}
