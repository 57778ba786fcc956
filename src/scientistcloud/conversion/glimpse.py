"""A first picture before anything is converted: planes read from the source, with strides."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box
from scientistcloud.readers.base import DatasetSpec, FieldSpec, Source

_BAND_BYTES = 16 << 20
_READ_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class PlaneGlimpse:
    """Samples of one plane, in array order.

    Attributes
    ----------
    down, across : int
        The axes of the rows and of the columns, as places in the dataset's shape.
    at : int or None
        Where it cuts the remaining axis; None for pictures.
    stride : int
        Between the samples, along both axes.
    samples : ndarray
        (rows, columns) or (rows, columns, components), of the field's dtype.
    is_whole : bool
        False where time was over: rows that were not read repeat the one read before them.
    """

    down: int
    across: int
    at: int | None
    stride: int
    samples: NDArray[Any]
    is_whole: bool


def glimpse(source: Source, pixels: int, seconds: float) -> tuple[PlaneGlimpse, ...]:
    """Read the middle planes of the main dataset's first field, at the first timestep.

    Parameters
    ----------
    source : Source
        Open; nothing is read of it but what the planes need.
    pixels : int
        Longest edge of a plane.
    seconds : float
        After which no further read is begun; each plane gets one read at least.

    Raises
    ------
    CorruptSource
        A part of the file cannot be decoded.
    """
    dataset = source.spec.datasets[0]
    planes = plane_axes(len(dataset.shape))
    ends = time.monotonic() + seconds
    found = []
    for index, (down, across) in enumerate(planes):
        share = (ends - time.monotonic()) / (len(planes) - index)
        found.append(_plane(source, dataset, down, across, pixels, time.monotonic() + share))
    return tuple(found)


def plane_axes(rank: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of the planes: one of a picture, three of a volume."""
    if rank == 1:
        return ((0, 0),)
    return ((0, 1),) if rank == 2 else ((1, 2), (0, 2), (0, 1))


def _plane(
    source: Source, dataset: DatasetSpec, down: int, across: int, pixels: int, ends: float
) -> PlaneGlimpse:
    field, shape = dataset.fields[0], dataset.shape
    still = next((axis for axis in range(len(shape)) if axis not in (down, across)), None)
    at = None if still is None else shape[still] // 2
    longest = max(shape[down], shape[across])
    stride = -(-longest // pixels)
    rows = 1 if down == across else -(-shape[down] // stride)
    tail = (field.components,) if field.components > 1 else ()
    samples = np.zeros((rows, -(-shape[across] // stride), *tail), field.dtype)
    is_read = np.zeros(rows, bool)
    for first, last in _bands(rows, _rows_at_once(dataset, field, down, across, stride)):
        if is_read.any() and time.monotonic() > ends:
            break
        lo, hi = [0] * len(shape), list(shape)
        if still is not None and at is not None:
            lo[still], hi[still] = at, at + 1
        if down != across:
            lo[down], hi[down] = first * stride, (last - 1) * stride + 1
        box = Box(tuple(lo), tuple(hi))
        out = np.empty((*box.shape, *tail), field.dtype)
        source.read(field, 0, box, out)
        flat = out if still is None else np.squeeze(out, still)
        flat = flat[None] if down == across else flat
        samples[first:last] = flat[::stride, ::stride] if down != across else flat[:, ::stride]
        is_read[first:last] = True
    nearest = np.maximum.accumulate(np.where(is_read, np.arange(rows), 0))
    return PlaneGlimpse(down, across, at, stride, samples[nearest], bool(is_read.all()))


def _rows_at_once(
    dataset: DatasetSpec, field: FieldSpec, down: int, across: int, stride: int
) -> int:
    """How many of the rows lie in one chunk, within what may be held: so each is decoded once."""
    row_bytes = dataset.shape[across] * field.sample_bytes * stride
    deep = field.chunks[down] // stride
    if down == len(dataset.shape) - 2:
        # Rows that follow each other in the file: few large reads cost less than many small ones.
        deep = max(deep, _READ_BYTES // max(1, row_bytes))
    return int(max(1, min(deep, _BAND_BYTES // max(1, row_bytes))))


def _bands(rows: int, height: int) -> Iterator[tuple[int, int]]:
    """Bands of rows, those far apart first: what is read when time is over is spread evenly."""
    count = -(-rows // height)
    step = 1 << max(0, count - 1).bit_length()
    seen: set[int] = set()
    while step:
        for index in range(0, count, step):
            if index not in seen:
                seen.add(index)
                yield index * height, min(rows, (index + 1) * height)
        step >>= 1
