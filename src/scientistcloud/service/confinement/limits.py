"""What one attempt may take of its host, imposed by the kernel, and what it means to exceed it.

The child imposes limits on itself before it looks at a file (`Limits.impose`); libraries that a
hostile file makes run wild cannot lift them. Resident memory, for which the kernel has no limit of
a process, is watched by the service: the child may be busy in a library that lets nothing else run.
"""

from __future__ import annotations

import errno
import math
import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scientistcloud import host
from scientistcloud.errors import (
    AttemptCrashed,
    AttemptTimedOut,
    ConversionError,
    OutOfMemory,
    ResourceLimit,
)

_PAGE_BYTES = resource.getpagesize()
_MIB = 1 << 20

MEMORY_SLACK = 1.1
"""Resident memory may exceed the limit by this factor: the plan is no measurement."""

_LEAP = 1.5
_LEAP_BYTES = 256 * _MIB
"""What may be allocated at once: more than is ever used, as what is not touched costs nothing."""

OPEN_FILES = 8192
_UNPACKED_BYTES = 1 << 40
_FILE_BYTES = 1 << 30
_PADDING = 8
"""A block at the edge of a thin grid holds this much more than the samples."""

_KILLED_FIRST = 500
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Limits:
    """What one attempt may take.

    Attributes
    ----------
    memory_bytes : int
        Resident memory.
    cpu_seconds : float
        Processor time of all threads together, without progress.
    open_files : int
    """

    memory_bytes: int
    cpu_seconds: float
    open_files: int = OPEN_FILES

    def impose(self) -> None:
        """Impose all of them on this process; the kernel is to end it before any other one."""
        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_NOFILE, self.open_files)
        leap_bytes = int(self.memory_bytes * _LEAP) + _LEAP_BYTES
        _lower(resource.RLIMIT_DATA, _data_bytes() + leap_bytes)
        _lower(resource.RLIMIT_FSIZE, _UNPACKED_BYTES)
        self.allow_time()
        with suppress(OSError):  # where /proc is not mounted
            Path("/proc/self/oom_score_adj").write_text(str(_KILLED_FIRST))

    def allow_time(self) -> None:
        """Begin to count the processor time anew: there was progress."""
        soft = math.ceil(time.process_time() + self.cpu_seconds)
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        if hard != resource.RLIM_INFINITY:
            soft = min(soft, hard)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))

    def allow_files(self, total_bytes: int, scratch_bytes: int) -> None:
        """Let no file outgrow what a plan of so many bytes can need."""
        _lower(resource.RLIMIT_FSIZE, max(_PADDING * total_bytes, scratch_bytes) + _FILE_BYTES)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def outgrown(limits: Limits, resident: int) -> OutOfMemory | None:
    """What it means that an attempt holds `resident` bytes; None if that is allowed."""
    if resident <= limits.memory_bytes * MEMORY_SLACK:
        return None
    return OutOfMemory(
        f"The conversion used {resident / _MIB:.0f} MiB, over its limit of "
        f"{limits.memory_bytes / _MIB:.0f} MiB."
    )


class LimitsWatch:
    """The service's eye on one child: what it holds, and why it ended."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._resident = 0
        self._looked = 0.0
        self._oom_kills = host.oom_kills()

    def look(self, pid: int | None, now: float) -> OutOfMemory | None:
        """Look at the child's memory, if it is time to; an error where the plan was wrong."""
        if pid is None or now - self._looked < _LOOK_SECONDS:
            return None
        self._looked = now
        self._resident = resident_bytes(pid)
        return outgrown(self._limits, self._resident)

    def cause_of_end(self, status: int | None) -> ConversionError:
        """As the function of this name."""
        kills = host.oom_kills() - self._oom_kills
        return cause_of_end(status, self._limits, resident=self._resident, oom_kills=kills)


def exceeded(error: BaseException) -> ConversionError | None:
    """The limit that led to `error`, whatever a reader took it for; None if none did."""
    for each in _chain(error):
        number = each.errno if isinstance(each, OSError) else None
        if isinstance(each, MemoryError) or number == errno.ENOMEM:
            return OutOfMemory()
        if number in (errno.EMFILE, errno.ENFILE) or _says(each, errno.EMFILE):
            return ResourceLimit(
                "The files refer to more files than may be open at once.",
                remedy="Merge the files that the data are spread over into fewer ones.",
            )
        if number == errno.EFBIG or _says(each, errno.EFBIG):
            return ResourceLimit(
                "A file of the conversion became larger than such data can need.",
                remedy="The file is probably damaged: check it at its origin.",
            )
    return None


def cause_of_end(
    status: int | None, limits: Limits, *, resident: int, oom_kills: int
) -> ConversionError:
    """Why a child ended without a last word.

    Parameters
    ----------
    status : int or None
        Exit status, negative for a signal that the service did not send; None if it still runs.
    resident : int
        Bytes that it was last seen to hold.
    oom_kills : int
        Processes that the kernel ended for want of memory meanwhile (`host.oom_kills`).
    """
    if status == -signal.SIGXCPU:
        return AttemptTimedOut(
            f"The conversion took {limits.cpu_seconds:.0f} seconds of processor time without "
            "progress."
        )
    if status == -signal.SIGKILL and oom_kills > 0:
        return OutOfMemory(
            f"The host ran out of memory while the conversion held {resident / _MIB:.0f} MiB."
        )
    return AttemptCrashed(f"The conversion crashed ({_how(status)}).")


def _how(status: int | None) -> str:
    """In words, how a process ended."""
    if status is None:
        return "it did not end"
    if status < 0:
        known = -status in set(signal.Signals)
        return f"signal {-status}, {signal.Signals(-status).name}" if known else f"signal {-status}"
    return f"exit status {status}"


def _lower(kind: int, value: int) -> None:
    """Set a limit for good, where it is not lower already."""
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _data_bytes() -> int:
    """What counts against ``RLIMIT_DATA`` already: private memory that may be written."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * _PAGE_BYTES


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _says(error: BaseException, number: int) -> bool:
    """Whether a library wrote an error of the system into its message, as HDF5 does."""
    return not isinstance(error, ConversionError) and os.strerror(number) in str(error)
