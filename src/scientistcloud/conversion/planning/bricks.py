"""Which bricks one field is read in: as few reads as memory allows, no chunk decoded twice.

Pure. A source either can read any box by itself (raw files) or decodes whole chunks. For the
former, long contiguous runs matter; for the latter, that bricks do not cut chunks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from scientistcloud.grid import Box, Shape, ceil_div
from scientistcloud.idx.geometry.blocks import BlockLayout
from scientistcloud.idx.geometry.cascade import Cascade, plan_cascade, smallest_cell

MODEST_BYTES = 56 << 20
"""More buffers than this bring next to nothing where any box can be read by itself."""

DOUBLE_BYTES = 96 << 20
"""Up to here a second brick, so that reading and writing overlap, is worth its memory."""

MAX_AMPLIFICATION = 1.05
"""How many times its size may be decoded of a chunked source, at most."""

SMALL_BYTES = 4 << 20
"""A field that is whole within this is one brick, without looking further."""

PIECE_BYTES = 1 << 20
"""About so much is read by one call."""

_RUN_BYTES = 1600
"""A call to read costs as much as to compress this (8 us at 0.2 GB/s)."""

_CARRY_SHARE = 0.1
"""What it costs to carry all samples on once, as a share of compressing them."""

_ALONE_SHARE = 0.1
"""The same for threads waiting at the end of each brick where there is no second one."""

_MAX_FIRST_LEVELS = 4


@dataclass(frozen=True)
class Bricks:
    """A cascade, with the memory that it takes for samples of one size.

    Attributes
    ----------
    cascade : Cascade
    sample_bytes : int
    copies : tuple of int
        Of each stage, how many bricks may be in memory at once.
    """

    cascade: Cascade
    sample_bytes: int
    copies: tuple[int, ...]

    @cached_property
    def stage_bytes(self) -> tuple[int, ...]:
        """Of each stage, the bytes of its largest brick."""
        c = self.cascade
        return tuple(c.brick_samples(i) * self.sample_bytes for i in range(len(c.stages)))

    @property
    def memory_bytes(self) -> int:
        return sum(n * b for n, b in zip(self.copies, self.stage_bytes, strict=True))

    def split(self, first: int) -> tuple[Bricks, Bricks]:
        """The first stages, and the others."""
        one, two = self.cascade.split(first)
        size = self.sample_bytes
        return Bricks(one, size, self.copies[:first]), Bricks(two, size, self.copies[first:])


@dataclass(frozen=True, slots=True)
class _Candidate:
    """The figures of a cascade that is not made yet.

    Attributes
    ----------
    brick : Shape
        Exponents of the first stage's brick.
    share : float
        What it costs beside the compression (calls to read, samples carried on, waiting), as a
        share of that.
    """

    brick: Shape
    first_levels: int
    levels: int
    copies: tuple[int, ...]
    memory_bytes: int
    share: float


@dataclass(frozen=True, slots=True)
class _Grid:
    """What is to be read: passed around while candidates are weighed."""

    layout: BlockLayout
    shape: Shape
    sample_bytes: int
    chunks: Shape
    budget_bytes: int

    @property
    def total_bytes(self) -> int:
        return math.prod(self.shape) * self.sample_bytes

    @property
    def is_raw(self) -> bool:
        """Whether any box can be read by itself."""
        return all(c == 1 for c in self.chunks)


def choose_bricks(
    layout: BlockLayout, shape: Shape, sample_bytes: int, chunks: Shape, budget_bytes: int
) -> Bricks | None:
    """The best bricks for a source with `chunks`; None where none fit `budget_bytes`.

    Returns
    -------
    Bricks
        No chunk is decoded more than `MAX_AMPLIFICATION` times its size, on the whole.
    """
    grid = _Grid(layout, shape, sample_bytes, chunks, budget_bytes)
    whole = _weigh(grid, layout.bitmask.exponents, len(shape), len(shape))
    if grid.total_bytes <= SMALL_BYTES and whole is not None:
        return _bricks(grid, whole)
    candidates = list(_candidates(grid, len(shape))) or list(_candidates(grid, 1))
    if not candidates:
        return None
    modest = [c for c in candidates if c.memory_bytes <= MODEST_BYTES]
    best = min(modest, key=_cost) if modest else min(candidates, key=_single_bytes)
    return _bricks(grid, best)


def _cost(candidate: _Candidate) -> float:
    """Time beside the compression, as a share of it; five megabytes are worth one percent."""
    return candidate.share + candidate.memory_bytes / 5e8


def _single_bytes(candidate: _Candidate) -> float:
    """Memory, where overlap is worth as much again."""
    return candidate.memory_bytes / candidate.copies[0]


def _bricks(grid: _Grid, chosen: _Candidate) -> Bricks:
    cascade = plan_cascade(
        grid.layout, grid.shape, chosen.brick, chosen.first_levels, chosen.levels
    )
    return Bricks(cascade, grid.sample_bytes, chosen.copies)


def _candidates(grid: _Grid, levels: int) -> Iterator[_Candidate]:
    """For each number of first levels, bricks grown along rows or to whole chunks, that fit."""
    layout = grid.layout
    for first_levels in range(1, _MAX_FIRST_LEVELS + 1):
        next_cut = max(layout.bits_per_block, layout.bitmask.length - first_levels)
        brick = smallest_cell(layout, next_cut)
        grown = (
            _grow_rows(brick, layout.bitmask.exponents)
            if grid.is_raw
            else iter([_grow(brick, grid.shape, grid.chunks)])
        )
        for wider in grown:
            candidate = _weigh(grid, wider, first_levels, levels)
            if candidate is None:
                break
            yield candidate


def _weigh(grid: _Grid, brick: Shape, first_levels: int, levels: int) -> _Candidate | None:
    """The figures for a first brick of `brick` (exponents); None where it does not fit."""
    sizes: list[int] = []
    carried, cut = 0.0, grid.layout.bitmask.length
    current, lowest = brick, grid.layout.bits_per_block
    counts, finest = grid.layout.bitmask.counts, grid.layout.bitmask.length
    while cut > lowest:
        next_cut = max(lowest, cut - (levels if sizes else first_levels))
        current = tuple(map(max, current, smallest_cell(grid.layout, next_cut)))
        sizes.append(_held_bytes(grid, current, counts(cut + 1, finest)))
        carried += grid.total_bytes / 2 ** (finest - next_cut)
        cut = next_cut
    sizes.append(_held_bytes(grid, grid.layout.bitmask.exponents, counts(cut + 1, finest)))
    total = sum(sizes)
    if total > grid.budget_bytes:
        return None
    copies = [1] * len(sizes)
    room = min(grid.budget_bytes, MODEST_BYTES if total <= MODEST_BYTES else DOUBLE_BYTES)
    for i, size in enumerate(sizes[:-1] or sizes):
        if total + size <= room:
            copies[i], total = 2, total + size
    share = carried / grid.total_bytes * _CARRY_SHARE
    share += _RUN_BYTES / _run_bytes(grid, brick)
    share += _ALONE_SHARE if copies[0] == 1 else 0
    return _Candidate(brick, first_levels, levels, tuple(copies), total, share)


def _held_bytes(grid: _Grid, brick: Shape, stride: Shape) -> int:
    """Of the largest brick, with a stride; both in exponents."""
    size = grid.sample_bytes
    for b, s, n in zip(brick, stride, grid.shape, strict=True):
        size *= ceil_div(min(1 << b, n), 1 << s)
    return size


def _run_bytes(grid: _Grid, brick: Shape) -> int:
    """How much of a brick lies in one piece in a row-major file."""
    run = grid.sample_bytes
    for b, n in zip(reversed(brick), reversed(grid.shape), strict=True):
        run *= min(1 << b, n)
        if 1 << b < n:
            break
    return run


def _grow_rows(brick: Shape, exponents: Shape) -> Iterator[Shape]:
    """`brick`, then longer along the fastest axis, when that is whole along the next, and so on."""
    current = list(brick)
    yield tuple(current)
    for axis in reversed(range(len(brick))):
        while current[axis] < exponents[axis]:
            current[axis] += 1
            yield tuple(current)


def _grow(brick: Shape, shape: Shape, chunks: Shape) -> Shape:
    """`brick`, longer along the axis that cuts chunks most, until hardly any is cut."""
    current = list(brick)
    while amplification(shape, tuple(current), chunks) > MAX_AMPLIFICATION:
        excess = [
            _axis_amplification(n, e, c) for n, e, c in zip(shape, current, chunks, strict=True)
        ]
        current[excess.index(max(excess))] += 1
    return tuple(current)


def amplification(shape: Shape, brick: Shape, chunks: Shape) -> float:
    """How many times its size is decoded when `shape` is read in bricks; `brick` in exponents."""
    return math.prod(
        _axis_amplification(n, e, c) for n, e, c in zip(shape, brick, chunks, strict=True)
    )


def _axis_amplification(length: int, exponent: int, chunk: int) -> float:
    step = 1 << exponent
    if step >= length or step % chunk == 0:
        return 1.0
    # Bricks and chunks meet again after step * chunk; more than a thousand bricks average out.
    count = min(ceil_div(length, step), 1024)
    decoded = 0
    for i in range(count):
        lo, hi = i * step, min((i + 1) * step, length)
        decoded += min(ceil_div(hi, chunk) * chunk, length) - lo // chunk * chunk
    return decoded / min(count * step, length)


def pieces(box: Box, chunks: Shape, sample_bytes: int) -> Iterator[Box]:
    """Cut `box` into pieces to be read by one call each, contiguous in the array of the box.

    Only the first axis longer than 1 is cut, where whole chunks end.
    """
    axis = next((a for a, n in enumerate(box.shape) if n > 1), 0)
    row_bytes = math.prod(box.shape[axis + 1 :]) * sample_bytes
    step = ceil_div(max(1, PIECE_BYTES // row_bytes), chunks[axis]) * chunks[axis]
    lo = box.lo[axis]
    while lo < box.hi[axis]:
        hi = min(lo - lo % chunks[axis] + step, box.hi[axis])
        yield Box(
            (*box.lo[:axis], lo, *box.lo[axis + 1 :]), (*box.hi[:axis], hi, *box.hi[axis + 1 :])
        )
        lo = hi
