"""How many small datasets a service converts in a minute, and what it holds more after thousands.

Run ``python -m benchmarks.leaks``: 2,000 stacks of 8 slices of 64x64 to warm up, then 20,000, each
in a child of its own. ``--warm-up``, ``--datasets`` and ``--batch`` set other numbers, ``--json``
writes all that was measured into a file, ``--folder`` says where to work (5 GB for 22,000).

Between batches the service rests and is measured. Exit status 1: it grew by more than 1 MB in
10,000 datasets, descriptors, threads, processes or scratch files became more, or a result is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tifffile
from numpy.typing import NDArray

from benchmarks.footprint import COUNTED, Footprint, grown, growth, measure
from benchmarks.service import cpu_seconds, site
from tests.site import CONVERTING, DONE, QUEUED, Site, processes_of, until

ALLOWED_BYTES = 1_000_000
"""By which the memory may grow over 10,000 datasets."""

_SHAPE = (8, 64, 64)
_KINDS = 8
_COMPARED = 50  # one result of so many


@dataclass
class Stacks:
    """Uploads that are cheap to make by the thousand: hard links to a few sets of slices."""

    made: Site
    samples: list[NDArray[Any]] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in range(_KINDS):
            random = np.random.default_rng(kind)
            self.samples.append(random.integers(1, 60_000, _SHAPE, dtype=np.uint16))
            folder = self.made.root / "slices" / str(kind)
            folder.mkdir(parents=True)
            for number, page in enumerate(self.samples[kind]):
                tifffile.imwrite(folder / f"slice_{number}.tif", page)

    def upload(self, count: int) -> list[str]:
        """Put so many stacks into the upload folder; their uuids."""
        return [self._link(number % _KINDS) for number in range(count)]

    def _link(self, kind: int) -> str:
        name = str(uuid.uuid4())
        folder = self.made.upload / name
        folder.mkdir()
        for number in range(_SHAPE[0]):
            file_name = f"slice_{number}.tif"
            os.link(self.made.root / "slices" / str(kind) / file_name, folder / file_name)
        self.kinds[name] = kind
        return name

    def is_right(self, name: str) -> bool:
        """Whether OpenVisus reads from the published dataset what was uploaded."""
        return np.array_equal(self.made.read(name), self.samples[self.kinds[name]])


class Run:
    """One service that converts batch after batch, and what was measured of it."""

    def __init__(self, made: Site) -> None:
        self._made = made
        self._scratch = [made.converted / ".staging", made.root / "scratch"]
        self._scratch[1].mkdir()
        self._stacks = Stacks(made)
        self._service = made.start(TMPDIR=str(self._scratch[1]))
        until(lambda: len(processes_of(self._service)) == 2, 60)
        self._warm = processes_of(self._service)[1].pid
        self._done: list[str] = []
        self.footprints: list[Footprint] = []
        self.seconds = 0.0

    def convert(self, count: int, batch: int) -> None:
        """Have so many datasets converted, a batch at a time, and measure after each."""
        for first in range(0, count, batch):
            names = self._stacks.upload(min(batch, count - first))
            started = time.monotonic()
            self._made.queue(*names)
            until(self._is_drained, 60 + len(names), self._made.logs, pause_seconds=0.1)
            self.seconds += time.monotonic() - started
            self._done += names
            until(lambda: len(processes_of(self._service)) == 2, 30)
            time.sleep(1.0)  # until threads and connections of the last attempts have ended
            self.footprints.append(self.footprint())

    def footprint(self) -> Footprint:
        return measure(processes_of(self._service), self._scratch, len(self._done))

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far, by what it was used for."""
        lock = self._made.root.parent / "mongo" / "mongodb" / "mongod.lock"
        warm = psutil.Process(self._warm)
        ended = warm.cpu_times()
        return {
            "service": cpu_seconds([psutil.Process(self._service.pid)]),
            "fork": cpu_seconds([warm]),
            "children": ended.children_user + ended.children_system,
            "mongod": cpu_seconds([psutil.Process(int(lock.read_text()))]),
        }

    def wrong(self) -> list[str]:
        """Datasets that were not converted, or (looking at some) whose samples are not right."""
        query = {"uuid": {"$in": self._done}, "status": {"$ne": DONE}}
        failed = [found["uuid"] for found in self._made.datasets.find(query, {"uuid": 1})]
        seen = [name for name in self._done[::_COMPARED] if name not in failed]
        return failed + [name for name in seen if not self._stacks.is_right(name)]

    def _is_drained(self) -> bool:
        waiting = {"status": {"$in": [QUEUED, CONVERTING]}}
        return self._made.datasets.count_documents(waiting, limit=1) == 0


def report(run: Run, warm: int, before: dict[str, float], seconds: float) -> dict[str, Any]:
    """Everything measured after the first `warm` datasets."""
    after, settled = run.cpu_seconds(), [x for x in run.footprints if x.datasets >= warm]
    count = settled[-1].datasets - warm
    return {
        "datasets": count,
        "per_minute": count / (run.seconds - seconds) * 60,
        "cpu_ms_each": {name: (after[name] - before[name]) / count * 1e3 for name in after},
        "growth_per_10000": growth(settled),
        "grown": grown(settled),
        "wrong": run.wrong(),
        "footprints": [asdict(each) for each in run.footprints],
    }


def show(found: dict[str, Any]) -> bool:
    """Print the report; whether the service holds no more than it may."""
    each, growing, last = found["cpu_ms_each"], found["growth_per_10000"], found["footprints"][-1]
    print(f"{found['datasets']} datasets, {found['per_minute']:.0f} a minute")
    parts = ", ".join(f"{name} {value:.1f}" for name, value in each.items())
    print(f"processor time for each: {sum(each.values()):.1f} ms ({parts})")
    for name in ("own_bytes", "pss_bytes"):
        print(f"{name}: {last[name] / 1e6:.1f} MB, {growing[name] / 1e6:+.3f} MB in 10,000")
    for name in COUNTED:
        print(f"{name}: {last[name]}, {growing[name]:+.1f} in 10,000")
    print(f"grown: {found['grown'] or 'nothing'}; wrong: {len(found['wrong'])}")
    return bool(growing["own_bytes"] < ALLOWED_BYTES and not found["grown"] and not found["wrong"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warm-up", type=int, default=2_000)
    parser.add_argument("--datasets", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, site(Path(folder)) as made:
        run = Run(made)
        run.convert(options.warm_up, options.batch)
        before, seconds = run.cpu_seconds(), run.seconds
        run.convert(options.datasets, options.batch)
        found = report(run, options.warm_up, before, seconds)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0 if show(found) else 1


if __name__ == "__main__":
    sys.exit(main())
