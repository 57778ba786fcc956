/** `/`: the datasets that one may see, live. */

import { useCallback, useEffect, useState } from "preact/hooks";
import type { Dataset, Me } from "../api/datasets";
import { list, read, remove, restore } from "../api/datasets";
import { listen } from "../api/events";
import { DatasetCard } from "../parts/dataset-card";
import { EditDialog } from "../parts/edit-dialog";
import { Failure } from "../parts/failure";
import { RetryDialog } from "../parts/retry-dialog";
import { ShareDialog } from "../parts/share-dialog";
import { SignIn } from "../parts/sign-in";
import { t } from "../words";

const STATUSES = ["uploading", "conversion queued", "converting", "done", "conversion failed", "cancelled"];
const LIMIT = 60;

interface Filters {
  q: string;
  status: string;
  tag: string;
}

type Opened = { kind: "edit" | "share" | "retry"; uuid: string } | null;

export function Datasets({ me }: { me: Me | null }) {
  const [filters, setFilters] = useState<Filters>({ q: "", status: "", tag: "" });
  const [datasets, setDatasets] = useState<Dataset[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [opened, setOpened] = useState<Opened>(null);
  const [deleted, setDeleted] = useState<Dataset | null>(null);

  const load = useCallback((cursor = "") => {
    list({ ...filters, limit: LIMIT, cursor }).then((page) => {
      setDatasets((former) => (cursor ? [...(former ?? []), ...page.datasets] : page.datasets));
      setNext(page.next);
      setFailure(null);
    }, setFailure);
  }, [filters]);
  useEffect(() => {
    const timer = setTimeout(load, 200);
    return () => clearTimeout(timer);
  }, [load]);

  const changed = useCallback((dataset: Dataset) => {
    setDatasets((former) => former?.map((each) => (each.uuid === dataset.uuid ? dataset : each)) ?? null);
  }, []);
  useEffect(() => listen(
    (change) => setDatasets((former) => {
      if (!former?.some(({ uuid }) => uuid === change.uuid)) {
        load();
        return former;
      }
      const ended = change.stage === "done" || change.stage === "failed";
      if (ended) read(change.uuid).then(changed, () => undefined);
      return former.map((each) => (each.uuid === change.uuid ? { ...each, ...change } : each));
    }),
    (uuid) => setDatasets((former) => former?.filter((each) => each.uuid !== uuid) ?? null),
    () => load(),
  ), [load, changed]);

  const drop = (dataset: Dataset): void => {
    remove(dataset.uuid).then(() => {
      setDatasets((former) => former?.filter(({ uuid }) => uuid !== dataset.uuid) ?? null);
      setDeleted(dataset);
    }, setFailure);
  };
  const undo = (dataset: Dataset): void => {
    restore(dataset.uuid).then(() => { setDeleted(null); load(); }, setFailure);
  };
  const found = datasets?.find(({ uuid }) => uuid === opened?.uuid);
  const close = (): void => setOpened(null);

  return (
    <>
      <h1>{t("datasets")}</h1>
      {me && !me.email && me.auth !== "none" && <SignIn onDone={() => location.reload()} />}
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <label>{t("search")}<input type="search" value={filters.q} onInput={(event) => setFilters({ ...filters, q: event.currentTarget.value })} /></label>
        <label>{t("status")}
          <select value={filters.status} onChange={(event) => setFilters({ ...filters, status: event.currentTarget.value })}>
            <option value="">{t("all")}</option>
            {STATUSES.map((each) => <option key={each}>{each}</option>)}
          </select>
        </label>
        <label>{t("tag")}<input value={filters.tag} onInput={(event) => setFilters({ ...filters, tag: event.currentTarget.value })} /></label>
        <a class="button" href="./upload">{t("upload")}</a>
      </form>
      {failure !== null && <Failure error={failure} onRetry={() => load()} />}
      {datasets === null && failure === null && <p role="status">{t("loading")}</p>}
      {datasets?.length === 0 && <p class="drop">{t("no_datasets")} <a class="button" href="./upload">{t("upload")}</a></p>}
      <ul class="cards" aria-live="off">
        {datasets?.map((dataset) => (
          <DatasetCard
            key={dataset.uuid} dataset={dataset} onChanged={changed} onFailed={setFailure}
            onEdit={() => setOpened({ kind: "edit", uuid: dataset.uuid })}
            onShare={() => setOpened({ kind: "share", uuid: dataset.uuid })}
            onRetry={() => setOpened({ kind: "retry", uuid: dataset.uuid })}
            onDelete={() => drop(dataset)}
          />
        ))}
      </ul>
      {next && <p><button type="button" onClick={() => load(next)}>{t("more")}</button></p>}
      {found && opened?.kind === "edit" && <EditDialog dataset={found} onClose={close} onChanged={changed} />}
      {found && opened?.kind === "share" && <ShareDialog dataset={found} onClose={close} />}
      {found && opened?.kind === "retry" && <RetryDialog dataset={found} onClose={close} onChanged={changed} />}
      {deleted && (
        <div class="notice" role="status">
          <span>{t("deleted", { name: deleted.name })}</span>
          <button type="button" onClick={() => undo(deleted)}>{t("undo")}</button>
          <button type="button" onClick={() => setDeleted(null)}>{t("close")}</button>
        </div>
      )}
    </>
  );
}
