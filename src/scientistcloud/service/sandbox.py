"""Takes from a child what it needs for no conversion: other people's files, and the network.

Uses Landlock (Linux 5.13 and later), which needs no privileges: whatever a hostile file makes a
library do, the kernel lets this process read its own upload and the installed programs, write its
own dataset, and connect to nobody. Where the kernel has no Landlock, nothing is taken.

Source of numbers and structures: ``linux/landlock.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
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

_SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/proc",
    "/sys/devices/system",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/urandom",
    "/dev/random",
)
_SCRATCH = ("/dev/null", "/dev/shm")


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


def confine(readable: Iterable[Path], writable: Iterable[Path]) -> bool:
    """Confine this thread, and those it starts, to these folders; False where that is not possible.

    The process must have given up gaining privileges (``PR_SET_NO_NEW_PRIVS``). What is open stays
    usable, so the channel to the service does too.

    Parameters
    ----------
    readable, writable : iterable of Path
        Existing folders or files, with all that is below them; `writable` ones are readable too.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_QUERY))
    if abi < 1:
        return False
    handled = (1 << _ACCESS_BITS_BY_ABI.get(abi, _ACCESS_BITS_SINCE_5)) - 1
    rules = _Ruleset(handled, _BIND_AND_CONNECT if abi >= _ABI_WITH_NETWORK else 0)
    ruleset = libc.syscall(
        _CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), 0
    )
    if ruleset < 0:
        return False
    try:
        for path in (*_programs(), *readable):
            _allow(libc, ruleset, path, _READ & handled)
        for path in (*map(Path, _SCRATCH), *writable):
            _allow(libc, ruleset, path, (_READ | _CHANGE) & handled)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _programs() -> Iterator[Path]:
    """What Python and its libraries load while they work."""
    yield from map(Path, _SYSTEM)
    yield from {Path(entry) for entry in (sys.prefix, sys.base_prefix, *sys.path) if entry}


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, access: int) -> None:
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not path.is_dir():
                access &= _FILE_ONLY
            rule = _PathBeneath(access, descriptor)
            if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0) != 0:
                number = ctypes.get_errno()
                raise OSError(number, f"Landlock refuses a rule ({errno.errorcode.get(number)})")
        finally:
            os.close(descriptor)
