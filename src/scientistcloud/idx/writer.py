"""`IdxWriter`: takes the samples of blocks, in any order and from any thread, and writes them."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Shape
from scientistcloud.idx.files.arco_files import ArcoFiles
from scientistcloud.idx.files.block_store import BlockFiles, BlockStore, FileState
from scientistcloud.idx.files.codecs import CODECS, MAX_STORED_RATIO, RAW, ROW_MAJOR, crc32
from scientistcloud.idx.files.layout import IdxLayout
from scientistcloud.idx.files.manifest import (
    MANIFEST_NAME,
    SLOT_DTYPE,
    FileSum,
    ManifestWriter,
)
from scientistcloud.idx.files.small_files import SmallFiles
from scientistcloud.idx.files.storage import sync_folder, write_all, writing
from scientistcloud.idx.geometry.gather import gather
from scientistcloud.idx.headers.header import IdxHeader, format_header
from scientistcloud.idx.ranges import Limits, Ranges, finite_limits, limits_without

SMALLEST_ENCODED_BYTES = 16
"""Fewer bytes than a codec's own head and tail are not encoded."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a finished writer leaves.

    Attributes
    ----------
    header : IdxHeader
        As written.
    stored_bytes : int
        Of all blocks, encoded.
    """

    header: IdxHeader
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """What one of several processes wrote, for the one that finishes.

    Attributes
    ----------
    sums : Mapping
        Of files below the blocks' folder, by relative name.
    limits : tuple of Limits
        Of each field.
    """

    sums: Mapping[str, FileSum]
    limits: tuple[Limits, ...]
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class WriterState:
    """What a writer had brought to stable storage, from which another one goes on.

    Attributes
    ----------
    files : tuple of FileState
        All block files.
    limits : tuple of Limits
        Of each field, so far.
    """

    files: tuple[FileState, ...]
    limits: tuple[Limits, ...]
    stored_bytes: int


class IdxWriter:
    """Writes one dataset. A context manager: leaving it without `finish` leaves no ``.idx``.

    Parameters
    ----------
    layout : IdxLayout
    header_path : Path
        Where the ``.idx`` goes, last of all; its folder exists.
    blocks_folder : Path
        Exists; gets block files (or ARCO blocks) and the manifest.
    template_base : str
        How the header names `blocks_folder`, such as ``./visus/0123abcd``.
    join : bool
        Another process has begun this dataset and will finish it: this one ends with
        `finish_part`. They must not write into the same block file.
    resume : WriterState, optional
        Another writer came this far with these folders and this layout; block files (not ARCO)
        and manifest are there.

    Raises
    ------
    OutOfSpace, StorageUnavailable
        From any method.
    """

    def __init__(
        self,
        layout: IdxLayout,
        header_path: Path,
        blocks_folder: Path,
        template_base: str,
        *,
        join: bool = False,
        resume: WriterState | None = None,
    ) -> None:
        self.layout = layout
        self._header_path = header_path
        self._folder = blocks_folder
        self._template_base = template_base
        self._codec = CODECS[layout.codec]
        self._ranges = Ranges(layout.fields)
        self._stored_bytes = 0
        self._local = threading.local()
        self._lock = threading.Lock()
        files: tuple[FileState, ...] | None = None
        if resume is not None:
            files, self._stored_bytes = resume.files, resume.stored_bytes
            self._ranges.extend_all(resume.limits)
        self._store = _store_of(layout, blocks_folder, files)
        self._sums: dict[str, FileSum] = {}
        open_manifest = ManifestWriter.attach if join or resume else ManifestWriter.create
        with writing():
            self._manifest = open_manifest(
                blocks_folder / MANIFEST_NAME,
                layout.timesteps,
                len(layout.fields),
                layout.blocks.count,
            )

    def write_block(
        self, timestep: int, field: int, block: int, nsamples: Shape, samples: NDArray[Any]
    ) -> None:
        """Encode and store one block; once for each block, from any thread.

        Parameters
        ----------
        timestep, field, block : int
            `field` is the field's index.
        nsamples : Shape
            Of a whole block of this level.
        samples : ndarray
            Those inside the dataset: of shape `nsamples` or smaller (plus the components), any
            strides. What is missing to `nsamples` is 0.
        """
        spec = self.layout.fields[field]
        shape = nsamples if spec.components == 1 else (*nsamples, spec.components)
        whole = self._buffer(spec.sample_bytes).view(spec.dtype).reshape(shape)
        if samples.shape == shape:
            inside = whole
        else:
            whole.fill(0)
            inside = whole[tuple(slice(0, n) for n in samples.shape)]
        gather(inside, samples)
        inside = np.ascontiguousarray(inside)
        limits = finite_limits(inside, spec.components)
        if limits is not None:
            fill = self.layout.fill_values[field] if self.layout.fill_values else None
            valid = limits_without(fill, limits, inside, spec.components)
            if valid is not None:
                self._ranges.extend(field, valid)
            # Block 0 is always there, so that every timestep has a file.
            if block and not any(map(any, limits)) and _is_zero(whole):
                self._store.leave_out(timestep, block)
                return
        self._put(timestep, field, block, whole.data)

    def write_timesteps(self, first: int, samples: Sequence[NDArray[Any]]) -> None:
        """Encode and store all of several timesteps, of which each is one block of each field.

        Only for layouts with small files (`IdxLayout.has_small_files`) and a single block.

        Parameters
        ----------
        samples : sequence of ndarray
            Of each field, of shape (timesteps, *grid[, components]).
        """
        layout, store = self.layout, self._store
        assert isinstance(store, SmallFiles)
        whole = layout.blocks.level_of(0).nsamples
        blocks = []
        for index, (spec, given) in enumerate(zip(layout.fields, samples, strict=True)):
            limits = finite_limits(given, spec.components)
            if limits is not None:
                fill = layout.fill_values[index] if layout.fill_values else None
                valid = limits_without(fill, limits, given, spec.components)
                if valid is not None:
                    self._ranges.extend(index, valid)
            shape = whole if spec.components == 1 else (*whole, spec.components)
            padded = np.zeros((len(given), *shape), spec.dtype)
            padded[(slice(None), *(slice(0, n) for n in given.shape[1:]))] = given
            blocks.append(padded)
        sums = np.zeros((len(blocks[0]), len(blocks)), SLOT_DTYPE)
        for i in range(len(sums)):
            stored = [self._encoded(padded[i].data) for padded in blocks]
            store.store_timestep(first + i, [(p, flags | ROW_MAJOR) for p, flags in stored])
            sums[i] = [(len(payload), crc32(payload)) for payload, _ in stored]
        with writing():
            self._manifest.record_timesteps(first, sums)
        with self._lock:
            self._stored_bytes += int(sums["size"].sum())

    def _encoded(self, samples: memoryview) -> tuple[bytes | memoryview, int]:
        """A block as it is stored, and its codec; raw where that is hardly larger."""
        if samples.nbytes >= SMALLEST_ENCODED_BYTES or self.layout.arco:
            payload = self._codec.encode(samples)
            fits = len(payload) <= MAX_STORED_RATIO * samples.nbytes
            if payload is not samples and (self.layout.arco or fits):
                return payload, self._codec.flag
        return samples.cast("B"), RAW

    def _put(self, timestep: int, field: int, block: int, samples: memoryview) -> None:
        payload, flags = self._encoded(samples)
        self._store.store(timestep, field, block, payload, flags | ROW_MAJOR)
        with writing():
            self._manifest.record(timestep, field, block, len(payload), crc32(payload))
        with self._lock:
            self._stored_bytes += len(payload)

    def _buffer(self, sample_bytes: int) -> NDArray[np.uint8]:
        """Room for a block, one for each thread."""
        if not hasattr(self._local, "buffer"):
            largest = max(f.sample_bytes for f in self.layout.fields)
            self._local.buffer = np.empty(largest << self.layout.bits_per_block, np.uint8)
        buffer: NDArray[np.uint8] = self._local.buffer
        return buffer[: sample_bytes << self.layout.bits_per_block]

    def settle(self) -> WriterState:
        """Bring what was written so far to stable storage; nobody writes meanwhile."""
        with writing():
            self._store.settle()
            self._manifest.sync()
        return self.state()

    def state(self) -> WriterState:
        """What lies on stable storage since the last `settle` or `finish`."""
        limits = tuple(self._ranges.raw_limits())
        return WriterState(tuple(self._store.files()), limits, self._stored_bytes)

    def finish_part(self) -> Part:
        """Bring what this process wrote to stable storage, for another one that finishes."""
        with writing():
            sums = self._store.finish()
            self._manifest.close()
        return Part(sums, tuple(self._ranges.raw_limits()), self._stored_bytes)

    def add_part(self, part: Part) -> None:
        """Take in what another process wrote."""
        self._sums.update(part.sums)
        self._ranges.extend_all(part.limits)
        self._stored_bytes += part.stored_bytes

    def finish(self) -> Written:
        """Bring everything to stable storage, the header last."""
        header = self.layout.header(self._template_base, self._ranges.limits())
        text = format_header(header).encode()
        base = self._template_base.removeprefix("./")
        with writing():
            self._sums.update(self._store.finish())
            sums = {f"{base}/{name}": s for name, s in self._sums.items()}
            sums[self._header_path.name] = FileSum(len(text), crc32(text))
            self._manifest.finish(sums)
            sync_folder(self._folder)
            _write_header(self._header_path, text)
        return Written(header, self._stored_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._store.abandon()
        self._manifest.close()


def _store_of(layout: IdxLayout, folder: Path, files: tuple[FileState, ...] | None) -> BlockStore:
    if layout.arco:
        return ArcoFiles(layout, folder)
    if layout.has_small_files:
        return SmallFiles(layout, folder, files)
    return BlockFiles(layout, folder, files)


def _is_zero(samples: NDArray[Any]) -> bool:
    """Whether all bits are 0: minus zero is not."""
    if samples.dtype.kind != "f":
        return True
    return not samples.reshape(-1).view(np.uint8).any()


def _write_header(path: Path, text: bytes) -> None:
    part = path.with_name(path.name + ".part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        write_all(fd, text, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    part.replace(path)
    sync_folder(path.parent)
