/** Through the timesteps, by hand or by itself. */

import { useEffect, useState } from "preact/hooks";
import type { Description } from "../viewer/description";
import { number, t } from "../words";

interface Props {
  description: Description;
  time: number;
  /** Whether the picture of this time is there: playing waits for it. */
  isThere: boolean;
  onChange: (time: number) => void;
}

const SECONDS = 0.15;

export function TimeSlider({ description, time, isThere, onChange }: Props) {
  const [isPlaying, setPlaying] = useState(false);
  const { timesteps } = description;
  const index = Math.max(0, timesteps.indexOf(time));
  const go = (to: number): void => onChange(timesteps[(to + timesteps.length) % timesteps.length] as number);

  useEffect(() => {
    if (!isPlaying || !isThere) return;
    const timer = setTimeout(() => go(index + 1), SECONDS * 1000);
    return () => clearTimeout(timer);
  }, [isPlaying, isThere, index]);

  if (timesteps.length < 2) return null;
  return (
    <div class="time" role="group" aria-label={t("time")}>
      <button type="button" aria-pressed={isPlaying} onClick={() => setPlaying(!isPlaying)}>
        {isPlaying ? t("pause") : t("play")}
      </button>
      <input
        type="range"
        aria-label={t("time")}
        min="0"
        max={timesteps.length - 1}
        value={index}
        aria-valuetext={timeInWords(description, index)}
        onInput={(event) => go(Number(event.currentTarget.value))}
      />
      <output>{timeInWords(description, index)}</output>
    </div>
  );
}

export function timeInWords({ timesteps, times, time_units }: Description, index: number): string {
  const count = `${index + 1} / ${timesteps.length}`;
  const time = times[index];
  if (time === undefined || time === null) return count;
  const text = typeof time === "number" ? number(time, 4) : time;
  return `${text}${time_units && typeof time === "number" ? ` ${time_units}` : ""} (${count})`;
}
