"""Many tiny timesteps read back: each file once, every sample compared, many at a time.

A quick yes for what `verify` looks at block by block; where it is no, that one finds out why.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.conversion.timestep_reads import read_timesteps
from scientistcloud.errors import ConversionError, Stopped
from scientistcloud.grid import Box
from scientistcloud.idx.files.blockfile import (
    ENTRY_BYTES,
    HEAD_BYTES,
    Entry,
    block_file_name,
    table_bytes,
    time_name,
)
from scientistcloud.idx.files.codecs import ROW_MAJOR, crc32, decode
from scientistcloud.idx.files.layout import MANY_TIMESTEPS, SMALL_FILE_BYTES
from scientistcloud.idx.files.manifest import Manifest
from scientistcloud.idx.headers.header import IdxHeader
from scientistcloud.idx.reader import IdxReader
from scientistcloud.readers.base import DatasetSpec, Source

_BATCH_TIMESTEPS = 256


def suits(header: IdxHeader) -> bool:
    """Whether a dataset has many timesteps, of which each is one small file of one block."""
    stored_bytes = sum(header.block_bytes(i) for i in range(len(header.fields)))
    return (
        not header.arco
        and header.block_count == header.blocks_per_file == 1
        and header.timesteps >= MANY_TIMESTEPS
        and stored_bytes <= SMALL_FILE_BYTES
        and not any(header.box.lo)
    )


def timesteps_match(
    source: Source,
    spec: DatasetSpec,
    reader: IdxReader,
    manifest: Manifest,
    *,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
) -> bool:
    """Whether all stored bytes are those of the manifest, and all samples those of the source.

    Raises
    ------
    Stopped
        `stop`, which is asked once a batch, said so.
    """
    files = _Files(reader, manifest)
    for begin in range(0, spec.timesteps, _BATCH_TIMESTEPS):
        if stop():
            raise Stopped
        count = min(_BATCH_TIMESTEPS, spec.timesteps - begin)
        for index, stored in enumerate(files.samples(begin, count)):
            if stored is None or not _is_that_of(source, spec, index, begin, stored):
                return False
        progress(count * spec.samples_bytes // spec.timesteps)
    return True


def _is_that_of(
    source: Source, spec: DatasetSpec, index: int, begin: int, stored: NDArray[Any]
) -> bool:
    field, box = spec.fields[index], Box.of_shape(spec.shape)
    inside = stored[(slice(None), *box.slices)]
    expected = np.empty(inside.shape, field.dtype)
    read_timesteps(source, field, begin, expected)
    found = np.ascontiguousarray(inside)
    return found.dtype == expected.dtype and found.tobytes() == expected.tobytes()


class _Files:
    """The files of timesteps, checked against the manifest as they are read."""

    def __init__(self, reader: IdxReader, manifest: Manifest) -> None:
        header = self._header = reader.header
        self._base = Path(reader.stored.base)
        self._manifest = manifest
        name = block_file_name(header.filename_template, "\0", 0).removeprefix("./")
        self._before, self._after = name.split("\0")
        self._table_bytes = table_bytes(1, len(header.fields))
        self._nsamples = reader.layout.level_of(0).nsamples

    def samples(self, begin: int, count: int) -> list[NDArray[Any] | None]:
        """Of each field the whole blocks of `count` timesteps; None where a file is not right."""
        fields = range(len(self._header.fields))
        slots = self._manifest.timesteps_slots(begin, count).tolist()
        rows = [self._blocks(begin + i, each) for i, each in enumerate(slots)]
        whole = [row for row in rows if row is not None]
        if len(whole) < count:
            return [None for _ in fields]
        return [self._joined(f, [row[f] for row in whole]) for f in fields]

    def _joined(self, field: int, blocks: list[bytes]) -> NDArray[Any]:
        item = self._header.fields[field]
        components = () if item.components == 1 else (item.components,)
        joined = np.frombuffer(b"".join(blocks), item.dtype.newbyteorder("<"))
        shape = (len(blocks), *self._nsamples, *components)
        return joined.reshape(shape).astype(item.dtype.newbyteorder("="), copy=False)

    def _blocks(self, timestep: int, slots: list[tuple[int, int]]) -> list[bytes] | None:
        header = self._header
        time = time_name(header.time_template, header.time_value(timestep))
        name = f"{self._before}{time}{self._after}"
        listed = self._manifest.files.get(name)
        try:
            with open(f"{self._base}/{name}", "rb", buffering=0) as file:  # noqa: PTH123
                data = memoryview(file.read())
            table = data[: self._table_bytes]
            if listed is None or (listed.size_bytes, listed.crc32) != (len(data), crc32(table)):
                return None
            return [self._block(data, field, slot) for field, slot in enumerate(slots)]
        except (OSError, ValueError, ConversionError):
            return None

    def _block(self, data: memoryview, field: int, slot: tuple[int, int]) -> bytes:
        at = HEAD_BYTES + ENTRY_BYTES * field
        entry = Entry.unpack(bytes(data[at : at + ENTRY_BYTES]))
        payload = data[entry.offset : entry.offset + entry.size]
        if (entry.size, crc32(payload)) != slot:
            raise ValueError("the block is not that of the manifest")
        if not entry.flags & ROW_MAJOR:
            raise ValueError("the block is not one of ours")
        return bytes(decode(payload, entry.flags, self._header.block_bytes(field)))
