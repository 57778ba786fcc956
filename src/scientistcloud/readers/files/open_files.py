"""Open files, shared by threads: read by position, and never too many open at once."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource, StorageUnavailable
from scientistcloud.readers.files.listing import open_regular


class Closes(Protocol):
    """What holds files open until it is closed."""

    def close(self) -> None: ...


_Pool = TypeVar("_Pool", bound=Closes)


@contextmanager
def handed_over(pool: _Pool) -> Iterator[_Pool]:
    """`pool`, for a source that will close it; closed here if that source is never made."""
    try:
        yield pool
    except BaseException:
        pool.close()
        raise


class FilePool:
    """Descriptors of the files of a source, at most `limit` that are not in use.

    Reading is by position (``pread``), so any number of threads share a descriptor.

    Parameters
    ----------
    root : Path
        Messages name files relative to it.
    """

    def __init__(self, root: Path, limit: int = 32) -> None:
        self._root = root
        self._limit = limit
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, tuple[int, int]] = OrderedDict()
        self._users: dict[Path, int] = {}
        self._adopted: list[Closes] = []

    def adopt(self, opened: Closes) -> None:
        """Close `opened`, which a library holds open, together with the files."""
        self._adopted.append(opened)

    @contextmanager
    def use(self, path: Path) -> Iterator[tuple[int, int]]:
        """The descriptor and size in bytes of `path`; open for as long as the context lasts."""
        with self._lock:
            if path not in self._open:
                fd = open_regular(path)
                self._open[path] = (fd, os.fstat(fd).st_size)
            self._open.move_to_end(path)
            self._users[path] = self._users.get(path, 0) + 1
            opened = self._open[path]
        try:
            yield opened
        finally:
            with self._lock:
                self._users[path] -= 1
                if not self._users[path]:
                    del self._users[path]
                self._close_idle(self._limit)

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`; CorruptSource where the file ends before."""
        with self.use(path) as (fd, total):
            self._check(path, offset, size, total)
            try:
                data = os.pread(fd, size, offset)
                while len(data) < size:
                    more = os.pread(fd, size - len(data), offset + len(data))
                    if not more:
                        raise self._ends(path, offset + size, offset + len(data))
                    data += more
            except OSError as error:
                raise self._unreadable(path, error) from error
            return data

    def read_into(self, path: Path, offset: int, out: NDArray[Any]) -> None:
        """Fill the C-contiguous `out` with the bytes from `offset`."""
        view = memoryview(out.reshape(-1).view(np.uint8).data)
        with self.use(path) as (fd, total):
            self._check(path, offset, len(view), total)
            done = 0
            try:
                while done < len(view):
                    count = os.preadv(fd, [view[done:]], offset + done)
                    if not count:
                        raise self._ends(path, offset + len(view), offset + done)
                    done += count
            except OSError as error:
                raise self._unreadable(path, error) from error

    def size(self, path: Path) -> int:
        """Bytes of the file."""
        with self.use(path) as (_, total):
            return total

    def name(self, path: Path) -> str:
        """The name of `path` for messages: relative to the root."""
        try:
            return path.relative_to(self._root).as_posix()
        except ValueError:
            return path.name

    def close(self) -> None:
        """Close what is not in use; what is, closes when its user leaves."""
        with self._lock:
            self._limit = 0
            self._close_idle(0)
        while self._adopted:
            self._adopted.pop().close()

    def _close_idle(self, keep: int) -> None:
        if len(self._open) <= keep:
            return
        idle = [path for path in self._open if path not in self._users]
        for path in idle[: max(0, len(self._open) - keep)]:
            fd, _ = self._open.pop(path)
            os.close(fd)

    def _check(self, path: Path, offset: int, size: int, total: int) -> None:
        if offset < 0 or size < 0 or offset + size > total:
            raise self._ends(path, offset + size, total)

    def _ends(self, path: Path, wanted: int, total: int) -> CorruptSource:
        return CorruptSource(
            f"{self.name(path)} is cut short: it should have at least {wanted} bytes, "
            f"and has {total}."
        )

    def _unreadable(self, path: Path, error: OSError) -> StorageUnavailable:
        return StorageUnavailable(f"{self.name(path)} cannot be read: {error.strerror}.")
