"""Locks on files among programs; the kernel drops them when their holder ends in any way."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scientistcloud.errors import DatabaseUnavailable


@contextmanager
def alone(path: Path, wait_seconds: float) -> Iterator[None]:
    """The only one in here, among threads and processes.

    Raises
    ------
    DatabaseUnavailable
        If another one does not leave in time.
    """
    descriptor = _open(path)
    deadline = time.monotonic() + wait_seconds
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"Another program has been starting or stopping MongoDB in {path.parent} "
                    "for too long.",
                    remedy="End that program, then start again.",
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def join(path: Path) -> int:
    """Become one of those who hold the lock together; the descriptor is for `leave`."""
    descriptor = _open(path)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def leave(descriptor: int) -> bool:
    """Be none of them any more; whether nobody else is left."""
    try:
        return _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
