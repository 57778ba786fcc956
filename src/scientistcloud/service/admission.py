"""Whether this host has room for one more conversion: memory and disk, decided before it starts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scientistcloud import host
from scientistcloud.errors import ResourceLimit

_RESUME_BYTES = 256 << 20
_RESUME_SECONDS = 60.0
_DOUBT_SECONDS = 5.0
"""Where there was room when it was looked at: it was freed meanwhile, or a quota is used up."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What an attempt will hold at most, by its plan."""

    memory_bytes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Room:
    """What the host has: memory for all attempts together, memory and disk that are free now.

    `disk_bytes` is the whole disk of the results, which all hosts share.
    """

    usable_memory_bytes: int
    free_memory_bytes: int
    free_disk_bytes: int
    disk_bytes: int


def refuse(needs: Needs, running: Iterable[Needs], room: Room) -> str | None:
    """Why an attempt with these needs has to wait, in a sentence; None if it may start.

    Memory that running attempts hold already is missing from what is free; what they will still
    take is not. So a new one needs room in both: in the sum of all plans, and in what is free.
    """
    held = list(running)
    memory = sum(each.memory_bytes for each in held)
    left_bytes = min(room.usable_memory_bytes - memory, room.free_memory_bytes)
    if needs.memory_bytes > left_bytes:
        return (
            f"It needs {_mb(needs.memory_bytes)} of memory, and this host has "
            f"{_mb(max(0, left_bytes))} left beside {len(held)} running conversion(s)."
        )
    disk = sum(each.disk_bytes for each in held)
    if needs.disk_bytes > room.free_disk_bytes - disk:
        return (
            f"It needs up to {_mb(needs.disk_bytes)} of disk, and "
            f"{_mb(max(0, room.free_disk_bytes - disk))} are free beside what runs."
        )
    return None


def require_possible(needs: Needs, room: Room) -> None:
    """Raise `ResourceLimit` where no waiting helps: the empty disk would be too small.

    Memory is another matter: plans keep to the limit, and another host may have more of it.
    """
    if needs.disk_bytes > room.disk_bytes:
        raise ResourceLimit(
            f"The result may take up to {_mb(needs.disk_bytes)}, and the whole disk of the results "
            f"has {_mb(room.disk_bytes)}.",
            remedy="Convert a part of the data (choose variables, times or files by parameters), "
            "or ask the operator for a larger disk.",
        )


def look_at_host(converted: Path) -> Room:
    """What this host has now; `converted` lies on the disk in question."""
    status = os.statvfs(converted)
    return Room(
        usable_memory_bytes=host.usable_memory_bytes(),
        free_memory_bytes=host.free_memory_bytes(),
        free_disk_bytes=status.f_bavail * status.f_frsize,
        disk_bytes=status.f_blocks * status.f_frsize,
    )


class Admission:
    """Keeps account of what the running attempts hold; from any thread."""

    def __init__(self, converted: Path) -> None:
        self._converted = converted
        self._running: dict[str, Needs] = {}
        self._lock = threading.Lock()
        self._full_at: float | None = None
        self._free_when_full = 0

    def enter(self, token: str, needs: Needs) -> str | None:
        """Let an attempt in and count what it needs, or say why it has to wait.

        Raises
        ------
        ResourceLimit
            It can never be let in.
        """
        room = look_at_host(self._converted)  # without the lock: the disk may hang
        require_possible(needs, room)
        with self._lock:
            reason = refuse(needs, self._running.values(), room)
            if reason is None:
                self._running[token] = needs
            return reason

    def leave(self, token: str) -> None:
        """The attempt has ended."""
        with self._lock:
            self._running.pop(token, None)

    def note_full_disk(self) -> None:
        """An attempt has met a full disk: nothing is claimed until there is more room."""
        with suppress(OSError):
            self._free_when_full = look_at_host(self._converted).free_disk_bytes
        self._full_at = time.monotonic()

    def pause_reason(self, free_bytes: int | None) -> str | None:
        """Why nothing is to be claimed now, or None.

        After a minute one more try is made, after 5 s where the disk does not seem to be full.

        Parameters
        ----------
        free_bytes : int or None
            What is free now; None if the storage does not tell. It is not looked at here, where
            a disk that hangs would hang whoever claims.
        """
        if self._full_at is None:
            return None
        if free_bytes is None:
            free_bytes = self._free_when_full
        waited_seconds = time.monotonic() - self._full_at
        more = free_bytes >= self._free_when_full + _RESUME_BYTES
        is_in_doubt = self._free_when_full >= _RESUME_BYTES
        patience_seconds = _DOUBT_SECONDS if is_in_doubt else _RESUME_SECONDS
        if more or waited_seconds > patience_seconds:
            self._full_at = None
            return None
        return f"The disk of {self._converted} is full: {_mb(free_bytes)} are free."


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f} MB"
