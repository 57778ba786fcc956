/** How a field is shown: palette, scale, range, and the histogram of what is seen. */

import { useMemo } from "preact/hooks";
import type { FieldDescription } from "../viewer/description";
import { firstRange } from "../viewer/description";
import { PALETTES, paletteColors } from "../viewer/palettes";
import { histogram, percentiles, symmetric, type Range, type Scale } from "../viewer/range";
import { inWords } from "../viewer/samples";
import type { Channel } from "../viewer/view-state";
import { t } from "../words";

interface Props {
  field: FieldDescription;
  channel: Channel;
  overlay: boolean;
  /** Some of the values that are seen. */
  values: Float64Array;
  onChange: (channel: Channel) => void;
}

const BINS = 64;
const SCALES: [Scale, "linear" | "log" | "symlog"][] = [
  ["linear", "linear"],
  ["log", "log"],
  ["symlog", "symlog"],
];

export function ChannelPanel({ field, channel, overlay, values, onChange }: Props) {
  const change = (changes: Partial<Channel>): void => onChange({ ...channel, ...changes });
  const isColor = field.components >= 3;
  const choose = (range: Range | null): void => {
    if (range) change({ range });
  };
  return (
    <fieldset class="channel">
      <legend>
        {field.name}
        {field.units && <small> {field.units}</small>}
      </legend>
      {!isColor && !overlay && (
        <label>
          {t("palette")}
          <select value={channel.palette} onChange={(event) => change({ palette: event.currentTarget.value })}>
            {PALETTES.map((name) => <option key={name}>{name}</option>)}
          </select>
          <PaletteBar name={channel.palette} />
        </label>
      )}
      {!isColor && overlay && (
        <label>
          {t("color")}
          <input type="color" value={channel.color} onInput={(event) => change({ color: event.currentTarget.value })} />
        </label>
      )}
      <label>
        {t("scale")}
        <select value={channel.scale} onChange={(event) => change({ scale: event.currentTarget.value as Scale })}>
          {SCALES.map(([scale, word]) => <option key={scale} value={scale}>{t(word)}</option>)}
        </select>
      </label>
      <Histogram values={values} range={channel.range} full={firstRange(field)} />
      <div class="row">
        <NumberField label={t("from")} value={channel.range.low} onChange={(low) => choose({ ...channel.range, low })} />
        <NumberField label={t("to")} value={channel.range.high} onChange={(high) => choose({ ...channel.range, high })} />
      </div>
      <div class="row" role="group" aria-label={t("range_of")}>
        <button type="button" onClick={() => choose(firstRange(field))}>{t("whole_range")}</button>
        <button type="button" onClick={() => choose(percentiles(values, 1, 99))}>{t("percent", { low: 1, high: 99 })}</button>
        <button type="button" onClick={() => choose(symmetric(channel.range))}>{t("symmetric")}</button>
      </div>
    </fieldset>
  );
}

function NumberField({ label, value, onChange }: { label: string; value: number; onChange: (value: number) => void }) {
  return (
    <label>
      {label}
      <input
        type="text"
        inputMode="decimal"
        value={inWords(value)}
        onChange={(event) => {
          const found = Number(event.currentTarget.value.replace(",", "."));
          if (Number.isFinite(found)) onChange(found);
          else event.currentTarget.value = inWords(value);
        }}
      />
    </label>
  );
}

export function PaletteBar({ name }: { name: string }) {
  const stops = useMemo(() => {
    const colors = paletteColors(name);
    return Array.from({ length: 17 }, (_, step) => {
      const index = Math.round((step / 16) * 255) * 3;
      return `rgb(${colors[index]} ${colors[index + 1]} ${colors[index + 2]})`;
    });
  }, [name]);
  return <span class="palette-bar" style={{ background: `linear-gradient(90deg, ${stops.join(", ")})` }} aria-hidden="true" />;
}

function Histogram({ values, range, full }: { values: Float64Array; range: Range; full: Range }) {
  const counts = useMemo(() => histogram(values, full, BINS), [values, full.low, full.high]);
  const most = Math.log1p(Math.max(1, ...counts));
  const share = (value: number): number =>
    Math.min(1, Math.max(0, (value - full.low) / (full.high - full.low || 1))) * BINS;
  return (
    <svg class="histogram" viewBox={`0 0 ${BINS} 24`} preserveAspectRatio="none" role="img" aria-label={t("histogram")}>
      <rect class="chosen" x={share(range.low)} width={Math.max(0, share(range.high) - share(range.low))} height="24" />
      {counts.map((count, index) => {
        const height = (24 * Math.log1p(count)) / most;
        return <rect key={index} x={index} y={24 - height} width="1" height={height} />;
      })}
    </svg>
  );
}
