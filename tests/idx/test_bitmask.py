"""The default bitmask, against what OpenVisus itself chooses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scientistcloud.grid import next_power_of_two
from scientistcloud.idx.geometry.bitmask import Bitmask

SHAPES = st.lists(st.integers(1, 5000), min_size=1, max_size=3).map(tuple)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((512, 512, 512), "V" + "012" * 9),
        ((8, 4), "V01011"),
        ((4, 8), "V01010"),
        ((5,), "V000"),
        ((3, 5, 9), "V012012010"),
    ],
)
def test_axes_are_halved_in_turn_x_first(shape: tuple[int, ...], text: str) -> None:
    assert Bitmask.from_dims(shape).text == text


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((1, 4, 4), "V01012"),
        ((4, 1, 4), "V0202"),
        ((4, 4, 1), "V1212"),
        ((1, 4), "V001"),
        ((4, 1), "V11"),
        ((1, 1, 1), "V2"),
        ((1,), "V0"),
    ],
)
def test_a_slowest_axis_of_length_1_keeps_its_place(shape: tuple[int, ...], text: str) -> None:
    assert Bitmask.from_dims(shape).text == text
    assert Bitmask.from_dims(shape).rank == len(shape)


@given(SHAPES)
@settings(deadline=None)
def test_it_covers_the_grid_and_hardly_more(shape: tuple[int, ...]) -> None:
    bitmask = Bitmask.from_dims(shape)
    assert bitmask.rank == len(shape)
    assert bitmask.length == sum(bitmask.exponents)
    rounded = [next_power_of_two(n) for n in shape]
    assert list(bitmask.shape[1:]) == rounded[1:]
    assert bitmask.shape[0] == max(rounded[0], 2 if shape[0] == 1 else 1)


@given(SHAPES, st.integers(-3, 40), st.integers(-3, 40))
@settings(deadline=None)
def test_counts_count_digits(shape: tuple[int, ...], first: int, last: int) -> None:
    bitmask = Bitmask.from_dims(shape)
    last = min(last, bitmask.length)
    digits = bitmask.text[1:][max(0, first - 1) : max(0, last)]
    expected = tuple(digits.count(str(bitmask.rank - 1 - a)) for a in range(bitmask.rank))
    assert bitmask.counts(first, last) == expected


@pytest.mark.parametrize("text", ["", "012", "V01a", "v01", "V0 1", "V²"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="bitmask"):
        Bitmask(text)


@pytest.mark.parametrize("shape", [(512, 512, 512), (33, 70), (5, 600, 40), (1000,), (9, 8, 7)])
def test_openvisus_chooses_the_same(tmp_path: Path, shape: tuple[int, ...]) -> None:
    openvisus = pytest.importorskip("OpenVisus")
    db = openvisus.CreateIdx(
        url=str(tmp_path / "a.idx"),
        dims=list(reversed(shape)),
        fields=[openvisus.Field("a", "uint8")],
    )
    assert db.getBitmask().toString() == Bitmask.from_dims(shape).text
