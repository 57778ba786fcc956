"""Where stored blocks go: `BlockFiles` (many blocks a file) and `ArcoFiles` (one file a block).

Both may be called from several threads at once; no thread ever seeks. Files are brought to stable
storage in a thread of their own while the others go on. Errors of the file system leave here as
`OutOfSpace` or `StorageUnavailable`.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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
from scientistcloud.idx.storage import Background, Folders, write_all, writing

MAX_OPEN_FILES = 64
SYNC_BYTES = 64 << 20
"""So much may be written before it is pushed to stable storage."""


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


@dataclass
class _OpenFile:
    """A block file that is open. `users` threads are writing into it."""

    name: str
    fd: int
    end: int
    users: int = 0
    unsynced: int = 0


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
        self._folders = Folders(folder)
        self._background = Background(MAX_OPEN_FILES)
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
        self._folders = Folders(folder)
        self._background = Background(MAX_OPEN_FILES)
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
