"""How fast a service picks up and converts, what it costs when idle, and what memory it holds.

Run ``python -m benchmarks.service [pickup|idle|throughput|memory ...]``; it starts a MongoDB and a
service of its own in a temporary folder. ``--stacks`` and ``--edge`` set the size of the task.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tifffile

from scientistcloud.database.embedded import EmbeddedMongo
from tests.site import DONE, FAILED, QUEUED, Site, processes_of, until


@contextlib.contextmanager
def site(folder: Path) -> Iterator[Site]:
    """A site on a MongoDB of its own."""
    settings = {"LEASE_SECONDS": "15", "LEASE_RENEW_SECONDS": "3"}
    with (
        EmbeddedMongo(folder / "mongo") as url,
        contextlib.closing(Site(folder / "site", url, "benchmark", settings=settings)) as made,
    ):
        yield made


def started(made: Site) -> Any:
    service = made.start()
    until(lambda: len(processes_of(service)) >= 2, 30)
    first, _ = made.stack()
    made.queue(first)
    made.wait(first, DONE)
    return service


def pickup(folder: Path, _: argparse.Namespace) -> dict[str, float]:
    """Seconds from `conversion queued` to `converting`, one dataset at a time."""
    with site(folder) as made:
        started(made)
        delays = []
        for number in range(100):
            name, _samples = made.stack((2, 16, 16), number)
            made.queue(name)
            queued = time.monotonic()
            until(lambda name=name: made.find(name)["status"] != QUEUED, pause_seconds=0.002)
            delays.append(time.monotonic() - queued)
            made.wait(name, DONE, FAILED)
            time.sleep(0.05)
        delays.sort()
        return {"p50_seconds": statistics.median(delays), "p99_seconds": delays[98]}


def idle(folder: Path, _: argparse.Namespace) -> dict[str, float]:
    """Processor time of an idle service and its warm process, as a part of one core."""
    with site(folder) as made:
        service = started(made)
        time.sleep(3)
        before = cpu_seconds(processes_of(service))
        time.sleep(30)
        return {"part_of_a_core": (cpu_seconds(processes_of(service)) - before) / 30}


def throughput(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Stacks of 8 slices of 64x64 a minute, the start of the service included."""
    with site(folder) as made:
        stacks = dict(made.stack((8, 64, 64), seed) for seed in range(options.stacks))
        made.queue(*stacks)
        clock = time.monotonic()
        service = made.start("--drain")
        _, status, usage = os.wait4(service.pid, 0)  # with what its processes used
        service.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - clock
        cpu_seconds = usage.ru_utime + usage.ru_stime
        for name, samples in stacks.items():
            assert made.find(name)["status"] == DONE
            assert np.array_equal(made.read(name), samples)
        return {
            "stacks": options.stacks,
            "per_minute": options.stacks / seconds * 60,
            "cpu_seconds_each": cpu_seconds / options.stacks,
        }


def memory(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Peak of the sum of PSS of service, warm process and child, on one uint16 TIFF stack."""
    with site(folder) as made:
        service = started(made)
        edge = options.edge
        name = str(uuid.uuid4())
        (made.upload / name).mkdir()
        random = np.random.default_rng(0)
        for z in range(edge):
            page = (random.integers(0, 256, (edge, edge)) + 32 * z).astype(np.uint16)
            tifffile.imwrite(made.upload / name / f"slice_{z:05}.tif", page)
        peak, ended = 0, threading.Event()

        def watch() -> None:
            nonlocal peak
            while not ended.wait(0.02):
                peak = max(peak, sum(_pss_bytes(each) for each in processes_of(service)))

        watcher = threading.Thread(target=watch)
        watcher.start()
        made.datasets.insert_one({"uuid": name, "status": QUEUED})
        document = made.wait(name, DONE, FAILED, seconds=3600)
        ended.set()
        watcher.join()
        assert document["status"] == DONE, document
        return {
            "edge": edge,
            "peak_pss_mb": peak / 1e6,
            "seconds": document["conversion"]["result"]["seconds"],
            "cpu_seconds": document["conversion"]["result"]["cpu_seconds"],
        }


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Processor time of these processes so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _pss_bytes(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_full_info().pss)
    return 0


CASES = {"pickup": pickup, "idle": idle, "throughput": throughput, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--stacks", type=int, default=200)
    parser.add_argument("--edge", type=int, default=512)
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    for case in options.cases or CASES:
        with tempfile.TemporaryDirectory() as folder:
            print(case, json.dumps(CASES[case](Path(folder), options)), flush=True)


if __name__ == "__main__":
    main()
