"""The manifest: a checksum for every published byte, beside the blocks, in a file of its own.

Layout, little-endian::

    64 bytes   magic, format, timesteps, fields, blocks, place and size and CRC of the file list,
               CRC of the slots, CRC of these 60 bytes
    slots      timesteps x fields x blocks entries of 8 bytes: size u32, CRC-32 u32 of a stored
               payload; zeros for a block that is not stored (holes of a sparse file)
    file list  one line a file: size, CRC-32 in hex, what it covers, path relative to the header's
               folder

A slot has a fixed place, so threads and processes record blocks in any order with nothing held in
memory. The CRC is zlib's. A file of the list is covered as a whole (``all``: the header,
metadata.json), or in what its payloads leave (``rest``: table and gaps of a file of blocks, in the
order of the file). A file that is one payload (ARCO) is covered by its slot alone.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource

MANIFEST_NAME = "manifest"
SLOT_DTYPE = np.dtype([("size", "<u4"), ("crc32", "<u4")])

_MAGIC = b"SCIDXSUM"
_FORMAT = 1
_HEAD = struct.Struct("<8sIIQQQII12x")
_HEAD_BYTES = 64
_SLOT = struct.Struct("<II")
_CHUNK_BYTES = 1 << 20
_PAGE_SLOTS = 1 << 16
_LIST_LIMIT_BYTES = 256 << 20

Coverage = Literal["all", "rest"]


@dataclass(frozen=True, slots=True)
class FileSum:
    """Size and checksum of one file, or of what its payloads leave of it."""

    size_bytes: int
    crc32: int
    covers: Coverage = "all"


def sum_file(path: Path) -> FileSum:
    """Size and CRC-32 of the whole file `path`, read in pieces of 1 MiB."""
    size, crc = 0, 0
    with path.open("rb", buffering=0) as file:
        while data := file.read(_CHUNK_BYTES):
            size += len(data)
            crc = crc32(data, crc)
    return FileSum(size, crc)


class ManifestWriter:
    """Records blocks as they are stored. `record` may be called from any thread or process."""

    def __init__(self, fd: int, timesteps: int, fields: int, blocks: int) -> None:
        self._fd = fd
        self._timesteps = timesteps
        self._fields = fields
        self._blocks = blocks

    @classmethod
    def create(cls, path: Path, timesteps: int, fields: int, blocks: int) -> Self:
        """Make the file `path`, which must not exist, with empty slots (sparse)."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        os.ftruncate(fd, _HEAD_BYTES + timesteps * fields * blocks * SLOT_DTYPE.itemsize)
        return cls(fd, timesteps, fields, blocks)

    @classmethod
    def attach(cls, path: Path, timesteps: int, fields: int, blocks: int) -> Self:
        """Open what was created before, to `record` into it; only one process calls `finish`."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        return cls(fd, timesteps, fields, blocks)

    def record(self, timestep: int, field: int, block: int, size_bytes: int, crc32: int) -> None:
        """Note the stored payload of a block: its size on disk and its CRC-32."""
        index = (timestep * self._fields + field) * self._blocks + block
        os.pwrite(self._fd, _SLOT.pack(size_bytes, crc32), _HEAD_BYTES + index * _SLOT.size)

    def record_timesteps(self, first: int, slots: NDArray[Any]) -> None:
        """Note the payloads of whole timesteps of one block: an array of `SLOT_DTYPE` of shape
        (timesteps, fields)."""
        _write_all(self._fd, slots.tobytes(), _HEAD_BYTES + first * self._fields * _SLOT.size)

    def sync(self) -> None:
        """Bring what was recorded so far to stable storage."""
        os.fsync(self._fd)

    def finish(self, files: Mapping[str, FileSum], *, sync: bool = True) -> None:
        """Write the file list and the checksums of the manifest itself, then close.

        Parameters
        ----------
        files : Mapping
            Path relative to the header's folder, with ``/``, to `FileSum`.
        sync : bool
            Whether to fsync: once, at the end.
        """
        slots_bytes = self._timesteps * self._fields * self._blocks * SLOT_DTYPE.itemsize
        slots_crc = _sum_range(self._fd, _HEAD_BYTES, slots_bytes)
        lines = "".join(_format_line(path, entry) for path, entry in sorted(files.items()))
        data = lines.encode("utf-8", "surrogateescape")
        place = _HEAD_BYTES + slots_bytes
        _write_all(self._fd, data, place)
        os.ftruncate(self._fd, place + len(data))
        counts = (self._timesteps, self._fields, self._blocks)
        _write_all(self._fd, _pack_head(counts, len(data), slots_crc, crc32(data)), 0)
        if sync:
            os.fsync(self._fd)
        self.close()

    def close(self) -> None:
        """Close the file; without `finish` it is no valid manifest."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def amend_manifest(path: Path, files: Mapping[str, FileSum], *, sync: bool = True) -> None:
    """Add `files` to the list of a finished manifest, or replace their entries."""
    with Manifest.open(path) as manifest:
        merged = {**manifest.files, **files}
        counts = (manifest.timesteps, manifest.fields, manifest.blocks)
    with ManifestWriter.attach(path, *counts) as writer:
        writer.finish(merged, sync=sync)


