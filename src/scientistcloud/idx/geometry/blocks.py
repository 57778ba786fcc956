"""Where the samples of each block lie: pure geometry of the IDX format, in array order.

Every block but the first belongs to one level and holds one strided box of the grid. The tiles of
a level are numbered in Z order; a tile's coordinates and its block's number are computed from each
other here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from scientistcloud.grid import Box, Shape, ceil_div
from scientistcloud.idx.geometry.bitmask import Bitmask, powers


@dataclass(frozen=True, slots=True)
class Block:
    """One block: the samples ``origin + i * delta`` for ``0 <= i < nsamples``, row-major.

    Attributes
    ----------
    number : int
        From 0.
    level : int
        The resolution that it completes; block 0 holds all levels up to this one.
    """

    number: int
    level: int
    origin: Shape
    delta: Shape
    nsamples: Shape

    def inside(self, shape: Shape) -> Shape:
        """How many samples along each axis lie inside a grid of `shape` (0: none)."""
        return tuple(
            max(0, min(n, ceil_div(s - o, d)))
            for o, d, n, s in zip(self.origin, self.delta, self.nsamples, shape, strict=True)
        )

    def region(self, shape: Shape) -> Box:
        """The box of the full grid that its samples spread over, clipped to `shape`."""
        hi = (
            min(s, o + (n - 1) * d + 1)
            for o, d, n, s in zip(self.origin, self.delta, self.nsamples, shape, strict=True)
        )
        return Box(self.origin, tuple(hi))


@dataclass(frozen=True)
class Level:
    """The blocks of one resolution.

    Attributes
    ----------
    level : int
        From `bits_per_block` (block 0 alone) to the length of the bitmask.
    first : int
        Number of its first block.
    offset, delta, nsamples : Shape
        The tile with coordinates `t` is the block with origin ``offset + t * nsamples * delta``.
    tile_axes : tuple of int
        The axis that each bit of ``number - first`` counts along, lowest bit first.
    """

    level: int
    first: int
    offset: Shape
    delta: Shape
    nsamples: Shape
    tile_axes: tuple[int, ...]

    @cached_property
    def span(self) -> Shape:
        """Extent of a tile in the full grid."""
        return tuple(n * d for n, d in zip(self.nsamples, self.delta, strict=True))

    @cached_property
    def _bits(self) -> tuple[tuple[int, ...], ...]:
        """For each axis, the bits of the number that hold its coordinate, lowest first."""
        return tuple(
            tuple(bit for bit, axis in enumerate(self.tile_axes) if axis == a)
            for a in range(len(self.delta))
        )

    @cached_property
    def count(self) -> int:
        """Number of blocks of this level, those outside the logical box included."""
        return 1 << len(self.tile_axes)

    def number(self, tile: Shape) -> int:
        """The number of the block at `tile`."""
        return self.first + sum(self.spread(axis, c) for axis, c in enumerate(tile))

    def spread(self, axis: int, coordinate: int) -> int:
        """What a tile's coordinate along one axis adds to the number of its block."""
        return sum(((coordinate >> i) & 1) << bit for i, bit in enumerate(self._bits[axis]))

    def tile(self, number: int) -> Shape:
        """The coordinates of block `number`."""
        j = number - self.first
        return tuple(
            sum(((j >> bit) & 1) << i for i, bit in enumerate(bits)) for bits in self._bits
        )

    def tiles_inside(self, shape: Shape) -> Shape:
        """How many tiles along each axis hold samples of a grid of `shape`."""
        return tuple(
            max(0, ceil_div(s - o, w))
            for s, o, w in zip(shape, self.offset, self.span, strict=True)
        )

    def count_inside(self, shape: Shape, first: int, last: int) -> int:
        """How many of the blocks ``first <= number < last`` hold samples of a grid of `shape`.

        The range must be aligned: its length a power of two that divides its position in the
        level, or no shorter than the level.
        """
        first, last = max(first, self.first), min(last, self.first + self.count)
        if first >= last:
            return 0
        free = (last - first).bit_length() - 1
        corner = self.tile(first)
        extent = [0] * len(corner)
        for axis in self.tile_axes[:free]:
            extent[axis] += 1
        inside = self.tiles_inside(shape)
        return math.prod(
            max(0, min(c + (1 << e), n) - c) for c, e, n in zip(corner, extent, inside, strict=True)
        )


@dataclass(frozen=True)
class BlockLayout:
    """All blocks of a dataset.

    Attributes
    ----------
    bitmask : Bitmask
    bits_per_block : int
        A block holds two to this power of samples; at most the length of the bitmask.
    """

    bitmask: Bitmask
    bits_per_block: int

    def __post_init__(self) -> None:
        if not 0 <= self.bits_per_block <= self.bitmask.length:
            raise ValueError(f"{self.bits_per_block} bits a block do not suit {self.bitmask.text}")

    @property
    def block_samples(self) -> int:
        """Samples of a block, those outside the logical box included."""
        return 1 << self.bits_per_block

    @property
    def count(self) -> int:
        """Number of blocks, those outside the logical box included."""
        return 1 << (self.bitmask.length - self.bits_per_block)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """All levels, that of block 0 first."""
        return tuple(
            _level(self.bitmask, self.bits_per_block, h)
            for h in range(self.bits_per_block, self.bitmask.length + 1)
        )

    def level(self, level: int) -> Level:
        """One level, from `bits_per_block` to the length of the bitmask."""
        return self.levels[level - self.bits_per_block]

    def level_of(self, number: int) -> Level:
        """The level that block `number` belongs to."""
        return self.levels[number.bit_length()]

    def block(self, number: int) -> Block:
        """Where the samples of block `number` lie."""
        level = self.level_of(number)
        origin = tuple(
            o + t * w for o, t, w in zip(level.offset, level.tile(number), level.span, strict=True)
        )
        return Block(number, level.level, origin, level.delta, level.nsamples)

    def blocks_inside(self, shape: Shape) -> Iterator[Block]:
        """Every block that holds samples of a grid of `shape`, by number."""
        for number in range(self.count):
            block = self.block(number)
            if all(block.inside(shape)):
                yield block

    def count_inside(self, shape: Shape, first: int = 0, last: int | None = None) -> int:
        """How many of the blocks ``first <= number < last`` hold samples of a grid of `shape`.

        ``last - first`` must be a power of two that divides `first` (a file of blocks is).
        """
        last = self.count if last is None else last
        return sum(level.count_inside(shape, first, last) for level in self.levels)


@lru_cache(maxsize=1024)
def _level(bitmask: Bitmask, bits_per_block: int, level: int) -> Level:
    if level == bits_per_block:
        return Level(
            level=level,
            first=0,
            offset=(0,) * bitmask.rank,
            delta=powers(bitmask.counts(level + 1, bitmask.length)),
            nsamples=powers(bitmask.counts(1, level)),
            tile_axes=(),
        )
    delta = powers(bitmask.counts(level, bitmask.length))
    split = bitmask.axis(level)
    return Level(
        level=level,
        first=1 << (level - 1 - bits_per_block),
        offset=tuple(d // 2 if a == split else 0 for a, d in enumerate(delta)),
        delta=delta,
        nsamples=powers(bitmask.counts(level - bits_per_block, level - 1)),
        tile_axes=tuple(bitmask.axis(k) for k in range(level - 1 - bits_per_block, 0, -1)),
    )
