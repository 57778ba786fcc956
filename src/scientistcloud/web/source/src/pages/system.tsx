/** `/system`: whether all is well, for operators. */

import { useEffect, useState } from "preact/hooks";
import { get } from "../api/client";
import { Failure } from "../parts/failure";
import { duration, number, size, t } from "../words";

interface System {
  counts: Record<string, number>;
  services: { owner: string; version: string; host: string; held: number; seen_seconds: number; faults: Record<string, string> }[];
  disks: { name: string; free_bytes: number; total_bytes: number }[];
  failures: { code: string; count: number }[];
  users: { owner: string; datasets: number; bytes: number }[];
  oldest_queued_seconds: number | null;
}

const SECONDS = 5;

export function SystemPage() {
  const [system, setSystem] = useState<System | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  useEffect(() => {
    const load = (): void => void get<System>("system").then((found) => { setSystem(found); setFailure(null); }, setFailure);
    load();
    const timer = setInterval(load, SECONDS * 1000);
    return () => clearInterval(timer);
  }, []);
  if (failure !== null && !system) return <Failure error={failure} />;
  if (!system) return <p role="status">{t("loading")}</p>;
  return (
    <>
      <h1>{t("system")}</h1>
      {failure !== null && <Failure error={failure} />}
      {system.services.length === 0 && <p class="failure" role="alert">{t("no_service")}</p>}
      <div class="tiles">
        {Object.entries(system.counts).map(([status, count]) => <div class="tile" key={status}><strong>{number(count)}</strong>{status}</div>)}
        {system.oldest_queued_seconds !== null && <div class="tile"><strong>{duration(system.oldest_queued_seconds)}</strong>{t("oldest")}</div>}
        {system.disks.map((disk) => (
          <div class="tile" key={disk.name}><strong>{size(disk.free_bytes)}</strong>{t("free_of", { name: disk.name, size: size(disk.total_bytes) })}
            <progress max={disk.total_bytes} value={disk.total_bytes - disk.free_bytes} aria-label={disk.name} /></div>
        ))}
      </div>
      <Table title={t("services")} head={[t("name"), t("version"), t("converts"), t("faults")]}
        rows={system.services.map((each) => [each.owner, each.version, number(each.held), Object.values(each.faults).join(" ")])} />
      <Table title={t("failures")} head={["Code", t("count")]} rows={system.failures.map((each) => [each.code, number(each.count)])} />
      <Table title={t("storage")} head={[t("owner"), t("datasets"), t("size")]} rows={system.users.map((each) => [each.owner, number(each.datasets), size(each.bytes)])} />
    </>
  );
}

function Table({ title, head, rows }: { title: string; head: string[]; rows: string[][] }) {
  if (!rows.length) return null;
  return (
    <section>
      <h2>{title}</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label={title}>
        <table>
          <thead><tr>{head.map((each) => <th key={each} scope="col">{each}</th>)}</tr></thead>
          <tbody>{rows.map((row) => <tr key={row.join()}>{row.map((each, index) => <td key={index} dir="auto">{each}</td>)}</tr>)}</tbody>
        </table>
      </div>
    </section>
  );
}
