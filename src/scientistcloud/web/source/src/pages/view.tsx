/** `/view/<uuid>`: looking into a dataset. */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { boxFetcher, describe } from "../api/boxes";
import { Failure } from "../parts/failure";
import { BesideChooser, BesideView } from "../parts/beside";
import { ChannelPanel } from "../parts/channel-panel";
import { Facts } from "../parts/facts";
import { LinePanel, type Measured } from "../parts/line-panel";
import { Legend } from "../parts/legend";
import { Positions, ProbeLine, type Probe } from "../parts/positions";
import { TakeAway } from "../parts/take-away";
import { TimeSlider } from "../parts/time-slider";
import type { Description } from "../viewer/description";
import { planesOf, stretchOf } from "../viewer/description";
import { clamp, finest } from "../viewer/grid";
import { PlaneCanvas, axesInWords, stillAxis, type Line } from "../viewer/plane-canvas";
import type { Camera, PlaneView, Progress, Shown } from "../viewer/plane-view";
import { profileOf } from "../viewer/profile";
import { shownOf } from "../viewer/shown";
import type { Plane } from "../viewer/tiles";
import { firstView, fromHash, toHash, type Layout, type ViewState } from "../viewer/view-state";
import { VolumePanel } from "../viewer/volume-panel";
import { number, t } from "../words";

const MOST_VALUES = 65536;
/** The place of the second view among those that are reported on. */
const BESIDE = 9;

export function View({ uuid }: { uuid: string }) {
  const [description, setDescription] = useState<Description | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  useEffect(() => {
    tell("loading", -1);
    describe(uuid).then(setDescription, setFailure);
  }, [uuid]);
  useEffect(() => {
    if (description) document.title = `${description.name} · scientistcloud`;
  }, [description]);
  if (failure) return <Failure error={failure} />;
  if (!description) return <p class="waiting" role="status">{t("opening")}</p>;
  return <Viewer key={description.generation} description={description} />;
}

