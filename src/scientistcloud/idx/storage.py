"""Where stored blocks go: `BlockFiles` (many blocks a file) and `ArcoFiles` (one file a block).

Both may be called from several threads at once; no thread ever seeks. Files are brought to stable
storage in a thread of their own while the others go on. Errors of the file system leave here as
`OutOfSpace` or `StorageUnavailable`.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scientistcloud.errors import ConversionError, OutOfSpace, StorageUnavailable
from scientistcloud.idx.blockfile import (
    Entry,
    arco_file_name,
    block_file_name,
    block_template,
    entry_position,
    table_bytes,
    time_name,
)
from scientistcloud.idx.codecs import crc32
from scientistcloud.idx.layout import IdxLayout
from scientistcloud.idx.manifest import FileSum

MAX_OPEN_FILES = 64
SYNC_BYTES = 64 << 20
"""So much may be written before it is pushed to stable storage."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def storage_error(error: OSError) -> ConversionError:
    """What an error while writing means for the conversion."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        return OutOfSpace(f"The converted data could not be written: {reason}.")
    return StorageUnavailable(f"The converted data could not be written: {reason}.")


@contextmanager
def writing() -> Iterator[None]:
    """Translate errors of the file system."""
    try:
        yield
    except OSError as error:
        raise storage_error(error) from error


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


class BlockStore(Protocol):
    """What `IdxWriter` needs of a place for blocks."""

    def store(
        self, timestep: int, field: int, block: int, payload: bytes | memoryview, flags: int
    ) -> None:
        """Store the encoded samples of one block."""

    def finish(self) -> dict[str, FileSum]:
        """Bring everything to stable storage; sums of what no block's own checksum covers."""

    def abandon(self) -> None:
        """Close what is open."""


class _Folders:
    """Makes folders as they are needed, and remembers them for the end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made = {root}

    def ensure(self, folder: Path) -> None:
        if folder not in self._made:
            folder.mkdir(parents=True, exist_ok=True)
            while folder not in self._made:
                self._made.add(folder)
                folder = folder.parent

    def sync(self) -> None:
        """All but the root, in which the manifest is still to come."""
        for folder in self._made - {self.root}:
            sync_folder(folder)


class _Background:
    """One thread for slow work, at most `MAX_OPEN_FILES` pieces of it at a time.

    Work that fails is told at the next call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._room = threading.Semaphore(MAX_OPEN_FILES)
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


@dataclass
class _OpenFile:
    """A block file that is open. `users` threads are writing into it."""

    name: str
    fd: int
    end: int
    users: int = 0
    unsynced: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class BlockFiles:
    """Block files below a folder.

    Only files that are open are held in memory: where a file ends is asked of the file itself when
    it is opened again.

    Parameters
    ----------
    layout : IdxLayout
    folder : Path
        Exists; holds what the header's template names below its base.
    """

    def __init__(self, layout: IdxLayout, folder: Path) -> None:
        self._layout = layout
        self._template = block_template("", layout.bitmask.length - layout.bits_per_block)
        self._table_bytes = table_bytes(layout.blocks_per_file, len(layout.fields))
        self._folders = _Folders(folder)
        self._background = _Background()
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[int, int], _OpenFile] = OrderedDict()
        self._unsynced = 0
        self._abandoned = False
        self._sums: dict[str, FileSum] = {}

    def store(
        self, timestep: int, field: int, block: int, payload: bytes | memoryview, flags: int
    ) -> None:
        per_file = self._layout.blocks_per_file
        with writing():
            file, offset, evicted = self._acquire(
                (timestep, block - block % per_file), len(payload)
            )
            try:
                for closing in evicted:
                    self._background.submit(self._close, closing)
                write_all(file.fd, payload, offset)
                entry = Entry(offset, len(payload), flags).pack()
                write_all(file.fd, entry, entry_position(block, field, per_file))
            finally:
                dirty = self._release(file, len(payload))
            for syncing in dirty:
                self._background.submit(self._sync, syncing)

    def finish(self) -> dict[str, FileSum]:
        with writing():
            # The background may still be working with the descriptors that are closed here.
            self._background.finish()
            while self._open:
                self._close(self._open.popitem()[1])
            self._folders.sync()
        return self._sums

    def abandon(self) -> None:
        self._abandoned = True
        self._background.close()
        while self._open:
            os.close(self._open.popitem()[1].fd)

    def _acquire(self, key: tuple[int, int], size: int) -> tuple[_OpenFile, int, list[_OpenFile]]:
        """The file, where in it the next `size` bytes go, and files to be closed for it."""
        with self._lock:
            file = self._open.get(key)
            evicted: list[_OpenFile] = []
            if file is None:
                evicted = self._evict()
                file = self._open[key] = self._open_file(*key)
            else:
                self._open.move_to_end(key)
            offset = file.end
            file.end += size
            file.users += 1
            return file, offset, evicted

    def _open_file(self, timestep: int, first: int) -> _OpenFile:
        time_text = time_name(self._layout.time_template, timestep)
        name = block_file_name(self._template, time_text, first).lstrip("/")
        path = self._folders.root / name
        self._folders.ensure(path.parent)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        end = os.fstat(fd).st_size
        if end < self._table_bytes:
            os.ftruncate(fd, self._table_bytes)
            end = self._table_bytes
        return _OpenFile(name, fd, end)

    def _evict(self) -> list[_OpenFile]:
        """Take out the files that were used longest ago, until there is room for one more."""
        excess = len(self._open) + 1 - MAX_OPEN_FILES
        idle = [key for key, file in self._open.items() if file.users == 0] if excess > 0 else []
        return [self._open.pop(key) for key in idle[:excess]]

    def _release(self, file: _OpenFile, size: int) -> list[_OpenFile]:
        """The files to be synced now, if it is time."""
        with self._lock:
            file.users -= 1
            file.unsynced += size
            self._unsynced += size
            if self._unsynced < SYNC_BYTES:
                return []
            self._unsynced = 0
            dirty = [each for each in self._open.values() if each.unsynced]
            for each in dirty:
                each.unsynced = 0
                each.users += 1
            return dirty

    def _sync(self, file: _OpenFile) -> None:
        try:
            os.fsync(file.fd)
        finally:
            with self._lock:
                file.users -= 1

    def _close(self, file: _OpenFile) -> None:
        """Sync, sum up what is no block (the table: there are no gaps), and close."""
        try:
            if self._abandoned:
                return
            os.fsync(file.fd)
            table = os.pread(file.fd, self._table_bytes, 0)
            self._sums[file.name] = FileSum(os.fstat(file.fd).st_size, crc32(table), "rest")
        finally:
            os.close(file.fd)


class ArcoFiles:
    """One file a block below a folder; a block's own checksum covers all of its file."""

    def __init__(self, layout: IdxLayout, folder: Path) -> None:
        self._names = [f.name for f in layout.fields]
        self._folders = _Folders(folder)
        self._background = _Background()
        self._lock = threading.Lock()

    def store(
        self, timestep: int, field: int, block: int, payload: bytes | memoryview, flags: int
    ) -> None:
        path = self._folders.root / arco_file_name(timestep, self._names[field], block)
        with writing():
            with self._lock:
                self._folders.ensure(path.parent)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                write_all(fd, payload, 0)
            except BaseException:
                os.close(fd)
                raise
            self._background.submit(_sync_and_close, fd)

    def finish(self) -> dict[str, FileSum]:
        with writing():
            self._background.finish()
            self._folders.sync()
        return {}

    def abandon(self) -> None:
        self._background.close()


def _sync_and_close(fd: int) -> None:
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
