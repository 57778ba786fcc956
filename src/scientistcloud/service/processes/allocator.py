"""How this process takes memory from the system: little is kept for threads that have ended."""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD = -3
_ARENA_MAX = -8
_LARGE_BYTES = 128 << 10
_ARENAS = 2


def keep_little() -> bool:
    """Let the allocator give back what a thread had, also in a process of thousands of threads.

    By default the GNU C library has up to eight arenas for each core, which keep what threads once
    took, and learns to take large buffers from them too. Numbers: ``malloc.h``, ``mallopt(3)``.

    Returns
    -------
    bool
        Whether this C library has such settings.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    return bool(libc.mallopt(_ARENA_MAX, _ARENAS) and libc.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES))