function Viewer({ description }: { description: Description }) {
  const [state, setState] = useState<ViewState>(() => fromHash(location.hash, description));
  const [probe, setProbe] = useState<Probe | null>(null);
  const [measured, setMeasured] = useState<Measured | null>(null);
  const [isDrawing, setDrawing] = useState(false);
  const [isSharp, setSharp] = useState(false);
  const [values, setValues] = useState<Float64Array[]>([]);
  const views = useRef(new Map<number, PlaneView>());
  const progress = useRef(new Map<number, Progress>());
  const fetch = useMemo(() => boxFetcher(description), [description]);
  const planes = useMemo(() => planesOf(description, state.at), [description, state.at]);
  const shown = useMemo(() => shownOf(description, state), [description, state.channels, state.time, state.overlay]);
  const visible = state.layout === "plane" || planes.length === 1 || state.beside ? [state.plane] : planes.map((_, index) => index);

  const change = useCallback((changes: Partial<ViewState>) => setState((now) => ({ ...now, ...changes })), []);
  useEffect(() => {
    const timer = setTimeout(() => {
      const hash = toHash(state, description);
      history.replaceState(history.state, "", location.pathname + location.search + (hash && `#${hash}`));
    }, 300);
    return () => clearTimeout(timer);
  }, [state]);
  useEffect(() => {
    const follow = (): void => setState(fromHash(location.hash, description));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, [description]);

  const report = useCallback((index: number, told: Progress) => {
    progress.current.set(index, told);
    const all = [...progress.current].filter(([each]) => views.current.has(each)).map(([, each]) => each);
    const worst = (["loading", "coarse", "sharp"] as const).find((each) => all.some(({ state: has }) => has === each));
    tell(worst ?? "loading", Math.min(...all.map(({ resolution }) => resolution)));
    setSharp(worst === "sharp");
    if (worst !== "loading" && index !== BESIDE) setValues(shown.map((_, layer) => some(views.current.get(index), layer)));
  }, [shown]);

  const follow = (camera: Camera, index: number): void => {
    const view = views.current.get(index);
    if (view && !isSame(view.camera, camera)) view.look(camera);
  };
  const moveTo = (plane: Plane, [x, y]: [number, number]): void => {
    const at = [...state.at];
    at[plane.across] = within(description, plane.across, x);
    at[plane.down] = within(description, plane.down, y);
    change({ at });
  };
  const step = (plane: Plane, by: number): void => {
    const axis = stillAxis(description, plane);
    if (axis !== null) change({ at: state.at.with(axis, within(description, axis, (state.at[axis] ?? 0) + by)) });
  };
  const hover = (place: [number, number] | null, view: PlaneView): void => {
    const found = place && view.valueAt(place);
    setProbe(found ? { ...found, field: shown[0]?.layer.field ?? "" } : null);
  };

  return (
    <main class="viewer">
      <Toolbar
        description={description} state={state} isDrawing={isDrawing}
        onChange={change} onDraw={setDrawing}
        onReset={() => { setState(firstView(description)); views.current.forEach((view) => view.fit()); }}
      />
      <div class={`planes ${state.beside ? "two" : state.layout === "planes" && planes.length > 1 ? "four" : "one"}`}>
        {(state.layout !== "volume" || state.beside) && visible.map((index) => (
          <PlaneCanvas
            key={index}
            description={description} plane={planes[index] as Plane} shown={shown} fetch={fetch}
            camera={visible.length === 1 ? state.camera : null}
            hasCross={description.dims.length === 3} isDrawing={isDrawing}
            line={measured?.plane === index ? measured.line : null} stride={1}
            onProgress={(told) => report(index, told)}
            onCamera={(camera) => { follow(camera, BESIDE); if (visible.length === 1) change({ camera: { ...camera } }); }}
            onPick={(place) => moveTo(planes[index] as Plane, place)}
            onHover={hover}
            onStep={(by) => step(planes[index] as Plane, by)}
            onLine={(line, view) => setMeasured(measure(description, planes[index] as Plane, index, line, view))}
            onView={(view) => { if (view) views.current.set(index, view); else views.current.delete(index); }}
          />
        ))}
        {state.beside && (
          <BesideView
            description={description} state={state} beside={state.beside}
            onCamera={(camera) => follow(camera, visible[0] ?? 0)} onProgress={(told) => report(BESIDE, told)}
            onView={(view) => { if (view) views.current.set(BESIDE, view); else { views.current.delete(BESIDE); progress.current.delete(BESIDE); } }}
          />
        )}
        {description.dims.length === 3 && state.layout !== "plane" && !state.beside && (
          <VolumePanel description={description} state={state} fetch={fetch} isAlone={state.layout === "volume"} onProgress={(told) => {
            if (state.layout === "volume") { tell(told.state, told.resolution); setSharp(told.state === "sharp"); }
          }} />
        )}
      </div>
      <aside class="panel" aria-label={t("how_shown")}>
        {description.dims.length === 3 && (
          <Positions description={description} state={state} onChange={change} />
        )}
        <TimeSlider description={description} time={state.time} isThere={isSharp} onChange={(time) => change({ time })} />
        <ProbeLine description={description} probe={probe} />
        {measured && <LinePanel measured={measured} onClose={() => setMeasured(null)} />}
        <Channels description={description} state={state} shown={shown} values={values} onChange={change} />
        <Legend shown={shown} description={description} />
        <BesideChooser description={description} beside={state.beside} onChange={(beside) => change({ beside })} />
        <TakeAway description={description} state={state} view={() => views.current.get(visible[0] ?? 0) ?? null} shown={shown} />
        <Facts description={description} />
      </aside>
    </main>
  );
}

interface ToolbarProps {
  description: Description;
  state: ViewState;
  isDrawing: boolean;
  onChange: (changes: Partial<ViewState>) => void;
  onDraw: (isDrawing: boolean) => void;
  onReset: () => void;
}

function Toolbar({ description, state, isDrawing, onChange, onDraw, onReset }: ToolbarProps) {
  const isVolume = description.dims.length === 3;
  const layouts: [Layout, number, string][] = [
    ["planes", 0, t("three_planes")],
    ...planesOf(description, state.at).map((plane, index): [Layout, number, string] => [
      "plane", index, axesInWords(description, plane).split(",")[0] as string,
    ]),
    ["volume", 0, t("volume")],
  ];
  return (
    <header class="toolbar">
      <a href="./" class="back">{t("datasets")}</a>
      <h1 dir="auto">{description.name}</h1>
      {isVolume && (
        <div class="row" role="group" aria-label={t("layout")}>
          {layouts.map(([layout, plane, name]) => (
            <button
              type="button" key={`${layout}${plane}`}
              aria-pressed={state.layout === layout && (layout !== "plane" || state.plane === plane)}
              onClick={() => onChange({ layout, plane, camera: null })}
            >{name}</button>
          ))}
        </div>
      )}
      <button type="button" aria-pressed={isDrawing} onClick={() => onDraw(!isDrawing)}>{t("measure")}</button>
      <button type="button" onClick={onReset}>{t("reset")}</button>
      <span class="dims">
        {description.dims.map((each) => number(each)).join(" × ")} · {description.fields[0]?.dtype}
      </span>
    </header>
  );
}

interface ChannelsProps {
  description: Description;
  state: ViewState;
  shown: Shown[];
  values: Float64Array[];
  onChange: (changes: Partial<ViewState>) => void;
}

function Channels({ description, state, shown, values, onChange }: ChannelsProps) {
  const several = description.fields.length > 1;
  const turn = (index: number, isOn: boolean): void =>
    onChange({
      channels: state.channels.map((each, other) =>
        state.overlay
          ? other === index ? { ...each, isOn } : each
          : { ...each, isOn: other === index },
      ),
    });
  return (
    <section class="channels" aria-label={t("fields")}>
      {several && (
        <fieldset>
          <legend>{t("fields")}</legend>
          <label class="check">
            <input type="checkbox" checked={state.overlay} onChange={(event) => onChange({ overlay: event.currentTarget.checked })} />
            {t("overlay")}
          </label>
          {description.fields.map((field, index) => (
            <label class="check" key={field.name}>
              <input
                type={state.overlay ? "checkbox" : "radio"} name="field" checked={state.channels[index]?.isOn ?? false}
                onChange={(event) => turn(index, event.currentTarget.checked)}
              />
              <span dir="auto">{field.name}</span>
            </label>
          ))}
        </fieldset>
      )}
      {state.channels.map((channel, index) => {
        const layer = shown.findIndex((each) => each.layer.field === channel.field);
        const field = description.fields[index];
        if (!channel.isOn || !field) return null;
        return (
          <ChannelPanel
            key={channel.field} field={field} channel={channel} overlay={state.overlay}
            values={values[layer] ?? new Float64Array()}
            onChange={(changed) => onChange({ channels: state.channels.with(index, changed) })}
          />
        );
      })}
    </section>
  );
}

function isSame(one: Camera, other: Camera): boolean {
  return one.x === other.x && one.y === other.y && one.zoom === other.zoom;
}

/** For tests and programs that drive the page: what is seen, as facts. */
function tell(state: Progress["state"], resolution: number): void {
  document.body.dataset.state = state;
  document.body.dataset.level = String(resolution);
}

function within(description: Description, axis: number, place: number): number {
  return clamp(Math.floor(place), 0, (description.dims[axis] as number) - 1);
}

/** Some of the values that a view shows of a layer, spread evenly. */
function some(view: PlaneView | undefined, layer: number): Float64Array {
  const all = [...(view?.samples(layer) ?? [])];
  const every = Math.max(1, Math.ceil(all.length / MOST_VALUES));
  return Float64Array.from(all.filter((_, index) => index % every === 0), Number);
}

function measure(description: Description, plane: Plane, index: number, line: Line, view: PlaneView): Measured {
  const axis = description.axes[plane.across];
  const scale = axis?.spacing ? Math.abs(axis.spacing) : 1;
  const [[x, y], [toX, toY]] = line;
  const length = Math.hypot(toX - x, (toY - y) * stretchOf(description, plane)) * scale;
  return {
    plane: index, line, length,
    units: axis?.spacing ? axis.units ?? "" : t("samples"),
    profile: profileOf(view, line),
    level: finest(description.bitmask),
  };
}