class Manifest:
    """A finished manifest, open for reading. Slots are read as they are asked for."""

    def __init__(
        self, fd: int, counts: tuple[int, int, int], slots_crc: int, files: Mapping[str, FileSum]
    ) -> None:
        self._fd = fd
        self._slots_crc = slots_crc
        self.timesteps, self.fields, self.blocks = counts
        self.files = files

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open and check head and file list; `slots_intact` checks the rest.

        Raises
        ------
        CorruptSource
            It is none, incomplete or damaged.
        """
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            counts, list_bytes, slots_crc, list_crc = _parse_head(os.pread(fd, _HEAD_BYTES, 0))
            place = _HEAD_BYTES + counts[0] * counts[1] * counts[2] * SLOT_DTYPE.itemsize
            if os.fstat(fd).st_size != place + list_bytes or list_bytes > _LIST_LIMIT_BYTES:
                raise CorruptSource("The manifest has not the size that it should have.")
            data = _read_all(fd, list_bytes, place)
            if crc32(data) != list_crc:
                raise CorruptSource("The manifest's list of files is damaged.")
            text = data.decode("utf-8", "surrogateescape")
            files = dict(_parse_line(line) for line in text.split("\n")[:-1])
            return cls(fd, counts, slots_crc, files)
        except BaseException:
            os.close(fd)
            raise

    def slots_intact(self) -> bool:
        """Whether the slots are as they were written."""
        slots_bytes = self.timesteps * self.fields * self.blocks * SLOT_DTYPE.itemsize
        return _sum_range(self._fd, _HEAD_BYTES, slots_bytes) == self._slots_crc

    def slots(self, timestep: int, field: int, first: int = 0, count: int = -1) -> NDArray[Any]:
        """Size and CRC of `count` blocks from `first` (-1: all), as an array of `SLOT_DTYPE`."""
        count = self.blocks - first if count < 0 else count
        index = (timestep * self.fields + field) * self.blocks + first
        place = _HEAD_BYTES + index * SLOT_DTYPE.itemsize
        return np.frombuffer(_read_all(self._fd, count * SLOT_DTYPE.itemsize, place), SLOT_DTYPE)

    def timesteps_slots(self, first: int, count: int) -> NDArray[Any]:
        """All slots of several timesteps, of shape (timesteps, fields x blocks)."""
        width = self.fields * self.blocks
        place = _HEAD_BYTES + first * width * SLOT_DTYPE.itemsize
        data = _read_all(self._fd, count * width * SLOT_DTYPE.itemsize, place)
        return np.frombuffer(data, SLOT_DTYPE).reshape(count, width)

    def pages(self, timestep: int, field: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """All slots of a field at a timestep, piece by piece, with the number of the first."""
        for first in range(0, self.blocks, _PAGE_SLOTS):
            count = min(_PAGE_SLOTS, self.blocks - first)
            yield first, self.slots(timestep, field, first, count)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _pack_head(counts: tuple[int, int, int], list_bytes: int, slots_crc: int, crc: int) -> bytes:
    timesteps, fields, blocks = counts
    head = _HEAD.pack(_MAGIC, _FORMAT, fields, timesteps, blocks, list_bytes, slots_crc, crc)
    return head + struct.pack("<I", crc32(head))


def _parse_head(data: bytes) -> tuple[tuple[int, int, int], int, int, int]:
    if len(data) < _HEAD_BYTES or crc32(data[: _HEAD.size]) != int.from_bytes(
        data[60:64], "little"
    ):
        raise CorruptSource("The manifest is incomplete or its head is damaged.")
    magic, version, fields, timesteps, blocks, list_bytes, slots, listed = _HEAD.unpack_from(data)
    if magic != _MAGIC or version != _FORMAT:
        raise CorruptSource("The manifest is of a kind that is not known here.")
    return (timesteps, fields, blocks), list_bytes, slots, listed


def _format_line(path: str, entry: FileSum) -> str:
    if "\n" in path:
        raise ValueError(f"a file's name holds a line break: {path!r}")
    return f"{entry.size_bytes} {entry.crc32:08x} {entry.covers} {path}\n"


def _parse_line(line: str) -> tuple[str, FileSum]:
    size, crc, covers, path = line.split(" ", 3)
    return path, FileSum(int(size), int(crc, 16), cast(Coverage, covers))


def _write_all(fd: int, data: bytes, place: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, place)
        view, place = view[written:], place + written


def _read_all(fd: int, size: int, place: int) -> bytes:
    pieces = []
    while size > 0:
        data = os.pread(fd, size, place)
        if not data:
            raise CorruptSource("The manifest ends too early.")
        pieces.append(data)
        size, place = size - len(data), place + len(data)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _sum_range(fd: int, place: int, size: int) -> int:
    crc = 0
    while size > 0:
        data = os.pread(fd, min(size, _CHUNK_BYTES), place)
        if not data:
            return -1
        crc = crc32(data, crc)
        size, place = size - len(data), place + len(data)
    return crc
