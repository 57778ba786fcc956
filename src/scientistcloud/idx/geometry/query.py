"""Which blocks hold the samples that a box asks for, and where they go: pure arithmetic."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from scientistcloud.grid import Box, Shape, ceil_div
from scientistcloud.idx.geometry.bitmask import powers
from scientistcloud.idx.geometry.blocks import BlockLayout, Level


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples ``start + i * step`` for ``0 <= i < shape`` of the full grid, array order."""

    start: Shape
    step: Shape
    shape: Shape

    @property
    def is_empty(self) -> bool:
        return 0 in self.shape


@dataclass(frozen=True, slots=True)
class Piece:
    """One block's part of an answer: ``answer[target] = block[source]``."""

    number: int
    source: tuple[slice, ...]
    target: tuple[slice, ...]


def samples_inside(layout: BlockLayout, box: Box, resolution: int) -> Samples:
    """The samples of the grid of `resolution` that lie inside `box`.

    The grid of resolution H has the spacing ``2 ** (splits of the axis after the H-th)`` and
    begins at the origin: what OpenVisus reads with ``max_resolution=H``.

    Raises
    ------
    ValueError
        There is no such resolution.
    """
    bitmask = layout.bitmask
    if not 0 <= resolution <= bitmask.length:
        raise ValueError(f"resolution {resolution} is not within 0 and {bitmask.length}")
    step = powers(bitmask.counts(resolution + 1, bitmask.length))
    start = tuple(ceil_div(l, d) * d for l, d in zip(box.lo, step, strict=True))
    shape = tuple(max(0, ceil_div(h - s, d)) for h, s, d in zip(box.hi, start, step, strict=True))
    return Samples(start, step, shape)


def find_pieces(layout: BlockLayout, samples: Samples, resolution: int) -> Iterator[Piece]:
    """The blocks that together hold all `samples` of the grid of `resolution`, by number."""
    if samples.is_empty:
        return
    for level in layout.levels:
        if level.level <= max(resolution, layout.bits_per_block):
            yield from sorted(_level_pieces(level, samples), key=lambda piece: piece.number)


def _level_pieces(level: Level, samples: Samples) -> Iterator[Piece]:
    axes = [
        [
            (level.spread(axis, tile), *slices)
            for tile, *slices in _axis_pieces(level, samples, axis)
        ]
        for axis in range(len(samples.shape))
    ]
    for parts in itertools.product(*axes):
        numbers, source, target = zip(*parts, strict=True)
        yield Piece(level.first + sum(numbers), source, target)


def _axis_pieces(level: Level, samples: Samples, axis: int) -> list[tuple[int, slice, slice]]:
    """Along one axis: the tile, what to take of its samples, and where that goes."""
    start, step, count = samples.start[axis], samples.step[axis], samples.shape[axis]
    offset, delta, width = level.offset[axis], level.delta[axis], level.nsamples[axis]
    if step > delta:
        # Coarser than block 0, which alone can be asked like this.
        first = start // delta
        stride = step // delta
        return [(0, slice(first, first + (count - 1) * stride + 1, stride), slice(0, count))]
    stride = delta // step
    low = max(0, ceil_div(start - offset, delta))
    high = ceil_div(start + count * step - offset, delta)
    pieces = []
    for tile in range(low // width, ceil_div(high, width)):
        a, b = max(low, tile * width), min(high, tile * width + width)
        if a < b:
            place = (offset + a * delta - start) // step
            target = slice(place, place + (b - a - 1) * stride + 1, stride)
            pieces.append((tile, slice(a - tile * width, b - tile * width), target))
    return pieces
