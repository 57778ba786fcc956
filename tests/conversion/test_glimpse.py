"""Planes read from a source before a conversion are the source's samples, with strides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from scientistcloud.conversion.glimpse import _bands, glimpse, plane_axes
from scientistcloud.conversion.inspect import open_source


@given(st.integers(1, 300), st.integers(1, 40))
@settings(deadline=None)
def test_bands_cover_every_row_once(rows: int, height: int) -> None:
    bands = list(_bands(rows, height))
    assert sorted(row for first, last in bands for row in range(first, last)) == list(range(rows))


@pytest.mark.parametrize("pixels", [7, 16, 300])
@pytest.mark.parametrize("shape", [(9, 20, 33), (40, 11, 6), (50, 21)])
def test_middle_planes_are_the_samples_of_the_source(
    tmp_path: Path, shape: tuple[int, ...], pixels: int
) -> None:
    data = np.random.default_rng(1).integers(0, 60_000, shape, np.uint16)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", data, compression="zlib", photometric="minisblack")
    with open_source(tmp_path / "in", None, {}, tmp_path) as source:
        planes = glimpse(source, pixels, 60)
    assert [(each.down, each.across) for each in planes] == list(plane_axes(len(shape)))
    for each in planes:
        still = {0, 1, 2}.difference({each.down, each.across}).pop() if len(shape) == 3 else None
        plane = data if still is None else data.take(shape[still] // 2, still)
        assert each.is_whole
        assert max(each.samples.shape) <= pixels
        np.testing.assert_array_equal(each.samples, plane[:: each.stride, :: each.stride])


def test_without_time_each_plane_has_one_read_spread_over_it(tmp_path: Path) -> None:
    data = np.arange(30 * 8 * 8, dtype=np.uint16).reshape(30, 8, 8) + 1
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", data, photometric="minisblack")
    with open_source(tmp_path / "in", None, {}, tmp_path) as source:
        planes = glimpse(source, 64, 0)
    assert not planes[1].is_whole
    assert (planes[1].samples > 0).all(), "what was not read repeats what was"
