"""Points are read as NumPy indexes them, also where all of them lie in no box that fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scientistcloud.streaming.block_cache import BlockCache
from scientistcloud.streaming.box_reader import BoxReader
from scientistcloud.streaming.points import read_points
from tests.streaming.test_boxes import _noise, _publish

SHAPE = (40, 50, 60)


def _expected(volume: NDArray[np.uint16], counts: tuple[int, ...], matrix: NDArray[np.float64]):
    z, y, x = (np.arange(n) / n for n in counts)
    grid = np.meshgrid(z, y, x, indexing="ij")
    points = np.stack([grid[2], grid[1], grid[0], np.ones(counts)]).reshape(4, -1)
    index = np.floor(matrix @ points)[:3][::-1].astype(int)
    inside = np.all([(i >= 0) & (i < n) for i, n in zip(index, SHAPE, strict=True)], axis=0)
    found = np.zeros(inside.size, volume.dtype)
    found[inside] = volume[tuple(each[inside] for each in index)]
    return found.reshape(counts)


@pytest.mark.parametrize("limit_bytes", [1 << 28, 4096])
def test_an_oblique_plane(tmp_path: Path, limit_bytes: int) -> None:
    volume = _noise((1, *SHAPE), "u2", 3)
    result = _publish(tmp_path, {"data": volume}, 3)
    boxes = BoxReader(BlockCache(1 << 24), 2, limit_bytes)
    matrix = np.array([[55.0, 3, 0, -4], [9, 60, 0, 0], [20, 30, 0, 1], [0, 0, 0, 1]])
    counts = (1, 64, 48)
    last = result.header.max_resolution
    found = read_points(boxes, result, 0, 0, last, counts, matrix)
    assert np.array_equal(found, _expected(volume[0], counts, matrix))
    assert found.any()
    boxes.close()


def test_points_that_are_all_outside_are_zero(tmp_path: Path) -> None:
    result = _publish(tmp_path, {"data": _noise((1, *SHAPE), "u2", 3)}, 3)
    boxes = BoxReader(BlockCache(1 << 24), 1, 1 << 20)
    matrix = np.diag([1e300, 1e300, 1e300, 1.0])
    matrix[:3, 3] = 1e300
    found = read_points(boxes, result, 0, 0, result.header.max_resolution, (2, 2, 2), matrix)
    assert found.shape == (2, 2, 2)
    assert not found.any()
    boxes.close()
