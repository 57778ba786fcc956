"""Which bricks one field is read in: as few reads as memory allows, no chunk decoded twice.

Pure. A source either can read any box by itself (raw files) or decodes whole chunks. For the
former, long contiguous runs matter; for the latter, that bricks do not cut chunks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from scientistcloud.grid import Box, Shape, ceil_div
from scientistcloud.idx.blocks import BlockLayout
from scientistcloud.idx.cascade import Cascade, plan_cascade, smallest_cell

MODEST_BYTES = 40 << 20
"""More buffers than this bring next to nothing where any box can be read by itself."""

DOUBLE_BYTES = 96 << 20
"""Up to here a second brick, so that reading and writing overlap, is worth its memory."""

MAX_AMPLIFICATION = 1.05
"""How many times its size may be decoded of a chunked source, at most."""

PIECE_BYTES = 1 << 20
"""About so much is read by one call."""

_RUN_SECONDS = 8e-6
_CARRY_SECONDS_PER_BYTE = 1 / 2e9
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

    @property
    def stage_bytes(self) -> tuple[int, ...]:
        """Of each stage, the bytes of its largest brick."""
        c = self.cascade
        return tuple(c.brick_samples(i) * self.sample_bytes for i in range(len(c.stages)))

    @property
    def memory_bytes(self) -> int:
        return sum(n * b for n, b in zip(self.copies, self.stage_bytes, strict=True))


def choose_bricks(
    layout: BlockLayout, shape: Shape, sample_bytes: int, chunks: Shape, budget_bytes: int
) -> Bricks | None:
    """The best bricks for a source with `chunks`; None where none fit `budget_bytes`.

    Returns
    -------
    Bricks
        No chunk is decoded more than `MAX_AMPLIFICATION` times its size, on the whole.
    """
    whole = _double(
        Bricks(plan_cascade(layout, shape, layout.bitmask.exponents, 1, 1), sample_bytes, ()),
        MODEST_BYTES,
    )
    small = len(whole.cascade.stages) == 1 or whole.memory_bytes <= min(4 << 20, budget_bytes)
    if small and whole.memory_bytes <= budget_bytes:
        return whole
    candidates = [
        Bricks(cascade, sample_bytes, (1,) * len(cascade.stages))
        for cascade in _cascades(layout, shape, chunks)
    ]
    fitting = [c for c in candidates if c.memory_bytes <= budget_bytes]
    if not fitting:
        return None
    doubled = [_double(c, min(budget_bytes, DOUBLE_BYTES)) for c in fitting]
    modest = [c for c in doubled if c.memory_bytes <= MODEST_BYTES]
    if modest:
        return min(modest, key=_seconds)
    return min(doubled, key=lambda c: c.memory_bytes / min(c.copies[0], 2))


def _double(bricks: Bricks, budget_bytes: int) -> Bricks:
    """A second brick for every stage that can have one, the first stage before the others."""
    sizes = bricks.stage_bytes
    copies = [1] * len(sizes)
    total = sum(sizes)
    for i, size in enumerate(sizes[:-1] or sizes):
        if total + size <= budget_bytes:
            copies[i], total = 2, total + size
    return Bricks(bricks.cascade, bricks.sample_bytes, tuple(copies))


def _seconds(bricks: Bricks) -> float:
    """What these bricks cost beside the compression: calls to read, samples carried on."""
    cascade = bricks.cascade
    total_bytes = math.prod(cascade.shape) * bricks.sample_bytes
    run = bricks.sample_bytes
    for extent, n in zip(reversed(cascade.stages[0].brick), reversed(cascade.shape), strict=True):
        run *= min(extent, n)
        if extent < n:
            break
    carried = sum(total_bytes / math.prod(s.carry_stride) for s in cascade.stages if not s.is_last)
    alone = 0.0 if bricks.copies[0] > 1 else 0.1 * total_bytes / 2e8
    return total_bytes / run * _RUN_SECONDS + carried * _CARRY_SECONDS_PER_BYTE + alone


def _cascades(layout: BlockLayout, shape: Shape, chunks: Shape) -> Iterator[Cascade]:
    """Candidates: for each number of first levels, bricks grown along rows or to whole chunks."""
    any_box = all(c == 1 for c in chunks[:-1]) and chunks[-1] in (1, shape[-1])
    exponents = layout.bitmask.exponents
    for first_levels in range(1, _MAX_FIRST_LEVELS + 1):
        next_cut = max(layout.bits_per_block, layout.bitmask.length - first_levels)
        brick = smallest_cell(layout, next_cut)
        grown = _grow_rows(brick, exponents) if any_box else iter([_grow(brick, shape, chunks)])
        for candidate in grown:
            if amplification(shape, candidate, chunks) <= MAX_AMPLIFICATION:
                yield plan_cascade(layout, shape, candidate, first_levels, len(shape))


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
