"""Where stored blocks go: a `BlockStore`, and `BlockFiles` (many blocks a file).

A store may be called from several threads at once; no thread ever seeks. Files are brought to
stable storage in a thread of their own while the others go on. Errors of the file system leave
here as `OutOfSpace` or `StorageUnavailable`.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scientistcloud.idx.files.blockfile import (
    Entry,
    block_file_name,
    block_template,
    entry_position,
    table_bytes,
    time_name,
)
from scientistcloud.idx.files.codecs import crc32
from scientistcloud.idx.files.layout import IdxLayout
from scientistcloud.idx.files.manifest import FileSum
from scientistcloud.idx.files.storage import Background, Folders, sync_folder, write_all, writing

MAX_OPEN_FILES = 64
SYNC_BYTES = 64 << 20
"""So much may be written before it is pushed to stable storage."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A block file as it was when all that it held was on stable storage.

    Attributes
    ----------
    timestep, first : int
        `first` is the number of its first block.
    name : str
        Relative to the folder of the blocks.
    size_bytes, crc32 : int
        Where it ended; the checksum of its table.
    missing : int
        How many of its blocks were still to come; a file with none is never written again.
    """

    timestep: int
    first: int
    name: str
    size_bytes: int
    crc32: int
    missing: int


class BlockStore(Protocol):
    """What `IdxWriter` needs of a place for blocks."""

    def store(
        self, timestep: int, field: int, block: int, payload: bytes | memoryview, flags: int
    ) -> None:
        """Store the encoded samples of one block."""

    def leave_out(self, timestep: int, block: int) -> None:
        """Count a block that is not stored, because all its samples are 0."""

    def settle(self) -> None:
        """Bring all so far to stable storage, while nobody stores."""

    def files(self) -> Iterator[FileState]:
        """Each file, as it was when all was brought to stable storage."""

    def finish(self) -> dict[str, FileSum]:
        """Bring everything to stable storage; sums of what no block's own checksum covers."""

    def abandon(self) -> None:
        """Close what is open."""


_Key = tuple[int, int]
"""Of a file: its timestep, and the number of its first block."""


@dataclass
class _OpenFile:
    """A block file that is open. `users` threads are writing into it."""

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
    files : iterable of FileState, optional
        What a former writer left, which may still write; the files are as they were then. None:
        there was no other writer.
    """

    def __init__(
        self, layout: IdxLayout, folder: Path, files: Iterable[FileState] | None = None
    ) -> None:
        self._layout = layout
        self._template = block_template("", layout.bitmask.length - layout.bits_per_block)
        self._table_bytes = table_bytes(layout.blocks_per_file, len(layout.fields))
        self._folders = Folders(folder)
        self._background = Background(MAX_OPEN_FILES)
        self._lock = threading.Lock()
        self._open: OrderedDict[_Key, _OpenFile] = OrderedDict()
        self._unsynced = 0
        self._abandoned = False
        self._sums: dict[_Key, FileSum] = {}
        self._missing: dict[_Key, int] = {}
        for each in files or ():
            key = (each.timestep, each.first)
            self._sums[key] = FileSum(each.size_bytes, each.crc32, "rest")
            self._missing[key] = each.missing
        self._ours = None if files is None else set(self._sums)

    def store(
        self, timestep: int, field: int, block: int, payload: bytes | memoryview, flags: int
    ) -> None:
        per_file = self._layout.blocks_per_file
        key = (timestep, block - block % per_file)
        with writing():
            file, offset, evicted = self._acquire(key, len(payload))
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
        self._count(key)

    def leave_out(self, timestep: int, block: int) -> None:
        self._count((timestep, block - block % self._layout.blocks_per_file))

    def _count(self, key: _Key) -> None:
        """One block fewer is to come for this file."""
        with self._lock:
            missing = self._missing.get(key)
            if missing is None:
                layout, (_, first) = self._layout, key
                last = min(first + layout.blocks_per_file, layout.blocks.count)
                inside = layout.blocks.count_inside(layout.shape, first, last)
                missing = inside * len(layout.fields)
            self._missing[key] = missing - 1

    def settle(self) -> None:
        with writing():
            self._background.finish()
            for key, file in self._open.items():
                if file.unsynced:
                    os.fsync(file.fd)
                    file.unsynced = 0
                self._sums[key] = self._sum(file)
            self._folders.sync()
            sync_folder(self._folders.root)

    def files(self) -> Iterator[FileState]:
        for key, each in self._sums.items():
            size, crc, missing = each.size_bytes, each.crc32, self._missing[key]
            yield FileState(*key, self._name(*key), size, crc, missing)

    def finish(self) -> dict[str, FileSum]:
        with writing():
            # The background may still be working with the descriptors that are closed here.
            self._background.finish()
            while self._open:
                self._close(self._open.popitem())
            self._folders.sync()
        return {self._name(*key): each for key, each in self._sums.items()}

    def abandon(self) -> None:
        self._abandoned = True
        self._background.close()
        while self._open:
            os.close(self._open.popitem()[1].fd)

    def _acquire(self, key: _Key, size: int) -> tuple[_OpenFile, int, list[tuple[_Key, _OpenFile]]]:
        """The file, where in it the next `size` bytes go, and files to be closed for it."""
        with self._lock:
            file = self._open.get(key)
            evicted: list[tuple[_Key, _OpenFile]] = []
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
        path = self._folders.root / self._name(timestep, first)
        self._folders.ensure(path.parent)
        if self._ours is not None and (timestep, first) not in self._ours:
            # A former writer may have made it after all, and write into it.
            path.unlink(missing_ok=True)
            self._ours.add((timestep, first))
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        end = os.fstat(fd).st_size
        if end < self._table_bytes:
            os.ftruncate(fd, self._table_bytes)
            end = self._table_bytes
        return _OpenFile(fd, end)

    def _name(self, timestep: int, first: int) -> str:
        time_text = time_name(self._layout.time_template, timestep)
        return block_file_name(self._template, time_text, first).lstrip("/")

    def _evict(self) -> list[tuple[_Key, _OpenFile]]:
        """Take out the files that were used longest ago, until there is room for one more."""
        excess = len(self._open) + 1 - MAX_OPEN_FILES
        idle = [key for key, file in self._open.items() if file.users == 0] if excess > 0 else []
        return [(key, self._open.pop(key)) for key in idle[:excess]]

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

    def _close(self, closing: tuple[_Key, _OpenFile]) -> None:
        key, file = closing
        try:
            if self._abandoned:
                return
            os.fsync(file.fd)
            self._sums[key] = self._sum(file)
        finally:
            os.close(file.fd)

    def _sum(self, file: _OpenFile) -> FileSum:
        """Of what is no block: the table, as there are no gaps."""
        table = os.pread(file.fd, self._table_bytes, 0)
        return FileSum(os.fstat(file.fd).st_size, crc32(table), "rest")
