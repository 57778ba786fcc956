"""What this host lets one program have: memory and cores, containers included. Imports nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
_MOST_AT_ONCE = 5
# The rest is for the service, its warm process and whatever else the host runs.
_USABLE_PART = 0.8


def memory_bytes(root: Path = _ROOT) -> int:
    """Memory that this process may have: the machine's, or its control group's where smaller.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are mounted.
    """
    physical_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [
        int(text)
        for folder in _cgroup_folders(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (text := _read(folder / name)).isdigit()
    ]
    return min([physical_bytes, *limits])


def cores(root: Path = _ROOT) -> int:
    """Cores that this process may use: its affinity, or its control group's quota where smaller."""
    available = getattr(os, "sched_getaffinity", None)
    count = len(available(0)) if available else os.cpu_count() or 1
    return max(1, min([count, *_quotas(root)]))


def usable_memory_bytes() -> int:
    """The part of this host's memory that all attempts together may have."""
    return int(memory_bytes() * _USABLE_PART)


def oom_kills(root: Path = _ROOT) -> int:
    """Processes that the kernel has ended for want of memory so far, on the whole host.

    Those of control groups are among them, also of groups that a container cannot see.
    """
    return table_number(root / "proc" / "vmstat", "oom_kill") or 0


def free_memory_bytes(root: Path = _ROOT) -> int:
    """Memory that programs can have now without others giving any up, as the kernel reckons."""
    free_kib = table_number(root / "proc" / "meminfo", "MemAvailable")
    return memory_bytes(root) if free_kib is None else free_kib * 1024


def table_number(path: Path, name: str) -> int | None:
    """The number beside `name` in a table of ``/proc``; None without such a line or table."""
    for line in _read(path).splitlines():
        words = line.split()
        if words and words[0].rstrip(":") == name:
            return int(words[1])
    return None


def attempts_at_once(limit_bytes: int) -> int:
    """Attempts of `limit_bytes` that fit side by side: min(5, cores, memory), at least 1."""
    return max(1, min(_MOST_AT_ONCE, cores(), usable_memory_bytes() // limit_bytes))


def _quotas(root: Path) -> Iterator[int]:
    for folder in _cgroup_folders(root, "cpu"):
        words = _read(folder / "cpu.max").split() or [
            _read(folder / "cpu.cfs_quota_us"),
            _read(folder / "cpu.cfs_period_us"),
        ]
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
            yield math.ceil(int(words[0]) / int(words[1]))


def _cgroup_folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders whose limits bind this process, its own first, then those above it.

    Version 2 has one hierarchy, listed with no controller; version 1 has one for each. Inside a
    container the listed path may be the host's: then only the folders above it exist here.
    """
    mount = root / "sys" / "fs" / "cgroup"
    for line in _read(root / "proc" / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        top = mount / controller if controllers else mount
        folder = top / name.strip("/")
        yield from (each for each in (folder, *folder.parents) if each.is_relative_to(top))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
