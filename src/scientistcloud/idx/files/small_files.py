"""A `BlockStore` for many tiny timesteps: one small file for each, written in one go.

The blocks of a timestep are gathered in memory until all are there; then the file is made, written
and closed with three system calls. All files are brought to stable storage together at the end:
one sync of the file system instead of one for each file and folder.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scientistcloud.idx.files.block_store import FileState
from scientistcloud.idx.files.blockfile import (
    ENTRY_BYTES,
    HEAD_BYTES,
    Entry,
    block_file_name,
    block_template,
    table_bytes,
    time_name,
)
from scientistcloud.idx.files.codecs import crc32
from scientistcloud.idx.files.layout import IdxLayout
from scientistcloud.idx.files.manifest import FileSum
from scientistcloud.idx.files.storage import (
    Folders,
    sync_file_system,
    sync_folder,
    write_all,
    writing,
)

MOST_SYNCED_ALONE = 64
"""So few files are synced one by one: a sync of the file system waits for others' data too."""


@dataclass(slots=True)
class _Timestep:
    """What there is of one file: its bytes so far, and how many blocks are to come."""

    data: bytearray
    missing: int
    lock: threading.Lock = field(default_factory=threading.Lock)


class SmallFiles:
    """Block files of which each holds a whole timestep (`IdxLayout.has_small_files`).

    Parameters
    ----------
    layout : IdxLayout
    folder : Path
        Exists; holds what the header's template names below its base.
    files : iterable of FileState, optional
        What a former writer left, which may still write. None: there was no other writer.
    """

    def __init__(
        self, layout: IdxLayout, folder: Path, files: Iterable[FileState] | None = None
    ) -> None:
        self._layout = layout
        self._template = block_template("", layout.bitmask.length - layout.bits_per_block)
        self._table_bytes = table_bytes(layout.blocks_per_file, len(layout.fields))
        inside = layout.blocks.count_inside(layout.shape, 0, layout.blocks.count)
        self._blocks = inside * len(layout.fields)
        self._folders = Folders(folder)
        self._root_name = str(folder)
        self._time_template = layout.time_template
        self._file_name = block_file_name(self._template, "", 0).lstrip("/")
        self._lock = threading.Lock()
        self._begun: dict[int, _Timestep] = {}
        self._sums: dict[int, FileSum] = {}
        self._unsynced: list[str] = []
        self._is_resumed = files is not None
        # Errors of writing that come up from now on are told when this is synced.
        self._root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for each in files or ():
            self._sums[each.timestep] = FileSum(each.size_bytes, each.crc32, "rest")
            if each.missing > 0:
                data = bytearray((folder / each.name).read_bytes()[: each.size_bytes])
                self._begun[each.timestep] = _Timestep(data, each.missing)

    def store(
        self, timestep: int, field: int, block: int, payload: bytes | memoryview, flags: int
    ) -> None:
        begun = self._timestep(timestep)
        with begun.lock:
            position = HEAD_BYTES + ENTRY_BYTES * (field * self._layout.blocks_per_file + block)
            entry = Entry(len(begun.data), len(payload), flags).pack()
            begun.data[position : position + ENTRY_BYTES] = entry
            begun.data += payload
        self._count(timestep, begun)

    def leave_out(self, timestep: int, block: int) -> None:
        self._count(timestep, self._timestep(timestep))

    def store_timestep(
        self, timestep: int, payloads: Sequence[tuple[bytes | memoryview, int]]
    ) -> None:
        """Store a timestep at once, of which each field is one block, encoded, with its flags."""
        place, entries, parts = self._table_bytes, [], []
        for payload, flags in payloads:
            entries.append(Entry(place, len(payload), flags).pack())
            parts.append(payload)
            place += len(payload)
        table = bytes(HEAD_BYTES) + b"".join(entries)
        with writing():
            self._write_file(timestep, b"".join((table, *parts)), crc32(table))

    def settle(self) -> None:
        with writing():
            for timestep, begun in self._begun.items():
                if len(begun.data) > self._table_bytes:
                    self._write(timestep, begun)
            self._sync()

    def files(self) -> Iterator[FileState]:
        for timestep, each in self._sums.items():
            begun = self._begun.get(timestep)
            missing = 0 if begun is None else begun.missing
            name = self._name(timestep)
            yield FileState(timestep, 0, name, each.size_bytes, each.crc32, missing)

    def finish(self) -> dict[str, FileSum]:
        self.settle()
        self.abandon()
        return {self._name(timestep): each for timestep, each in self._sums.items()}

    def abandon(self) -> None:
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _timestep(self, timestep: int) -> _Timestep:
        with self._lock:
            begun = self._begun.get(timestep)
            if begun is None:
                begun = _Timestep(bytearray(self._table_bytes), self._blocks)
                self._begun[timestep] = begun
            return begun

    def _count(self, timestep: int, begun: _Timestep) -> None:
        """One block fewer is to come; the last one is followed by the file."""
        with self._lock:
            begun.missing -= 1
            if begun.missing:
                return
            del self._begun[timestep]
        with writing():
            self._write(timestep, begun)

    def _write(self, timestep: int, begun: _Timestep) -> None:
        crc = crc32(memoryview(begun.data)[: self._table_bytes])
        self._write_file(timestep, memoryview(begun.data), crc)

    def _write_file(self, timestep: int, data: bytes | memoryview, crc: int) -> None:
        name = self._name(timestep)
        path = f"{self._root_name}/{name}"
        if "/" in name:
            self._folders.ensure(self._folders.root / name.rpartition("/")[0])
        known = timestep in self._sums
        if self._is_resumed and not known:
            # A former writer may have made it after all, and write into it.
            Path(path).unlink(missing_ok=True)
        # What was written before stays as it is: blocks only come behind it.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            write_all(fd, data, 0)
        finally:
            os.close(fd)
        with self._lock:
            self._sums[timestep] = FileSum(len(data), crc, "rest")
            self._unsynced.append(name)

    def _name(self, timestep: int) -> str:
        return time_name(self._time_template, timestep) + self._file_name

    def _sync(self) -> None:
        names, self._unsynced = self._unsynced, []
        if len(names) > MOST_SYNCED_ALONE and sync_file_system(self._root):
            self._folders.forget()
            return
        for name in names:
            fd = os.open(self._folders.root / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        self._folders.sync()
        sync_folder(self._folders.root)
