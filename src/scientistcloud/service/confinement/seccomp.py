"""Takes from a child the calls of the kernel that no conversion makes: network, programs, others.

A filter (``seccomp``, Linux 3.5 and later) answers them with ``EPERM``, whatever code runs in the
process; it needs no privileges and cannot be lifted. It is built once, when this is imported, and
costs a child some microseconds. On processors other than x86-64 and arm64 nothing is taken.

Source of numbers and structures: ``linux/seccomp.h``, ``linux/bpf_common.h``, ``asm/unistd.h``.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_CLONE_THREAD = 0x10000
_X32 = 0x40000000

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

REFUSED = {
    # name: (x86-64, arm64); None where it does not exist
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "unshare": (272, 97),
    "setns": (308, 268),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),  # would carry out all of this past the filter
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
}
"""Calls that are answered with ``EPERM``."""

_CLONE = (56, 220)
_CLONE3 = (435, 435)


def _instruction(code: int, jump_true: int, jump_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, jump_true, jump_false, value)


def _program(machine: str) -> bytes:
    """The filter as the kernel takes it; empty for a processor that is not known."""
    if machine not in _ARCHITECTURES:
        return b""
    which = list(_ARCHITECTURES).index(machine)
    numbers = [pair[which] for pair in REFUSED.values()]
    refuse = _ERROR | errno.EPERM
    lines = [
        _instruction(_LOAD, 0, 0, _ARCHITECTURE),
        _instruction(_JUMP_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        _instruction(_RETURN, 0, 0, _KILL),
        _instruction(_LOAD, 0, 0, _NUMBER),
        _instruction(_JUMP_ABOVE, 0, 1, _X32),
        _instruction(_RETURN, 0, 0, refuse),
        *_when_equal([_CLONE3[which]], _ERROR | errno.ENOSYS),  # glibc then takes clone
        *_when_equal(numbers, refuse),
        _instruction(_JUMP_EQUAL, 0, 3, _CLONE[which]),
        _instruction(_LOAD, 0, 0, _FIRST_ARGUMENT),
        _instruction(_JUMP_SET, 1, 0, _CLONE_THREAD),
        _instruction(_RETURN, 0, 0, refuse),
        _instruction(_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(lines)


def _when_equal(numbers: Iterable[int | None], answer: int) -> list[bytes]:
    lines = []
    for number in numbers:
        if number is not None:
            lines.append(_instruction(_JUMP_EQUAL, 0, 1, number))
            lines.append(_instruction(_RETURN, 0, 0, answer))
    return lines


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


_PROGRAM = _program(platform.machine())


def refuse_calls() -> bool:
    """Take the calls from this thread, and those it starts; False where that is not possible.

    The process must have given up gaining privileges (``PR_SET_NO_NEW_PRIVS``).
    """
    if not _PROGRAM:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    rules = _Filter(len(_PROGRAM) // 8, _PROGRAM)
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(rules), 0, 0) == 0)
