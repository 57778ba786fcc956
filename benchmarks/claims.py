"""How services that compete empty a queue, and what it costs: ``python -m benchmarks.claims``.

Every service is a process with its own connection and watch, and does nothing but claim, so that
the figures are those of the queue. `backlog`: all documents are queued at the start. `stream`:
services are idle and documents are queued one by one, as many a second as `--rate` says; each is
completed as soon as it is claimed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from pymongo import MongoClient

from scientistcloud.database.connection import connect
from scientistcloud.database.embedded import EmbeddedMongo
from scientistcloud.datasets.documents.document import PortalSummary
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.datasets.watching.changes import watch_queue

LEASE_SECONDS = 3600.0
OPERATIONS = ("query", "update", "getmore", "command")
CASES = ("backlog", "stream")
FILES = [f"slice_{number:04}.tif" for number in range(20)]


@dataclass
class Served:
    """What one service did: its claims, events of its watch, looks after these, and vain looks."""

    claimed: list[str] = field(default_factory=list)
    events: int = 0
    wakes: int = 0
    vain: int = 0
    cpu_seconds: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="backlog or stream; both")
    parser.add_argument("--documents", type=int, default=10_000, help="of the backlog")
    parser.add_argument("--services", type=int, default=8)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--limit", type=int, default=0, help="conversions of one user at a time")
    parser.add_argument("--rate", type=float, default=50.0, help="documents a second, streamed")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the stream")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cases = options.cases or CASES
    if not set(cases) <= set(CASES):
        parser.error(f"the cases are {' and '.join(CASES)}")
    with tempfile.TemporaryDirectory() as folder, EmbeddedMongo(Path(folder)) as url:
        server = psutil.Process(int(Path(folder, "mongodb", "mongod.lock").read_text()))
        found = {case: measure(url, server, case, options) for case in cases}
    print(json.dumps(found, indent=2) if options.json else table(found))


def documents(number: int, users: int) -> list[dict[str, Any]]:
    """Documents as an upload leaves them."""
    return [
        {"uuid": f"u{n}", "status": "conversion queued", "user": f"u{n % users}", "files": FILES}
        for n in range(number)
    ]


def measure(
    url: str, server: psutil.Process, case: str, options: argparse.Namespace
) -> dict[str, Any]:
    number = options.documents if case == "backlog" else round(options.rate * options.seconds)
    with connect(url) as client:
        database = client[f"claims_{case}"]
        DatasetStore(database, owner="", lease_seconds=LEASE_SECONDS).ensure_indexes()
        made = documents(number, options.users)
        if case == "backlog":
            database.visstoredatas.insert_many(made)
        context = multiprocessing.get_context("spawn")
        results, ready = context.Queue(), context.Barrier(options.services + 1)
        over = context.Event()
        common = (url, database.name, case == "stream", options.limit, ready, over, results)
        workers = [
            context.Process(target=serve, args=(f"service {n}", *common))
            for n in range(options.services)
        ]
        for worker in workers:
            worker.start()
        ready.wait(60)
        begun, cpu, before = time.monotonic(), sum(server.cpu_times()[:2]), counters(client)
        if case == "stream":
            for each in made:
                database.visstoredatas.insert_one(each)
                threading.Event().wait(1 / options.rate)
        while database.visstoredatas.find_one({"status": "conversion queued"}, {"_id": 1}):
            threading.Event().wait(0.1)
        seconds, after = time.monotonic() - begun, counters(client)
        cpu = sum(server.cpu_times()[:2]) - cpu
        over.set()
        found = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
    operations = {name: after[name] - before[name] for name in OPERATIONS}
    return summary(found, number, seconds, cpu, operations)


def counters(client: MongoClient[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = client.admin.command("serverStatus")["opcounters"]
    return found


def summary(
    found: list[Served], number: int, seconds: float, cpu: float, operations: dict[str, int]
) -> dict[str, Any]:
    claimed = [uuid for each in found for uuid in each.claimed]
    return {
        "documents": number,
        "services": len(found),
        "claimed": len(claimed),
        "claimed twice": len(claimed) - len(set(claimed)),
        "claims a second": round(len(claimed) / seconds),
        "service CPU ms a dataset": round(1000 * sum(e.cpu_seconds for e in found) / number, 2),
        "server CPU ms a dataset": round(1000 * cpu / number, 2),
        "events of the watch a dataset": round(sum(e.events for e in found) / number, 2),
        "wake-ups a dataset": round(sum(e.wakes for e in found) / number, 2),
        "vain looks a dataset": round(sum(e.vain for e in found) / number, 2),
        **{f"{name} a dataset": round(n / number, 2) for name, n in operations.items()},
        "by service": [asdict(each) | {"claimed": len(each.claimed)} for each in found],
    }


def table(found: dict[str, dict[str, Any]]) -> str:
    """The figures as Markdown, a column a case."""
    lines = [f"| | {' | '.join(found)} |", "|---" * (len(found) + 1) + "|"]
    names = [name for name in next(iter(found.values())) if name != "by service"]
    lines += [f"| {n} | {' | '.join(str(each[n]) for each in found.values())} |" for n in names]
    return "\n".join(lines)


def serve(
    owner: str, url: str, name: str, settle: bool, limit: int, ready: Any, over: Any, results: Any
) -> None:
    """As a service's dispatcher does: claim while there is something, sleep until woken."""
    stop, watching, wake = threading.Event(), threading.Event(), threading.Event()
    served = Served()

    def event() -> None:
        served.events += 1
        wake.set()

    with connect(url) as client:
        store = DatasetStore(
            client[name], owner=owner, lease_seconds=LEASE_SECONDS, limit_per_user=limit
        )
        thread = threading.Thread(
            target=watch_queue,
            args=(store.collection, event, stop),
            kwargs={"watching": lambda _: watching.set()},
        )
        thread.start()
        watching.wait(30)
        ready.wait(60)
        cpu = time.process_time()
        while not over.is_set():
            wake.clear()
            claim = store.claim()
            if claim is None:
                served.vain += 1
                due = store.next_due_seconds()
                served.wakes += wake.wait(0.5 if due is None else min(0.5, due))
                continue
            served.claimed.append(claim.uuid)
            if settle or limit:
                store.complete(claim, PortalSummary())
        served.cpu_seconds = time.process_time() - cpu
        stop.set()
        thread.join()
    results.put(served)


if __name__ == "__main__":
    main()
