"""Samples at points: a grid placed anywhere in the volume, such as an oblique plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box, Shape
from scientistcloud.idx.geometry.query import Samples
from scientistcloud.streaming.box_reader import BoxReader
from scientistcloud.streaming.results import Result

Indices = list[NDArray[np.int64]]


def read_points(
    boxes: BoxReader,
    result: Result,
    field: int,
    timestep: int,
    resolution: int,
    shape: Shape,
    matrix: NDArray[np.float64],
) -> NDArray[Any]:
    """The sample at or below each point; 0 outside the data.

    Parameters
    ----------
    shape : (int, int, int)
        Points along z, y and x.
    matrix : array, shape (4, 4), float64
        Maps the unit cell [0, 1) of the points into the logic space, row by row, x first.

    Raises
    ------
    BoxTooLarge, CorruptSource, StorageUnavailable
    """
    whole = result.header.box
    grid = result.reader.samples_of(whole, resolution)
    rank = len(whole.shape)
    wanted: Indices = []
    inside = np.ones(shape, bool)
    for axis, position in enumerate(reversed(_positions(shape, matrix)[:rank])):
        start, step, length = grid.start[axis], grid.step[axis], grid.shape[axis]
        index = np.floor((position - start) / step)
        inside &= (index >= 0) & (index < length)
        wanted.append(np.clip(np.nan_to_num(index), 0, length - 1).astype(np.int64))
    item = result.header.fields[field]
    components = () if item.components == 1 else (item.components,)
    out = np.zeros(tuple(shape) + components, item.dtype)

    def gather(part: tuple[slice, ...]) -> None:
        """Fill a part of `out` from the box that its points lie in, or its halves if too large."""
        places = [each[part] for each in wanted]
        box = _box_around(places, grid)
        extent = tuple(int(p.max() - p.min()) + 1 for p in places)
        if places[0].size > 1 and not boxes.is_small(result, field, extent):
            for half in _halves(part):
                gather(half)
            return
        found = boxes.read(result, field, timestep, box, resolution)
        out[part] = found[tuple(p - p.min() for p in places)]

    if inside.any():
        gather(tuple(slice(0, n) for n in shape))
    out[~inside] = 0
    return out


def _box_around(places: Indices, grid: Samples) -> Box:
    lo = tuple(s + int(p.min()) * w for p, s, w in zip(places, grid.start, grid.step, strict=True))
    hi = tuple(
        s + int(p.max()) * w + 1 for p, s, w in zip(places, grid.start, grid.step, strict=True)
    )
    return Box(lo, hi)


def _halves(part: tuple[slice, ...]) -> list[tuple[slice, ...]]:
    """Both halves along the longest axis."""
    lengths = [each.stop - each.start for each in part]
    axis = lengths.index(max(lengths))
    middle = (part[axis].start + part[axis].stop) // 2
    cuts = [slice(part[axis].start, middle), slice(middle, part[axis].stop)]
    return [(*part[:axis], cut, *part[axis + 1 :]) for cut in cuts]


def _positions(shape: Sequence[int], matrix: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """x, y and z of the points, arrays of `shape`."""
    z, y, x = (np.arange(n) / n for n in shape)
    unit = np.meshgrid(z, y, x, indexing="ij")
    points = np.stack([unit[2], unit[1], unit[0], np.ones_like(unit[0])])
    mapped = np.tensordot(matrix, points, axes=1)
    return list(mapped[:3] / np.where(mapped[3] == 0, 1, mapped[3]))
