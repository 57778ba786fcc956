"""What a service holds while it rests: memory, descriptors, threads, processes, scratch files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil


@dataclass(frozen=True, slots=True)
class Footprint:
    """What all processes of a service hold together, at one moment.

    Attributes
    ----------
    datasets : int
        Converted so far.
    own_bytes : int
        Memory that is backed by no file (heap, stacks), swapped out or not: what a leak fills.
    pss_bytes : int
        All memory, that shared with others in proportion.
    scratch_files : int
        Files and folders in the staging folder and in TMPDIR.
    """

    datasets: int
    own_bytes: int
    pss_bytes: int
    descriptors: int
    threads: int
    processes: int
    scratch_files: int


COUNTED = ("descriptors", "threads", "processes", "scratch_files")
"""What must not grow at all."""


def measure(processes: Sequence[psutil.Process], scratch: Sequence[Path], done: int) -> Footprint:
    """The footprint of these processes, and of what lies in these folders."""
    memory = [_memory(process.pid) for process in processes]
    return Footprint(
        datasets=done,
        own_bytes=sum(each["Anonymous"] + each["Swap"] for each in memory),
        pss_bytes=sum(each["Pss"] for each in memory),
        descriptors=sum(process.num_fds() for process in processes),
        threads=sum(process.num_threads() for process in processes),
        processes=len(processes),
        scratch_files=sum(1 for folder in scratch for _ in folder.rglob("*")),
    )


def growth(footprints: Sequence[Footprint], per: int = 10_000) -> dict[str, float]:
    """How much of each there is more after `per` datasets: the median of all slopes (Theil-Sen)."""
    done = np.array([each.datasets for each in footprints], float)
    first, second = np.triu_indices(len(done), 1)
    found = {}
    for name in ("own_bytes", "pss_bytes", *COUNTED):
        values = np.array([asdict(each)[name] for each in footprints], float)
        slopes = (values[second] - values[first]) / (done[second] - done[first])
        found[name] = float(np.median(slopes)) * per
    return found


def grown(footprints: Sequence[Footprint]) -> dict[str, int]:
    """What there is more of at the end than ever in the first half, of what must not grow."""
    half = footprints[: max(1, len(footprints) // 2)]
    return {
        name: more
        for name in COUNTED
        if (more := getattr(footprints[-1], name) - max(getattr(each, name) for each in half)) > 0
    }


def _memory(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(size.split()[0]) * 1024 for name, size in (x.split(":", 1) for x in lines)}
