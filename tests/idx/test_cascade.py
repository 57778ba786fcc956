"""The cascade: every block once, from samples that are there, whatever the bricks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scientistcloud.grid import Box
from scientistcloud.idx.geometry.bitmask import Bitmask
from scientistcloud.idx.geometry.blocks import BlockLayout
from scientistcloud.idx.geometry.cascade import Cascade, plan_cascade

SHAPES = st.lists(st.integers(1, 24), min_size=1, max_size=3).map(tuple)


@st.composite
def cascades(draw: st.DrawFn) -> Cascade:
    shape = draw(SHAPES)
    bitmask = Bitmask.from_dims(shape)
    layout = BlockLayout(bitmask, draw(st.integers(1, bitmask.length)))
    brick = tuple(draw(st.integers(0, 5)) for _ in shape)
    return plan_cascade(layout, shape, brick, draw(st.integers(1, 4)), draw(st.integers(1, 4)))


@given(cascades())
@settings(deadline=None)
def test_carried_samples_become_exactly_the_blocks(cascade: Cascade) -> None:
    """Runs the cascade on the index of each sample, as the copy does, one brick a stage."""
    shape, layout = cascade.shape, cascade.layout
    index = np.arange(1, np.prod(shape) + 1).reshape(shape)
    blocks: dict[int, NDArray[Any]] = {}
    held: dict[int, tuple[Box, NDArray[Any], int]] = {}

    def complete(stage: int, boxes: tuple[Box, ...], samples: NDArray[Any]) -> None:
        s, box = cascade.stages[stage], boxes[stage]
        for cell in s.cells(box):
            inside = samples[s.within(cell, box)]
            for number, level, slices in s.blocks(cell):
                assert number not in blocks
                blocks[number] = inside[slices].copy()
                assert all(
                    n <= m for n, m in zip(inside[slices].shape, level.nsamples, strict=True)
                )
            if not s.is_last:
                parent = held[stage + 1][1]
                after, outer = cascade.stages[stage + 1], boxes[stage + 1]
                parent[after.within(cell, outer)] = inside[s.carried()]
        if not s.is_last:
            outer_box, parent, left = held[stage + 1]
            held[stage + 1] = (outer_box, parent, left - 1)
            if left == 1:
                complete(stage + 1, boxes, parent)

    for boxes in cascade.bricks():
        for i in range(1, len(boxes)):
            if i not in held or held[i][0] != boxes[i]:
                assert i not in held or held[i][2] == 0, "a brick was left before it was full"
                samples = np.zeros(cascade.stages[i].samples(boxes[i]), int)
                assert samples.size <= cascade.brick_samples(i)
                held[i] = (boxes[i], samples, cascade.children(i, boxes[i]))
        complete(0, boxes, index[boxes[0].slices])

    expected = {b.number: b for b in layout.blocks_inside(shape)}
    assert blocks.keys() == expected.keys()
    for number, block in expected.items():
        where = tuple(
            slice(o, o + (n - 1) * d + 1, d)
            for o, n, d in zip(block.origin, block.inside(shape), block.delta, strict=True)
        )
        assert np.array_equal(blocks[number], index[where])


@given(cascades())
@settings(deadline=None)
def test_bricks_are_nested_and_cover_the_grid_once(cascade: Cascade) -> None:
    seen = np.zeros(cascade.shape, int)
    for boxes in cascade.bricks():
        seen[boxes[0].slices] += 1
        for inner, outer in itertools.pairwise(boxes):
            assert outer.contains(inner)
    assert (seen == 1).all()


@pytest.mark.parametrize("bits", [9, 12, 14])
def test_a_cube_of_pages_needs_about_107_of_them(bits: int) -> None:
    shape = (1 << bits,) * 3
    layout = BlockLayout(Bitmask.from_dims(shape), 16)
    cascade = plan_cascade(layout, shape, (0, bits, bits), 2, 3)
    samples = sum(cascade.brick_samples(i) for i in range(len(cascade.stages)))
    assert cascade.brick_samples(0) == 64 << 2 * bits
    assert samples < 108 << 2 * bits


def test_small_bricks_need_memory_that_does_not_grow_with_the_dataset() -> None:
    shape = (1 << 14, 1 << 14, 1 << 14)
    layout = BlockLayout(Bitmask.from_dims(shape), 16)
    cascade = plan_cascade(layout, shape, (0, 0, 0), 3, 3)
    assert max(map(cascade.brick_samples, range(len(cascade.stages)))) <= 1 << 19
