"""Takes from a child what it needs for no conversion: files and processes of others, the network.

Uses Landlock (Linux 5.13 and later), which needs no privileges: whatever a hostile file makes a
library do, the kernel lets this process read its own upload and the installed programs, write its
own dataset, connect to nobody, and (Linux 6.12) signal nobody. Where the kernel has no Landlock,
nothing is taken.

Source of numbers and structures: ``linux/landlock.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_QUERY = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_READ = _READ_FILE | _READ_DIR
_CHANGE = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
_FILE_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_ACCESS_BITS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15}
_ACCESS_BITS_SINCE_5 = 16
_ABI_WITH_NETWORK = 4
_BIND_AND_CONNECT = 0b11
_ABI_WITH_SCOPES = 6
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

_SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys",
    "/proc/vmstat",
    "/sys/devices/system",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/urandom",
    "/dev/random",
)
_SCRATCH = ("/dev/null", "/dev/shm")
_OWN_PROCESS = Path("/proc/self")
"""Of ``/proc`` no more: the kernel would show the environment of the service, with its secrets."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


@dataclass(frozen=True, slots=True)
class _Place:
    """An open path, with what of it is allowed."""

    descriptor: int
    access: int


def confine(readable: Iterable[Path], writable: Iterable[Path]) -> bool:
    """Confine this thread, and those it starts, to these folders; False where that is not possible.

    The process must have given up gaining privileges (``PR_SET_NO_NEW_PRIVS``). What is open stays
    usable, so the channel to the service does too.

    Parameters
    ----------
    readable, writable : iterable of Path
        Existing folders or files, with all that is below them; `writable` ones are readable too.
    """
    abi = _kernel().syscall(
        _CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_QUERY)
    )
    if abi < 1:
        return False
    handled = (1 << _ACCESS_BITS_BY_ABI.get(abi, _ACCESS_BITS_SINCE_5)) - 1
    rules = _Ruleset(
        handled,
        _BIND_AND_CONNECT if abi >= _ABI_WITH_NETWORK else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if abi >= _ABI_WITH_SCOPES else 0,
    )
    ruleset = _kernel().syscall(
        _CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), 0
    )
    if ruleset < 0:
        return False
    own = [*_open([_OWN_PROCESS, *readable], _READ), *_open(writable, _READ | _CHANGE)]
    try:
        for place in (*prepare(), *own):
            _allow(ruleset, place, handled)
        return bool(_kernel().syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)
        # The first stays open: else the kernel may forget which folder of /proc was meant.
        for place in own[1:]:
            os.close(place.descriptor)


@cache
def prepare() -> tuple[_Place, ...]:
    """Open what every process may use, programs and libraries, for those forked later too."""
    here, package = Path.cwd(), Path(__file__).resolve()
    # The folder that the service was started in is on the path only because it was started there.
    entries = {
        each for each in sys.path if each and (here != Path(each) or here in package.parents)
    }
    paths = {*_SYSTEM, sys.prefix, sys.base_prefix, *entries}
    resolved = {Path(path).resolve() for path in paths}
    needed = sorted(path for path in resolved if resolved.isdisjoint(path.parents))
    return (*_open(needed, _READ), *_open(map(Path, _SCRATCH), _READ | _CHANGE))


@cache
def _kernel() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _open(paths: Iterable[Path], access: int) -> Iterator[_Place]:
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            yield _Place(descriptor, access if is_folder else access & _FILE_ONLY)


def _allow(ruleset: int, place: _Place, handled: int) -> None:
    rule = _PathBeneath(place.access & handled, place.descriptor)
    if _kernel().syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock refuses a rule ({errno.errorcode.get(number)})")
