"""Re-reads every stored byte of a dataset's blocks and compares it with the manifest.

Files are read from end to end in pieces, so memory does not depend on the dataset. Nothing is
decoded: whether the samples are right is not asked here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from scientistcloud.errors import Stopped, StorageUnavailable
from scientistcloud.grid import Box
from scientistcloud.idx.files.blockfile import ENTRY_BYTES, HEAD_BYTES, table_bytes
from scientistcloud.idx.files.damage import Damage, describe_region, hull
from scientistcloud.idx.files.manifest import FileSum, Manifest
from scientistcloud.idx.headers.header import IdxHeader
from scientistcloud.idx.reader import IdxReader

_PIECE_BYTES = 1 << 20
_TOLD = 8
"""So many lost blocks of one file are named one by one."""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block as the manifest has it: field (its index), number, stored bytes and CRC-32."""

    field: int
    number: int
    size: int
    crc: int


class FileSums:
    """Sums up files from end to end, in pieces of 1 MiB.

    Parameters
    ----------
    progress : callable
        Told the bytes newly read.
    stop : callable
        Asked once a piece; `Stopped` is raised when it says so.
    """

    def __init__(self, progress: Callable[[int], None], stop: Callable[[], bool]) -> None:
        self._progress = progress
        self._stop = stop
        self._buffer = bytearray(_PIECE_BYTES)

    def piece(self, fd: int, offset: int, size: int, crc: int = 0) -> int:
        """The CRC-32 of a piece of a file, going on from `crc`; -1 where the file ends before."""
        view = memoryview(self._buffer)
        while size > 0:
            if self._stop():
                raise Stopped
            count = os.preadv(fd, [view[: min(size, _PIECE_BYTES)]], offset)
            if count == 0:
                return -1
            crc = crc32(view[:count], crc)
            size, offset = size - count, offset + count
            self._progress(count)
        return crc

    def block_file(
        self, fd: int, header: IdxHeader, stored: Sequence[StoredBlock]
    ) -> tuple[list[StoredBlock], int]:
        """Of a file of blocks: those of `stored` that are not in it as they were, and the sum of
        the rest, which is its table and gaps."""
        size_bytes = os.fstat(fd).st_size
        wanted = table_bytes(header.blocks_per_file, len(header.fields))
        table = os.pread(fd, wanted, 0)
        places = _places(table.ljust(wanted, b"\0"))
        rows = [
            b.field * header.blocks_per_file + b.number % header.blocks_per_file for b in stored
        ]
        offsets = [int(places[row, 0]) for row in rows]
        lost, crc, end = [], crc32(table), len(table)
        self._progress(len(table))
        for index in sorted(range(len(rows)), key=offsets.__getitem__):
            block, offset = stored[index], offsets[index]
            fits = end <= offset and offset + block.size <= size_bytes
            if not fits or int(places[rows[index], 1]) != block.size:
                lost.append(block)
                continue
            crc = self.piece(fd, end, offset - end, crc)
            if self.piece(fd, offset, block.size) != block.crc:
                lost.append(block)
            end = offset + block.size
        return lost, self.piece(fd, end, max(0, size_bytes - end), crc)


