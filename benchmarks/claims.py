"""How fast services that compete empty a queue: ``python -m benchmarks.claims``.

Every service is a process with its own connection and watch. It claims until nothing is queued
and does nothing else, so that the figures are those of the queue. Wake-ups are what its watch
reports meanwhile: 1 at its start, and no more, because nobody's own writes wake anybody.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from pymongo import MongoClient

from scientistcloud.database.connection import connect
from scientistcloud.database.embedded import EmbeddedMongo
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.datasets.watch import watch_queue

LEASE_SECONDS = 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--services", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedMongo(Path(folder)) as url:
        with connect(url) as client:
            fill(client, options.documents)
        server = psutil.Process(int(Path(folder, "mongodb", "mongod.lock").read_text()))
        print(json.dumps(measure(url, server, options.documents, options.services), indent=2))


def fill(client: MongoClient[dict[str, Any]], documents: int) -> None:
    """Queue that many documents as an upload leaves them."""
    DatasetStore(client.claims, owner="", lease_seconds=LEASE_SECONDS).ensure_indexes()
    files = [f"slice_{number:04}.tif" for number in range(20)]
    client.claims.visstoredatas.insert_many(
        {"uuid": f"u{number}", "status": "conversion queued", "files": files}
        for number in range(documents)
    )


def measure(url: str, server: psutil.Process, documents: int, services: int) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    results, ready = context.Queue(), context.Barrier(services + 1)
    workers = [
        context.Process(target=serve, args=(url, f"service {number}", ready, results))
        for number in range(services)
    ]
    for worker in workers:
        worker.start()
    ready.wait(60)
    begun, cpu = time.monotonic(), sum(server.cpu_times()[:2])
    found = [results.get(timeout=600) for _ in workers]
    seconds = time.monotonic() - begun
    for worker in workers:
        worker.join(60)
    claimed = [uuid for each in found for uuid in each["claimed"]]
    return {
        "documents": documents,
        "services": services,
        "claimed": len(claimed),
        "claimed_twice": len(claimed) - len(set(claimed)),
        "claims_per_second": round(len(claimed) / seconds),
        "service_cpu_ms_per_claim": round(1000 * sum(e["cpu"] for e in found) / documents, 2),
        "server_cpu_ms_per_claim": round(1000 * (sum(server.cpu_times()[:2]) - cpu) / documents, 2),
        "wake_ups": [each["wakes"] for each in found],
    }


def serve(url: str, owner: str, ready: Any, results: Any) -> None:
    stop, watching = threading.Event(), threading.Event()
    wakes: list[None] = []
    with connect(url) as client:
        store = DatasetStore(client.claims, owner=owner, lease_seconds=LEASE_SECONDS)
        thread = threading.Thread(
            target=watch_queue,
            args=(store.collection, lambda: wakes.append(None), stop),
            kwargs={"watching": lambda _: watching.set()},
        )
        thread.start()
        watching.wait(30)
        ready.wait(60)
        cpu = time.process_time()
        claimed = [claim.uuid for claim in iter(store.claim, None)]
        cpu = time.process_time() - cpu
        results.put({"claimed": claimed, "cpu": cpu, "wakes": len(wakes)})
        stop.set()
        thread.join()


if __name__ == "__main__":
    main()
