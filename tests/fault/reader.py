"""Reads published datasets with OpenVisus all the time, as a viewer would, and notes what it saw.

    python -m tests.fault.reader CONVERTED NOTES

A dataset ``chaos-<k>`` is uniform with the value ``k * 65536 + version``. NOTES gets a line of JSON
for every generation seen first, and for every wrong value: several values in one volume, those of
another dataset, or a version older than one seen before.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import OpenVisus as ov  # noqa: N813  its own convention

_TEMPLATE = re.compile(r"^\(filename_template\)\s*\n\s*\./visus/([0-9A-Za-z]+)/", re.MULTILINE)
PAUSE_SECONDS = 0.02


def generation(header: Path) -> str:
    """The generation that a header names; "" where there is none."""
    with suppress(OSError):
        found = _TEMPLATE.search(header.read_text())
        return found.group(1) if found else ""
    return ""


def look(header: Path) -> list[int] | None:
    """The values of the volume; None if it cannot be opened."""
    try:
        dataset = ov.LoadDataset(str(header))
        return np.unique(np.asarray(dataset.read())).tolist() if dataset else None
    except Exception as error:  # OpenVisus raises what it likes
        print(f"{header}: {error}", file=sys.stderr, flush=True)
        return None


def judge(name: str, values: list[int] | None, newest: int) -> tuple[int, str]:
    """The version seen, and what is wrong about it ("" if nothing)."""
    if values is None:
        return 0, "cannot be opened"
    if len(values) != 1:
        return 0, f"{len(values)} values in one volume: {values[:4]}"
    index, version = divmod(values[0], 65536)
    if name != f"chaos-{index}":
        return version, f"the value {values[0]} of another dataset"
    return version, f"version {version} after {newest}" if version < newest else ""


class Watch:
    """What has been seen of every dataset."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes
        self._newest: dict[str, int] = {}
        self._seen: set[tuple[str, str]] = set()

    def look_at(self, header: Path) -> None:
        name = header.parent.name
        before = generation(header)
        if not before:
            return
        values = look(header)
        after = generation(header)
        version, wrong = judge(name, values, self._newest.get(name, 0))
        if wrong:
            there = (header.parent / "visus" / before).is_dir()
            self.note(uuid=name, generation=before, after=after, wrong=wrong, there=there)
        elif before == after and (name, before) not in self._seen:
            self._seen.add((name, before))
            self._newest[name] = version
            self.note(uuid=name, generation=before, version=version)

    def note(self, **entry: Any) -> None:
        with self._notes.open("a") as file:
            file.write(json.dumps(entry | {"at": time.time()}) + "\n")


def main(converted: Path, notes: Path) -> None:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    watch = Watch(notes)
    while not ended:
        looks = 0
        for header in list(converted.glob("chaos-*/visus.idx")):
            watch.look_at(header)
            looks += 1
            time.sleep(PAUSE_SECONDS)
        watch.note(looks=looks)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
