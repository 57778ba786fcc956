"""The table of axes: every stored axis has one role, and every sample lies in one place."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scientistcloud.errors import AmbiguousFormat, ConversionError
from scientistcloud.grid import Box
from scientistcloud.readers.arrays.axis_letters import letters_of, plan_of, told_letters
from scientistcloud.readers.arrays.axis_meanings import Meaning, NamedAxis, consistent, meaning_of
from scientistcloud.readers.arrays.axis_rules import AxisPlan, decide

LENGTHS = st.one_of(st.integers(1, 6), st.sampled_from([20, 70, 300]))
NAMES = st.sampled_from("abcdef")
AXIS = st.builds(NamedAxis, NAMES, LENGTHS, st.sampled_from(Meaning), st.booleans())
AXES = st.lists(AXIS, min_size=1, max_size=6)


def placed(plan: AxisPlan) -> np.ndarray:
    """How often each sample is read, over all fields and timesteps."""
    stored = plan.roles.stored
    numbers = np.arange(np.prod(stored)).reshape(stored)
    counts = np.zeros(numbers.size, int)
    for _, roles in plan.each_field():
        for t in range(roles.timesteps):
            part = roles.oriented(numbers[roles.selection(t, Box.of_shape(roles.shape))])
            assert part.shape[: len(roles.shape)] == roles.shape
            np.add.at(counts, part.ravel(), 1)
    return counts


@given(AXES)
@settings(max_examples=150, deadline=None)
def test_every_sample_is_read_once(axes: list[NamedAxis]) -> None:
    if np.prod([a.length for a in axes]) > 200_000:
        return
    try:
        plan = decide(axes)
    except ConversionError:
        return
    assert (placed(plan) == 1).all()
    assert 1 <= len(plan.roles.space) <= 3
    # What is said back is the same plan.
    again = plan_of(letters_of(plan), plan.names, plan.roles.stored)
    assert (again.roles, again.fields) == (plan.roles, plan.fields)


@given(AXES)
@settings(max_examples=150, deadline=None)
def test_no_channels_become_timesteps(axes: list[NamedAxis]) -> None:
    try:
        plan = decide(axes)
    except ConversionError:
        return
    told = {Meaning.CHANNEL, Meaning.SPECTRAL, Meaning.COLOUR}
    known = sum(a.meaning in (Meaning.X, Meaning.Y, Meaning.Z) and a.length > 1 for a in axes)
    for axis in plan.roles.time:
        # Only where there is no room at all: more such axes than grid and fields can hold.
        if axes[axis].meaning in told:
            assert sum(a.meaning in told for a in axes) + known > 3


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_any_order_of_known_axes_gives_one_grid(order: tuple[int, ...]) -> None:
    axes = [
        NamedAxis("when", 2, Meaning.TIME), NamedAxis("height", 3, Meaning.Z),
        NamedAxis("north", 4, Meaning.Y), NamedAxis("east", 5, Meaning.X),
    ]  # fmt: skip
    plan = decide([axes[i] for i in order])
    assert plan.roles.shape == (3, 4, 5)
    assert plan.roles.timesteps == 2


@pytest.mark.parametrize(
    ("lengths", "letters"),
    [
        ((9,), "x"), ((8, 9), "yx"), ((7, 8, 9), "zyx"), ((2, 7, 8, 9), "tzyx"),
        ((7, 8, 3), "yxc"), ((7, 8, 4), "yxc"), ((7, 8, 5), "zyx"), ((7, 4, 3), "zyx"),
        ((7, 8, 9, 3), "zyxc"), ((5, 6, 8, 1), "zyx-"), ((1, 8, 9), "-yx"),
        ((256, 256, 2, 3), "yxff"), ((7, 8, 2, 3), "tzyx"), ((2, 3, 4, 5, 6), "ttzyx"),
    ],
)  # fmt: skip
def test_by_position(lengths: tuple[int, ...], letters: str) -> None:
    plan = decide([NamedAxis(f"axis{i}", n) for i, n in enumerate(lengths)])
    assert letters_of(plan) == letters


@pytest.mark.parametrize(
    ("names", "lengths", "letters"),
    [
        ("c y x", (5, 60, 70), "fyx"),
        ("c y x", (300, 60, 70), "zyx"),
        ("y x channel", (60, 70, 3), "yxf"),
        ("y x rgb", (60, 70, 3), "yxc"),
        ("wavelength y x", (5, 60, 70), "zyx"),
        ("z y x wavelength", (4, 60, 70, 5), "zyxf"),
        ("a b c d", (2, 3, 4, 5), "tzyx"),
        ("t y x", (5, 60, 70), "tyx"),
        ("t x", (5, 60), "yx"),
        ("lon lat", (5, 6), "xy"),
        ("lat lon bins", (5, 6, 7), "yxz"),
        ("y x bins", (5, 6, 7), "zyx"),
        ("x y bins", (5, 6, 7), "xyz"),
    ],
)
def test_by_name(names: str, lengths: tuple[int, ...], letters: str) -> None:
    axes = [NamedAxis(n, k, meaning_of(n)) for n, k in zip(names.split(), lengths, strict=True)]
    assert letters_of(decide(consistent(axes))) == letters


def test_too_many_angles_of_a_volume_are_refused() -> None:
    axes = [NamedAxis("angle", 300, Meaning.SPECTRAL)]
    axes += [NamedAxis(n, 9, meaning_of(n)) for n in "zyx"]
    with pytest.raises(AmbiguousFormat, match="angle"):
        decide(axes)


def test_letters_of_several_ranks() -> None:
    assert told_letters("xy, tyx", 3) == "tyx"
    assert told_letters(["xy", "tyx"], 2) == "xy"
    assert told_letters("xy,tyx", 4) is None
    assert told_letters(None, 2) is None
