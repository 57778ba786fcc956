"""The range by which viewers colour: of the samples that are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scientistcloud.idx.files.layout import plan_layout
from scientistcloud.idx.ranges import finite_limits, limits_without
from tests.idx.test_writer import write_all

LOWEST = float(np.finfo("f4").min)


@pytest.mark.parametrize(
    ("samples", "fill", "low", "high"),
    [
        (np.array([-9999, 3, 7], "i2"), -9999, 3, 7),
        (np.array([3, 7, 255], "u1"), 255, 3, 7),
        (np.array([3, 7, 255], "u1"), -1, 3, 255),
        (np.array([3, 7, 9], "u1"), 7, 3, 9),
        (np.array([3, 7, 9], "u1"), 6.5, 3, 9),
        (np.array([LOWEST, 0.5, np.nan, np.inf], "f4"), LOWEST, 0.5, 0.5),
        # As text of a TIFF has it, which is no float32 until it is rounded.
        (np.array([-3.4e38, 2, 4], "f4"), -3.39999995214436425e38, 2, 4),
        (np.array([1, 2], "f4"), 1e300, 1, 2),
        (np.array([1, 2], "f4"), float("nan"), 1, 2),
        (np.array([-(2**63), 2**62 + 1], "i8"), -(2**63), 2**62 + 1, 2**62 + 1),
    ],
)
def test_fill_sets_no_limit(samples: np.ndarray, fill: float, low: float, high: float) -> None:
    limits = finite_limits(samples, 1)
    assert limits is not None
    assert limits_without(fill, limits, samples, 1) == ((low,), (high,))


def test_nothing_but_fill() -> None:
    samples = np.full((4, 4), -1, "i2")
    limits = finite_limits(samples, 1)
    assert limits is not None
    assert limits_without(-1, limits, samples, 1) is None


def test_components_lack_samples_by_themselves() -> None:
    samples = np.array([[0, 0, 5], [0, 4, 9]], "u1")
    limits = finite_limits(samples, 3)
    assert limits is not None
    lows, highs = limits_without(0, limits, samples, 3) or ((), ())
    assert (lows[1:], highs[1:]) == ((4, 5), (4, 9))


def test_range_of_a_dataset_leaves_fill_out_and_keeps_it(tmp_path: Path) -> None:
    samples = np.arange(64 * 64, dtype="i2").reshape(1, 64, 64)
    samples[0, :40] = -32768
    layout = plan_layout((64, 64), [("a", samples.dtype, 1)], fill_values=(-32768,))
    field = write_all(tmp_path, layout, [samples]).header.fields[0]
    assert (field.minimum, field.maximum) == ((40 * 64,), (64 * 64 - 1,))


def test_blocks_of_zeros_are_left_out_where_zero_is_the_fill(tmp_path: Path) -> None:
    samples = np.zeros((1, 512, 512), "u1")
    samples[0, :8, :8] = 7
    plain = plan_layout((512, 512), [("a", samples.dtype, 1)], codec="raw")
    filled = plan_layout((512, 512), [("a", samples.dtype, 1)], codec="raw", fill_values=(0,))
    sizes = []
    for name, layout in (("plain", plain), ("filled", filled)):
        (tmp_path / name).mkdir()
        sizes.append(write_all(tmp_path / name, layout, [samples]).stored_bytes)
    assert sizes[0] == sizes[1] < samples.size
