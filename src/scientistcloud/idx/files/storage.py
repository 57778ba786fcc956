"""Writing to disk: whole writes, folders, work in the background, and errors translated.

Errors of the file system leave as `OutOfSpace` or `StorageUnavailable`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scientistcloud.errors import OutOfSpace, StorageUnavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def writing(what: str = "the converted data") -> Iterator[None]:
    """Translate errors of the file system while `what` is being written.

    Raises
    ------
    OutOfSpace, StorageUnavailable
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        fault = OutOfSpace if error.errno in _FULL else StorageUnavailable
        raise fault(f"Cannot write {what}: {reason}.") from error


def write_all(fd: int, data: bytes | memoryview, position: int) -> None:
    """Write all of `data` at `position`."""
    written = os.pwrite(fd, data, position)
    if written < len(data):
        write_all(fd, memoryview(data)[written:], position + written)


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to stable storage."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file_system(folder: int) -> bool:
    """Bring all of the file system of an open folder to stable storage; whether that is known here.

    Raises OSError where something could not be written since the folder was opened.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):
        return False
    if libc.syncfs(folder) != 0:
        error = ctypes.get_errno()
        if error in (errno.ENOSYS, errno.EINVAL, errno.EPERM):
            return False
        raise OSError(error, os.strerror(error))
    return True


class Folders:
    """Makes folders as they are needed, and remembers them for when they are synced."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made = {root}
        self._changed: set[Path] = set()

    def ensure(self, folder: Path) -> None:
        """Make `folder`, in which a file is about to be made, unless it is known to be there."""
        self._changed.add(folder)
        if folder not in self._made:
            folder.mkdir(parents=True, exist_ok=True)
            while folder not in self._made:
                self._made.add(folder)
                folder = folder.parent
                self._changed.add(folder)

    def sync(self) -> None:
        """All in which something was made since the last time, but the root."""
        changed, self._changed = self._changed - {self.root}, set()
        for folder in changed:
            sync_folder(folder)

    def forget(self) -> None:
        """All of the file system was synced."""
        self._changed = set()


class Background:
    """One thread for slow work, at most `limit` pieces of it at a time.

    Work that fails is told at the next call.
    """

    def __init__(self, limit: int) -> None:
        self._lock = threading.Lock()
        self._room = threading.Semaphore(limit)
        self._pool: ThreadPoolExecutor | None = None
        self._error: OSError | None = None

    def submit(self, work: Callable[[Any], None], argument: Any) -> None:
        """Run ``work(argument)`` soon; waits while too much is waiting already."""
        self._raise_error()
        self._room.acquire()
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, "sync")
            self._pool.submit(self._run, work, argument)

    def _run(self, work: Callable[[Any], None], argument: Any) -> None:
        try:
            work(argument)
        except OSError as error:
            self._error = self._error or error
        finally:
            self._room.release()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Wait until all is done."""
        self.close()
        self._raise_error()

    def close(self) -> None:
        """The same, whatever has failed."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None
