"""What is noted of one attempt while it runs: when each phase began, and how much memory it took.

Costs a few list entries an attempt; metrics and traces are made of it when the attempt has ended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from scientistcloud import host


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of an attempt; by the clock on the wall, in nanoseconds since 1970.

    Attributes
    ----------
    name : str
        ``starting``, ``reading``, ``admission``, ``copying``, ``verifying``, ``confirming``,
        ``publishing`` or ``settling``; two of them wait for the service's word, ``admission`` for
        room and ``confirming`` for a renewal.
    """

    name: str
    began_ns: int
    ended_ns: int

    @property
    def seconds(self) -> float:
        return (self.ended_ns - self.began_ns) / 1e9


class AttemptRecord:
    """Belongs to the thread of its attempt."""

    def __init__(self) -> None:
        # One look at the wall clock: a step of it must not make phases negative.
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._marks = [("starting", time.monotonic_ns())]
        self._ended_ns: int | None = None
        self.peak_memory_bytes = 0

    def enter(self, phase: str) -> None:
        """The attempt is in `phase` from now on; the same one again changes nothing."""
        if self._marks[-1][0] != phase:
            self._marks.append((phase, time.monotonic_ns()))

    def end(self) -> None:
        """The attempt has ended."""
        self._ended_ns = self._ended_ns or time.monotonic_ns()

    def see_memory(self, pid: int | None) -> None:
        """Note how much memory the process has held at most so far."""
        if pid is not None:
            peak_kib = host.table_number(Path(f"/proc/{pid}/status"), "VmHWM") or 0
            self.peak_memory_bytes = max(self.peak_memory_bytes, peak_kib * 1024)

    def phases(self) -> list[Phase]:
        """What it went through, in order."""
        last = time.monotonic_ns() if self._ended_ns is None else self._ended_ns
        ends = [at for _, at in self._marks[1:]] + [last]
        return [
            Phase(name, began + self._offset_ns, ended + self._offset_ns)
            for (name, began), ended in zip(self._marks, ends, strict=True)
        ]

    @property
    def seconds(self) -> float:
        """From claim to end."""
        phases = self.phases()
        return (phases[-1].ended_ns - phases[0].began_ns) / 1e9
