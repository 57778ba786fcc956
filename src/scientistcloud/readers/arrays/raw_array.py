"""Regular arrays that lie uncompressed in files: any box of them is read by position.

NIfTI, NRRD, MRC, MetaImage, NumPy and uncompressed DICOM differ only in their headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource
from scientistcloud.grid import Box, Shape, ceil_div
from scientistcloud.readers.base import Concurrency, FieldSpec, SourceSpec
from scientistcloud.readers.files.open_files import FilePool

SPAN_BYTES = 1 << 20
"""At most so much is read at once where the bytes have to be rearranged."""
GAP_BYTES = 16 << 10
"""Reading over a gap of this size costs as much as another system call."""
SCALED_BYTES = 9 * SPAN_BYTES
"""What `RawArray.read` holds with a scale: a span and its values as float64."""


@dataclass(frozen=True, slots=True)
class Scale:
    """``value = stored * slope + intercept``, computed in float64; NaN where stored is `blank`."""

    slope: float = 1.0
    intercept: float = 0.0
    blank: int | None = None

    @property
    def is_identity(self) -> bool:
        return self.slope == 1.0 and self.intercept == 0.0

    def dtype_of(self, stored: np.dtype[Any]) -> np.dtype[Any]:
        """float32, which keeps all of 16 bits, or float64 for wider samples."""
        wide = stored.itemsize > 4 or (stored.kind in "iu" and stored.itemsize > 2)
        return np.dtype("f8" if wide else "f4")


@dataclass(frozen=True, slots=True)
class RawArray:
    """An array in one file.

    Attributes
    ----------
    offset : int
        Of the first sample, in bytes.
    dtype : numpy.dtype
        As stored, byte order included.
    shape, strides : Shape
        Of the grid, array order; strides in bytes, positive, in any order of size.
    flip_sign : bool
        Whether the highest bit of each integer is inverted: unsigned numbers that a format without
        them stores less half of their range, or the other way round. Goes without a scale.
    """

    path: Path
    offset: int
    dtype: np.dtype[Any]
    shape: Shape
    strides: Shape
    components: int = 1
    component_stride: int = 0
    timesteps: int = 1
    time_stride: int = 0
    scale: Scale | None = None
    flip_sign: bool = False

    @property
    def end(self) -> int:
        """The file has to have this many bytes."""
        last = sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        last += (self.components - 1) * self.component_stride
        last += (self.timesteps - 1) * self.time_stride
        return self.offset + last + self.dtype.itemsize

    @property
    def working_bytes(self) -> int:
        return SCALED_BYTES if self.scale is not None else SPAN_BYTES

    def as_slice(self) -> RawArray:
        """The same image as one slice of a stack."""
        return replace(self, shape=(1, *self.shape), strides=(0, *self.strides))

    def as_run(self) -> RawArray:
        """The same with time as the first axis of the grid."""
        return replace(
            self,
            shape=(self.timesteps, *self.shape),
            strides=(self.time_stride, *self.strides),
            timesteps=1,
            time_stride=0,
        )

    def check(self, pool: FilePool) -> None:
        """Raise CorruptSource where the file is shorter than its header says."""
        size = pool.size(self.path)
        if size < self.end:
            raise CorruptSource(
                f"{pool.name(self.path)} is cut short: its header describes {self.end:,} bytes, "
                f"and it has {size:,}."
            )

    def read(self, pool: FilePool, timestep: int, box: Box, out: NDArray[Any]) -> None:
        """Fill `out` with the samples of `box`, as `Source.read` says."""
        counts, strides = list(box.shape), list(self.strides)
        start = self.offset + timestep * self.time_stride
        start += sum(l * s for l, s in zip(box.lo, self.strides, strict=True))
        if self.components > 1:
            counts.append(self.components)
            strides.append(self.component_stride)
        order = sorted(range(len(counts)), key=lambda i: (-strides[i], i))
        target = out.transpose(order)
        for part in _parts(
            start, tuple(counts[i] for i in order), tuple(strides[i] for i in order), self.dtype
        ):
            self._read_part(pool, part, target[part.where])
        if self.flip_sign:
            bits = out.view(f"u{self.dtype.itemsize}")
            bits ^= bits.dtype.type(1 << (8 * self.dtype.itemsize - 1))

    def _read_part(self, pool: FilePool, part: _Part, target: NDArray[Any]) -> None:
        packed = part.span_bytes == target.size * self.dtype.itemsize
        straight = target.dtype == self.dtype and target.flags.c_contiguous
        if packed and straight and self.scale is None and target.ndim:
            pool.read_into(self.path, part.offset, target)
            return
        data = pool.read(self.path, part.offset, part.span_bytes)
        stored: NDArray[Any] = np.ndarray(target.shape, self.dtype, data, 0, part.strides)
        if self.scale is None:
            target[...] = stored
            return
        values = stored.astype("f8")
        with np.errstate(all="ignore"):
            values *= self.scale.slope
            values += self.scale.intercept
            if self.scale.blank is not None:
                values[stored == self.scale.blank] = np.nan
            target[...] = values


@dataclass(frozen=True, slots=True)
class _Part:
    offset: int
    span_bytes: int
    strides: Shape
    where: tuple[slice | int, ...]


def _parts(start: int, counts: Shape, strides: Shape, dtype: np.dtype[Any]) -> Iterator[_Part]:
    """Cut an array, slowest axis first, into spans that are worth one read each."""
    if not counts:
        yield _Part(start, dtype.itemsize, (), ())
        return
    inner = sum((n - 1) * s for n, s in zip(counts[1:], strides[1:], strict=True)) + dtype.itemsize
    if inner > SPAN_BYTES or not _is_dense(counts[1:], strides[1:], dtype):
        for i in range(counts[0]):
            for part in _parts(start + i * strides[0], counts[1:], strides[1:], dtype):
                yield _Part(part.offset, part.span_bytes, part.strides, (i, *part.where))
        return
    group = 1
    if strides[0] - inner <= GAP_BYTES:
        group += (SPAN_BYTES - inner) // strides[0]
    for i in range(0, counts[0], group):
        n = min(group, counts[0] - i)
        span = (n - 1) * strides[0] + inner
        yield _Part(start + i * strides[0], span, strides, (slice(i, i + n),))


def _is_dense(counts: Shape, strides: Shape, dtype: np.dtype[Any]) -> bool:
    """Whether no gap inside is too wide to be read over."""
    inner = dtype.itemsize
    for n, s in zip(reversed(counts), reversed(strides), strict=True):
        if n > 1 and s - inner > GAP_BYTES:
            return False
        inner += (n - 1) * s
    return True


class BoxReader(Protocol):
    """Where the samples of a field come from."""

    def read(self, pool: FilePool, timestep: int, box: Box, out: NDArray[Any]) -> None: ...
    def check(self, pool: FilePool) -> None: ...


@runtime_checkable
class StackPart(BoxReader, Protocol):
    """A `BoxReader` that can be put into a series with others like it."""

    @property
    def shape(self) -> Shape: ...
    @property
    def timesteps(self) -> int: ...
    def as_slice(self) -> StackPart: ...


@dataclass(frozen=True, slots=True)
class RawStack:
    """Equal parts in several files, one behind the other along the grid's first axis or in time."""

    parts: tuple[StackPart, ...]
    in_time: bool = False

    def check(self, pool: FilePool) -> None:
        for part in self.parts:
            part.check(pool)

    def read(self, pool: FilePool, timestep: int, box: Box, out: NDArray[Any]) -> None:
        if self.in_time:
            each = self.parts[0].timesteps
            self.parts[timestep // each].read(pool, timestep % each, box, out)
            return
        depth = self.parts[0].shape[0]
        for i in range(box.lo[0] // depth, ceil_div(box.hi[0], depth)):
            begin = i * depth
            here = Box((begin, *box.lo[1:]), (begin + depth, *box.hi[1:])).intersect(box)
            rows = slice(here.lo[0] - box.lo[0], here.hi[0] - box.lo[0])
            origin = (begin, *(0 for _ in box.lo[1:]))
            self.parts[i].read(pool, timestep, here.relative_to(origin), out[rows])


class RawSource:
    """An open `Source` whose fields are read by position, by any number of threads at once.

    Parameters
    ----------
    fields : Mapping
        For each `FieldSpec.key` where its samples come from.
    """

    concurrency = Concurrency.THREADS

    def __init__(self, spec: SourceSpec, fields: Mapping[str, BoxReader], pool: FilePool) -> None:
        self._spec = spec
        self._fields = fields
        self._pool = pool
        try:
            for reader in fields.values():
                reader.check(pool)
        except BaseException:
            pool.close()
            raise

    @property
    def spec(self) -> SourceSpec:
        return self._spec

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        self._fields[field.key].read(self._pool, timestep, box, out)

    def read_timesteps(self, field: FieldSpec, first: int, out: NDArray[Any]) -> None:
        """Fill `out`, of shape (timesteps, *grid[, components]), with all of several timesteps."""
        reader = self._fields[field.key]
        if isinstance(reader, RawArray):
            reader = reader.as_run()
            lo = (first, *(0 for _ in reader.shape[1:]))
            reader.read(self._pool, 0, Box(lo, (first + len(out), *reader.shape[1:])), out)
            return
        box = Box.of_shape(out.shape[1 : out.ndim - (field.components > 1)])
        for i in range(len(out)):
            reader.read(self._pool, first + i, box, out[i])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.close()
