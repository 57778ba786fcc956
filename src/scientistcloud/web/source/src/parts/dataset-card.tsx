/** One dataset in the list: picture, what becomes of it, what can be done to it. */

import { useState } from "preact/hooks";
import type { Dataset } from "../api/datasets";
import { cancel, thumbnail, zipOf } from "../api/datasets";
import { duration, number, size, t } from "../words";

interface Props {
  dataset: Dataset;
  onChanged: (dataset: Dataset) => void;
  onEdit: () => void;
  onShare: () => void;
  onRetry: () => void;
  onDelete: () => void;
  onFailed: (error: unknown) => void;
}

const BUSY = ["upload", "queue", "reading", "unpacking", "converting", "verifying", "publishing"];

export function DatasetCard({ dataset, onChanged, onEdit, onShare, onRetry, onDelete, onFailed }: Props) {
  const { uuid, name, stage, rights } = dataset;
  const kind = stage === "done" ? "done" : stage === "failed" ? "failed" : BUSY.includes(stage) ? "busy" : "";
  const view = `./view/${encodeURIComponent(uuid)}`;
  return (
    <li class="card" data-uuid={uuid} data-stage={stage}>
      {dataset.has_result
        ? <a class="thumb" href={view} tabIndex={-1} aria-hidden="true"><Thumbnail key={dataset.completed_at} uuid={uuid} /></a>
        : <div class="thumb" aria-hidden="true"><span class="faint">{t(stage === "failed" ? "no_picture" : "no_picture_yet")}</span></div>}
      <div class="text">
        <h2 dir="auto">{dataset.has_result ? <a href={view}>{name}</a> : name}</h2>
        <span class={`badge ${kind}`}>{stageInWords(stage, dataset.status)}</span>
        {kind === "busy" && <Progress dataset={dataset} />}
        {dataset.error && (
          <div class="error">
            <p dir="auto">{dataset.error.message}</p>
            <p dir="auto"><strong>{t("what_to_do")}</strong> {dataset.error.remedy}</p>
          </div>
        )}
        <small>
          {[dataset.dimensions?.replaceAll("x", " × "), dataset.size_bytes ? size(dataset.size_bytes) : "",
            dataset.created_at ? new Date(dataset.created_at).toLocaleString() : ""].filter(Boolean).join(" · ")}
        </small>
        {dataset.tags.length > 0 && <div class="tags">{dataset.tags.map((tag) => <span key={tag} dir="auto">{tag}</span>)}</div>}
        <div class="row">
          {dataset.has_result && <a class="button" href={view}>{t("look")}</a>}
          {stage === "upload" && rights.includes("change") && (dataset.files ?? 0) > 0 && (
            <a class="button" href={`./upload?of=${encodeURIComponent(uuid)}`}>{t("look_first")}</a>
          )}
          {rights.includes("change") && (stage === "failed" || stage === "done" || stage === "cancelled") && (
            <button type="button" onClick={onRetry}>{t("convert_again")}</button>
          )}
          {rights.includes("change") && BUSY.slice(1).includes(stage) && (
            <button type="button" onClick={() => cancel(uuid).then(onChanged, onFailed)}>{t("cancel")}</button>
          )}
          {rights.includes("change") && <button type="button" onClick={onEdit}>{t("edit")}</button>}
          {rights.includes("manage") && <button type="button" onClick={onShare}>{t("share")}</button>}
          {rights.includes("download") && (dataset.files ?? 0) > 0 && <a class="button" href={zipOf(uuid, "upload")} download>{t("files")}</a>}
          {rights.includes("delete") && <button type="button" class="bad" onClick={onDelete}>{t("delete")}</button>}
        </div>
      </div>
    </li>
  );
}

function Thumbnail({ uuid }: { uuid: string }) {
  const [isGone, setGone] = useState(false);
  if (isGone) return <span class="faint">{t("no_picture")}</span>;
  return <img src={thumbnail(uuid)} alt="" loading="lazy" onError={() => setGone(true)} />;
}

function Progress({ dataset }: { dataset: Dataset }) {
  const { percent, seconds_left: left, queue_position: place, waiting } = dataset;
  const parts = [
    dataset.stage === "queue" && place !== null && place !== undefined ? t("place", { place: number(place) }) : "",
    percent > 0 ? `${number(percent)} %` : "",
    left ? t("left", { time: duration(left) }) : "",
  ].filter(Boolean);
  return (
    <>
      <progress max="100" value={dataset.stage === "queue" || percent === 0 ? undefined : percent} aria-label={t("progress")} />
      <small>{parts.join(" · ")}{waiting && ` ${waiting}`}</small>
    </>
  );
}

const STAGES = ["upload", "queue", "reading", "unpacking", "converting", "verifying", "publishing", "done", "failed", "cancelled"] as const;

export function stageInWords(stage: string, status: string): string {
  const known = STAGES.find((each) => each === stage);
  return known ? t(`stage_${known}`) : status;
}
