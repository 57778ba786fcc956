"""The geometry of blocks: every sample in exactly one block, and numbers both ways."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scientistcloud.idx.geometry.bitmask import Bitmask
from scientistcloud.idx.geometry.blocks import BlockLayout

SHAPES = st.lists(st.integers(1, 24), min_size=1, max_size=3).map(tuple)


def layouts(shape: tuple[int, ...]) -> st.SearchStrategy[BlockLayout]:
    bitmask = Bitmask.from_dims(shape)
    return st.integers(0, bitmask.length).map(lambda bits: BlockLayout(bitmask, bits))


@given(data=st.data(), shape=SHAPES)
@settings(deadline=None)
def test_every_sample_lies_in_exactly_one_block(
    data: st.DataObject, shape: tuple[int, ...]
) -> None:
    layout = data.draw(layouts(shape))
    seen = np.zeros(shape, int)
    for block in layout.blocks_inside(shape):
        assert np.prod(block.nsamples) == layout.block_samples
        inside = block.inside(shape)
        where = tuple(
            slice(o, o + (n - 1) * d + 1, d)
            for o, n, d in zip(block.origin, inside, block.delta, strict=True)
        )
        assert seen[where].shape == inside
        assert all(h <= s for h, s in zip(block.region(shape).hi, shape, strict=True))
        seen[where] += 1
    assert (seen == 1).all()


@given(data=st.data(), shape=SHAPES)
@settings(deadline=None)
def test_coordinates_and_numbers_belong_together(
    data: st.DataObject, shape: tuple[int, ...]
) -> None:
    layout = data.draw(layouts(shape))
    for number in range(layout.count):
        level = layout.level_of(number)
        tile = level.tile(number)
        assert level.number(tile) == number
        block = layout.block(number)
        assert block.level == level.level
        assert block.origin == tuple(
            o + t * w for o, t, w in zip(level.offset, tile, level.span, strict=True)
        )


@given(data=st.data(), shape=SHAPES)
@settings(deadline=None)
def test_blocks_inside_are_counted_without_looking_at_each(
    data: st.DataObject, shape: tuple[int, ...]
) -> None:
    layout = data.draw(layouts(shape))
    numbers = [b.number for b in layout.blocks_inside(shape)]
    assert layout.count_inside(shape) == len(numbers)
    per_file = 1 << data.draw(st.integers(0, layout.count.bit_length() - 1))
    for first in range(0, layout.count, per_file):
        expected = sum(first <= n < first + per_file for n in numbers)
        assert layout.count_inside(shape, first, first + per_file) == expected


def test_the_finest_levels_of_a_cube_are_the_odd_planes_then_rows() -> None:
    layout = BlockLayout(Bitmask.from_dims((64, 64, 64)), 12)
    finest, next_finest = layout.level(18), layout.level(17)
    assert (finest.offset, finest.delta) == ((1, 0, 0), (2, 1, 1))
    assert (next_finest.offset, next_finest.delta) == ((0, 1, 0), (2, 2, 1))
    assert finest.nsamples == (16, 16, 16)
    assert finest.first == 32


def test_a_block_cannot_be_larger_than_the_dataset() -> None:
    with pytest.raises(ValueError, match="do not suit"):
        BlockLayout(Bitmask("V01"), 3)
