"""In which order a grid becomes blocks with little in memory: nested stages, pure geometry.

The grid ``G(c)`` holds the samples that are left when the splits finer than `c` are dropped: the
full grid for ``c`` = length of the bitmask, block 0 for ``c`` = bits per block. Stage i holds one
*brick* of ``G(c_i)`` at a time, makes of it the blocks of the levels ``c_(i+1) + 1 .. c_i``, and
carries what is left, its part of ``G(c_(i+1))``, into the brick of stage i + 1. The bricks of a
stage are unions of those of the stage before, and are walked one after the other, so that each
stage has a single brick that is being filled, however large the dataset.

Within a brick, the smallest boxes that hold whole blocks of all its levels are *cells*; each cell
can be worked on by itself. A cell of ``2 ** k`` blocks' samples makes ``2 ** k - 1`` blocks and
carries one block's worth.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from scientistcloud.grid import Box, Shape, ceil_div, tile
from scientistcloud.idx.geometry.bitmask import powers
from scientistcloud.idx.geometry.blocks import BlockLayout, Level

Slices = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """One block within a cell.

    Attributes
    ----------
    level : Level
    number : int
        What to add to the number of the cell's first block of this level.
    slices : tuple of slice
        Its samples, within an array of the cell's samples.
    """

    level: Level
    number: int
    slices: Slices


@dataclass(frozen=True)
class Stage:
    """One step of the cascade.

    Attributes
    ----------
    cut, next_cut : int
        It makes the levels ``next_cut + 1`` to `cut`; the last stage (``cut == next_cut``) makes
        block 0.
    brick, cell : Shape
        Extents in the full grid, powers of two.
    stride, carry_stride : Shape
        Distance in the full grid of the samples that it gets, and of those that it passes on.
    """

    layout: BlockLayout
    cut: int
    next_cut: int
    brick: Shape
    cell: Shape
    stride: Shape
    carry_stride: Shape
    _cuts: dict[Shape, tuple[Cut, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_last(self) -> bool:
        return self.cut == self.next_cut

    def samples(self, box: Box) -> Shape:
        """Shape of the array that holds this stage's samples of `box` (of the full grid)."""
        return tuple(ceil_div(n, s) for n, s in zip(box.shape, self.stride, strict=True))

    def cells(self, brick: Box) -> Iterator[Box]:
        """The cells of a brick, clipped as the brick is."""
        return tile(brick, self.cell)

    def within(self, cell: Box, brick: Box) -> Slices:
        """Where the samples of `cell` lie in the array of the samples of `brick`."""
        return tuple(
            slice((a - o) // s, ceil_div(b - o, s))
            for a, b, o, s in zip(cell.lo, cell.hi, brick.lo, self.stride, strict=True)
        )

    def carried(self) -> Slices:
        """Which samples of an array of a cell's samples go on to the next stage."""
        return tuple(
            slice(None, None, c // s) for c, s in zip(self.carry_stride, self.stride, strict=True)
        )

    def blocks(self, cell: Box) -> Iterator[tuple[int, Level, Slices]]:
        """Number, level and samples (within an array of the cell's) of each block of a cell.

        Blocks without samples inside are left out.
        """
        shape = self.samples(cell)
        cuts = self._cuts.get(shape)
        if cuts is None:
            # Nearly all cells are whole, so nearly all share one entry.
            cuts = self._cuts[shape] = tuple(_cuts(self, shape))
        first: dict[int, int] = {}
        for cut in cuts:
            level = cut.level
            base = first.get(level.level)
            if base is None:
                corner = tuple(a // w for a, w in zip(cell.lo, level.span, strict=True))
                base = first[level.level] = level.number(corner)
            yield base + cut.number, level, cut.slices


@dataclass(frozen=True)
class Cascade:
    """All stages for one grid.

    Attributes
    ----------
    layout : BlockLayout
    shape : Shape
        Of the full grid.
    stages : tuple of Stage
        The first gets the samples of the source; the last one makes block 0.
    """

    layout: BlockLayout
    shape: Shape
    stages: tuple[Stage, ...]

    def brick_samples(self, stage: int) -> int:
        """Samples of the largest brick of a stage."""
        s = self.stages[stage]
        return math.prod(
            ceil_div(min(b, n), d) for b, n, d in zip(s.brick, self.shape, s.stride, strict=True)
        )

    def bricks(self, within: Box | None = None) -> Iterator[tuple[Box, ...]]:
        """Every brick of the first stage, each with the bricks of the later stages around it.

        Only those in `within`, which must be a union of bricks of the last stage.
        """
        return self._walk(len(self.stages) - 1, within or Box.of_shape(self.shape))

    def split(self, first: int) -> tuple[Cascade, Cascade]:
        """The first stages, and the others, which begin with what the first ones carry on."""
        stages = self.stages
        return replace(self, stages=stages[:first]), replace(self, stages=stages[first:])

    def _walk(self, stage: int, within: Box) -> Iterator[tuple[Box, ...]]:
        for box in tile(within, self.stages[stage].brick):
            if stage == 0:
                yield (box,)
            else:
                for inner in self._walk(stage - 1, box):
                    yield (*inner, box)

    def children(self, stage: int, box: Box) -> int:
        """How many bricks of the stage before make up the brick `box` of `stage`."""
        return math.prod(
            ceil_div(n, b) for n, b in zip(box.shape, self.stages[stage - 1].brick, strict=True)
        )


def smallest_cell(layout: BlockLayout, next_cut: int) -> Shape:
    """Exponents of the smallest box that holds whole blocks of every level above `next_cut`."""
    bitmask = layout.bitmask
    return bitmask.counts(next_cut + 1 - layout.bits_per_block, bitmask.length)


def plan_cascade(
    layout: BlockLayout, shape: Shape, brick: Shape, first_levels: int, levels: int
) -> Cascade:
    """The cascade whose first stage has bricks of at least `brick`.

    Parameters
    ----------
    layout : BlockLayout
    shape : Shape
        Of the grid.
    brick : Shape
        Exponents of two; raised where a stage needs more. Later bricks are at least as large.
    first_levels, levels : int
        How many levels the first and the other stages make at once, at least 1: more levels mean
        larger cells, and fewer samples carried on.
    """
    bitmask, cut = layout.bitmask, layout.bitmask.length
    stages: list[Stage] = []
    while cut > layout.bits_per_block:
        wanted = levels if stages else first_levels
        next_cut = max(layout.bits_per_block, cut - wanted)
        cell = smallest_cell(layout, next_cut)
        brick = tuple(map(max, brick, cell))
        stages.append(_stage(layout, cut, next_cut, brick, cell))
        cut = next_cut
    whole = bitmask.exponents
    stages.append(_stage(layout, cut, cut, whole, whole))
    return Cascade(layout, shape, tuple(stages))


def _stage(layout: BlockLayout, cut: int, next_cut: int, brick: Shape, cell: Shape) -> Stage:
    bitmask = layout.bitmask
    return Stage(
        layout=layout,
        cut=cut,
        next_cut=next_cut,
        brick=powers(map(min, brick, bitmask.exponents)),
        cell=powers(cell),
        stride=powers(bitmask.counts(cut + 1, bitmask.length)),
        carry_stride=powers(bitmask.counts(next_cut + 1, bitmask.length)),
    )


def _cuts(stage: Stage, shape: Shape) -> Iterator[Cut]:
    """The blocks of a cell of which samples of `shape` are inside, finest level first."""
    if stage.is_last:
        yield Cut(stage.layout.levels[0], 0, tuple(slice(0, n) for n in shape))
        return
    for number in range(stage.cut, stage.next_cut, -1):
        level = stage.layout.level(number)
        step = tuple(d // s for d, s in zip(level.delta, stage.stride, strict=True))
        offset = tuple(o // s for o, s in zip(level.offset, stage.stride, strict=True))
        tiles = tuple(c // w for c, w in zip(stage.cell, level.span, strict=True))
        for t in itertools.product(*map(range, tiles)):
            lo = tuple(
                o + i * n * d for o, i, n, d in zip(offset, t, level.nsamples, step, strict=True)
            )
            hi = tuple(
                min(a + n * d, s)
                for a, n, d, s in zip(lo, level.nsamples, step, shape, strict=True)
            )
            if all(a < b for a, b in zip(lo, hi, strict=True)):
                slices = tuple(slice(a, b, d) for a, b, d in zip(lo, hi, step, strict=True))
                yield Cut(level, level.number(t) - level.first, slices)