class BlockAudit:
    """Compares the blocks of one dataset with its manifest.

    Parameters
    ----------
    reader : IdxReader
    manifest : Manifest
        Of the same numbers of timesteps, fields and blocks.
    progress : callable
        Told the bytes newly read.
    stop : callable
        Asked once a piece of 1 MiB; `Stopped` is raised when it says so.
    """

    def __init__(
        self,
        reader: IdxReader,
        manifest: Manifest,
        *,
        progress: Callable[[int], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._reader = reader
        self._manifest = manifest
        self._sums = FileSums(progress, stop)

    def run(self) -> Iterator[Damage]:
        """Every damage of block files or ARCO blocks, in the order of timesteps.

        Raises
        ------
        Stopped
        StorageUnavailable
            A file is there and cannot be read.
        """
        try:
            yield from self._run()
        except OSError as error:
            raise StorageUnavailable(f"The blocks cannot be read: {error.strerror}.") from error

    def _run(self) -> Iterator[Damage]:
        header = self._reader.header
        for timestep in range(header.timesteps):
            if header.arco:
                yield from self._audit_arco(timestep)
                continue
            step = header.blocks_per_file if "%" in header.filename_template else 1 << 62
            for first in range(0, header.block_count, step):
                yield from self._audit_file(timestep, first)

    def _audit_arco(self, timestep: int) -> Iterator[Damage]:
        for field in range(len(self._reader.header.fields)):
            for first, slots in self._manifest.pages(timestep, field):
                for number, (size, crc) in enumerate(slots.tolist(), first):
                    yield from self._audit_block(timestep, StoredBlock(field, number, size, crc))

    def _audit_block(self, timestep: int, stored: StoredBlock) -> Iterator[Damage]:
        name = self._reader.stored.file_name(timestep, stored.field, stored.number)
        path = self._reader.stored.base / name
        if stored.size == 0:
            if os.path.lexists(path):
                yield self._damage(name, "is no part of the dataset", timestep, [stored])
            return
        with _Open(path) as file:
            if file.fd is None:
                yield self._damage(name, file.problem, timestep, [stored])
            elif file.size_bytes != stored.size:
                yield self._damage(name, _size_problem(file, stored.size), timestep, [stored])
            elif self._sums.piece(file.fd, 0, stored.size) != stored.crc:
                yield self._damage(name, "is damaged", timestep, [stored])

    def _audit_file(self, timestep: int, first: int) -> Iterator[Damage]:
        name = self._reader.stored.file_name(timestep, 0, first)
        stored = self._stored_in_file(timestep, first)
        listed = self._manifest.files.get(name)
        path = self._reader.stored.base / name
        if listed is None:
            if stored or os.path.lexists(path):
                yield self._damage(name, "is no part of the dataset", timestep, stored)
            return
        with _Open(path) as file:
            if file.fd is None:
                yield self._damage(name, file.problem, timestep, stored)
            else:
                yield from self._audit_open_file(file, name, listed, timestep, stored)

    def _audit_open_file(
        self, file: _Open, name: str, listed: FileSum, timestep: int, stored: list[StoredBlock]
    ) -> Iterator[Damage]:
        assert file.fd is not None
        if file.size_bytes != listed.size_bytes:
            yield self._damage(name, _size_problem(file, listed.size_bytes), timestep, stored)
        lost, rest_crc = self._sums.block_file(file.fd, self._reader.header, stored)
        if rest_crc != listed.crc32:
            yield self._damage(name, "is damaged in its table of blocks", timestep, stored)
        for block in lost[:_TOLD]:
            yield self._damage(name, "is damaged", timestep, [block])
        if len(lost) > _TOLD:
            yield self._damage(name, "is damaged in more blocks", timestep, lost[_TOLD:])

    def _stored_in_file(self, timestep: int, first: int) -> list[StoredBlock]:
        header = self._reader.header
        count = min(header.blocks_per_file, header.block_count - first)
        found = []
        for field in range(len(header.fields)):
            slots = self._manifest.slots(timestep, field, first, count)
            for i in np.flatnonzero(slots["size"]):
                size, crc = slots[i].item()
                found.append(StoredBlock(field, first + int(i), size, crc))
        return found

    def _damage(self, name: str, problem: str, timestep: int, lost: list[StoredBlock]) -> Damage:
        header = self._reader.header
        fields = {block.field for block in lost}
        field = header.fields[fields.pop()].name if len(fields) == 1 else None
        regions: list[Box] = [self._reader.region(block.number) for block in lost]
        box = hull(regions)
        region = describe_region(field, timestep, box)
        return Damage(name, f"'{name}' {problem}: {region}.", field, timestep, box)


class _Open:
    """A file open for reading; `fd` is None, and `problem` says why, where it is none."""

    def __init__(self, path: Path) -> None:
        self.fd: int | None = None
        self.problem = "is missing"
        self.size_bytes = 0
        with suppress(FileNotFoundError, NotADirectoryError):
            if not stat.S_ISREG(path.stat().st_mode):
                self.problem = "is no plain file"
                return
            self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            self.size_bytes = os.fstat(self.fd).st_size

    def __enter__(self) -> _Open:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.fd is not None:
            os.close(self.fd)


def _size_problem(file: _Open, expected: int) -> str:
    what = "is cut" if file.size_bytes < expected else "is too long"
    return f"{what} ({file.size_bytes} bytes instead of {expected})"


def _places(table: bytes) -> NDArray[np.uint64]:
    """Offset and size that the table gives for each of its entries."""
    words = np.frombuffer(table, ">u4", offset=HEAD_BYTES).reshape(-1, ENTRY_BYTES // 4)
    words = words.astype(np.uint64)
    return np.stack([words[:, 2] | words[:, 3] << np.uint64(32), words[:, 4]], axis=1)
