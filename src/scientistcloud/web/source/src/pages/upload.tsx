/** `/upload`: files or folders, dropped or chosen, become a dataset. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Dataset } from "../api/datasets";
import { create, finish, read } from "../api/datasets";
import { listen } from "../api/events";
import { pickedFiles, pickedFrom, Uploading, type Picked, type UploadProgress } from "../api/uploading";
import { stageInWords } from "../parts/dataset-card";
import { Failure } from "../parts/failure";
import { Glimpses } from "../parts/glimpses";
import { Inspection } from "../parts/inspection";
import { SENSORS } from "../parts/sensors";
import { duration, number, size, t } from "../words";

const HIDDEN = /(^|\/)(\.|Thumbs\.db$|desktop\.ini$|__MACOSX\/)/;
const ORDER = new Intl.Collator(undefined, { numeric: true });
const SHOWN = 200;
const KEPT = "upload-under-way";

export function UploadPage() {
  const [picked, setPicked] = useState<Picked[]>([]);
  const [isOver, setOver] = useState(false);
  const [progress, setProgress] = useState<UploadProgress | null>(null);
  const [dataset, setDataset] = useState<Dataset | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [isToBeLookedAt, setToBeLookedAt] = useState(false);
  const uploading = useRef<Uploading | null>(null);

  useEffect(() => {
    const warn = (event: BeforeUnloadEvent): void => {
      if (uploading.current) event.preventDefault();
    };
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, []);
  useEffect(() => {
    const former = new URLSearchParams(location.search).get("of");
    if (former) read(former).then((found) => { setToBeLookedAt(true); setDataset(found); }, setFailure);
  }, []);
  useEffect(() => {
    if (!dataset) return;
    return listen(
      (change) => {
        if (change.uuid !== dataset.uuid) return;
        if (change.stage === "done" || change.stage === "failed") read(dataset.uuid).then(setDataset, setFailure);
        else setDataset((former) => former && { ...former, ...change });
      },
      () => undefined,
      () => void read(dataset.uuid).then(setDataset, setFailure),
    );
  }, [dataset?.uuid]);

  const pick = (found: Picked[]): void => {
    const plain = found.filter(({ path }) => !HIDDEN.test(path));
    setPicked((former) => {
      const known = new Set(former.map(({ path }) => path));
      const all = [...former, ...plain.filter(({ path }) => !known.has(path))];
      return all.sort((one, other) => ORDER.compare(one.path, other.path));
    });
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer) pickedFrom(event.dataTransfer.items).then(pick, setFailure);
  };
  const send = (event: SubmitEvent): void => {
    event.preventDefault();
    setFailure(null);
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const isLook = (event.submitter as HTMLButtonElement | null)?.value === "look";
    const name = String(form.get("name") || nameOf(picked));
    const tags = String(form.get("tags") ?? "").split(",").map((each) => each.trim()).filter(Boolean);
    const body = { name, sensor: String(form.get("sensor")), tags, ...(!isLook && { files: picked.length }) };
    create(body, keyOf(picked, name)).then((made) => {
      setDataset(made);
      uploading.current = new Uploading(made.uuid, picked, setProgress, (failed) => {
        uploading.current = null;
        sessionStorage.removeItem(KEPT);
        localStorage.removeItem(keyName(picked, name));
        if (failed.length) setFailure(new Error(t("files_failed", { count: failed.length, names: failed.slice(0, 5).join(", ") })));
        else if (isLook) read(made.uuid).then((now) => { setToBeLookedAt(true); setDataset(now); }, setFailure);
        else finish(made.uuid).then(setDataset, () => read(made.uuid).then(setDataset, setFailure));
      });
      uploading.current.start();
    }, setFailure);
  };

  const bytes = picked.reduce((sum, { file }) => sum + file.size, 0);
  return (
    <>
      <h1>{t("upload")}</h1>
      {!dataset && (
        <div
          class={`drop ${isOver ? "over" : ""}`}
          onDragOver={(event) => { event.preventDefault(); setOver(true); }}
          onDragLeave={() => setOver(false)} onDrop={drop}
        >
          <p>{t("drop_here")}</p>
          <div class="row">
            <label class="button">{t("choose_files")}
              <input type="file" multiple aria-label={t("choose_files")} onChange={(event) => { if (event.currentTarget.files) pick(pickedFiles(event.currentTarget.files)); }} />
            </label>
            <label class="button">{t("choose_folder")}
              <input type="file" multiple aria-label={t("choose_folder")} {...{ webkitdirectory: true }} onChange={(event) => { if (event.currentTarget.files) pick(pickedFiles(event.currentTarget.files)); }} />
            </label>
          </div>
        </div>
      )}
      {picked.length > 0 && !dataset && (
        <form class="stack" onSubmit={send}>
          <p><strong>{t("files_of", { count: number(picked.length), size: size(bytes) })}</strong> <button type="button" onClick={() => setPicked([])}>{t("clear")}</button></p>
          <label>{t("name")}<input name="name" maxLength={255} defaultValue={nameOf(picked)} /></label>
          <label>{t("sensor")}<select name="sensor">{SENSORS.map((each) => <option key={each} value={each}>{each === "OTHER" ? t("found_out") : each}</option>)}</select></label>
          <label>{t("tags")}<input name="tags" /></label>
          <div class="row">
            <button class="main">{t("send")}</button>
            <button name="then" value="look">{t("send_look")}</button>
          </div>
          <div class="scroll">
            <table>
              <thead><tr><th>{t("name")}</th><th class="number">{t("size")}</th></tr></thead>
              <tbody>
                {picked.slice(0, SHOWN).map(({ path, file }) => <tr key={path}><td dir="auto">{path}</td><td class="number">{size(file.size)}</td></tr>)}
              </tbody>
            </table>
          </div>
          {picked.length > SHOWN && <p>{t("and_more", { count: number(picked.length - SHOWN) })}</p>}
        </form>
      )}
      {dataset && <Way dataset={dataset} progress={progress} isToBeLookedAt={isToBeLookedAt} onStarted={(now) => { setToBeLookedAt(false); setDataset(now); }} />}
      {failure !== null && <Failure error={failure} />}
    </>
  );
}

interface WayProps {
  dataset: Dataset;
  progress: UploadProgress | null;
  isToBeLookedAt: boolean;
  onStarted: (dataset: Dataset) => void;
}

/** Upload, check and conversion as separate stages: never "100 %" and silence. */
function Way({ dataset, progress, isToBeLookedAt, onStarted }: WayProps) {
  const left = progress && progress.rate > 0 ? (progress.bytes - progress.sent) / progress.rate : null;
  const isSending = dataset.stage === "upload";
  return (
    <section class="tile stack" aria-live="polite" data-stage={dataset.stage} data-uuid={dataset.uuid}>
      <h2 dir="auto">{dataset.name}</h2>
      {progress && (
        <>
          <progress max={progress.bytes || 1} value={progress.sent} aria-label={t("upload")} />
          <p>
            {t("sent_of", { done: number(progress.done), files: number(progress.files), sent: size(progress.sent), size: size(progress.bytes) })}
            {isSending && progress.rate > 0 && ` · ${size(progress.rate)}/s`}
            {isSending && left !== null && left > 0 && ` · ${t("left", { time: duration(left) })}`}
          </p>
          {progress.problem && <p class="error">{progress.problem} {t("tries_again")}</p>}
        </>
      )}
      {!isSending && (
        <p>
          <span class={`badge ${dataset.stage === "done" ? "done" : dataset.stage === "failed" ? "failed" : "busy"}`}>{stageInWords(dataset.stage, dataset.status)}</span>{" "}
          {dataset.percent > 0 && dataset.stage !== "done" && `${number(dataset.percent)} %`} {dataset.waiting}
        </p>
      )}
      {dataset.error && <div class="error"><p>{dataset.error.message}</p><p><strong>{t("what_to_do")}</strong> {dataset.error.remedy}</p></div>}
      {isToBeLookedAt && <Inspection dataset={dataset} onStarted={onStarted} />}
      {!isSending && !isToBeLookedAt && dataset.stage !== "failed" && <Glimpses uuid={dataset.uuid} />}
      <div class="row">
        {dataset.has_result && <a class={`button${isToBeLookedAt ? "" : " main"}`} href={`./view/${encodeURIComponent(dataset.uuid)}`}>{t("look")}</a>}
        <a class="button" href="./">{t("datasets")}</a>
        {(dataset.stage === "done" || dataset.stage === "failed") && <button type="button" onClick={() => location.reload()}>{t("another")}</button>}
      </div>
    </section>
  );
}

function nameOf(picked: Picked[]): string {
  const first = picked[0]?.path ?? "";
  const [folder, rest] = first.split("/");
  return rest === undefined ? first.replace(/\.[^.]+$/, "") : (folder as string);
}

function keyName(picked: Picked[], name: string): string {
  const bytes = picked.reduce((sum, { file }) => sum + file.size + file.lastModified % 1000, 0);
  return `upload|${name}|${picked.length}|${bytes}`;
}

/** The same files picked again, after the browser was closed, go on with the same dataset. */
function keyOf(picked: Picked[], name: string): string {
  const key = keyName(picked, name);
  const kept = localStorage.getItem(key) ?? crypto.randomUUID();
  localStorage.setItem(key, kept);
  return kept;
}
