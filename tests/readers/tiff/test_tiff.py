"""TIFF: every layout that tifffile writes, and the sample files, compared value by value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.readers.contract import Case, SourceContract


def noise(shape: tuple[int, ...], dtype: str, seed: int = 1) -> np.ndarray:
    """Values over the whole range of `dtype`."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return rng.normal(size=shape).astype(kind)
    info = np.iinfo(kind)
    return rng.integers(info.min, info.max, shape, kind, endpoint=True)


def write_stack(folder: Path, values: np.ndarray, **options: object) -> Path:
    """One file for each slice, numbered without leading zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, page in enumerate(values):
        tifffile.imwrite(folder / f"slice_{i}.tif", page, **options)
    return folder


def _stack(folder: Path) -> Case:
    values = noise((12, 33, 47), "u2")
    return Case(write_stack(folder / "up", values), {"data": values})


def _tiled_multipage(folder: Path) -> Case:
    values = noise((3, 70, 90), "f4")
    tifffile.imwrite(
        folder / "a.tif", values, tile=(32, 16), compression="zlib", photometric="minisblack"
    )
    return Case(folder / "a.tif", {"data": values})


def _planar_rgb(folder: Path) -> Case:
    values = noise((3, 40, 50), "u1")
    path = folder / "rgb.tif"
    tifffile.imwrite(path, values, planarconfig="separate", photometric="rgb", tile=(16, 32))
    return Case(path, {"data": np.moveaxis(values, 0, -1)})


def _palette(folder: Path) -> Case:
    indices = noise((60, 41), "u1")
    colormap = noise((3, 256), "u2", seed=5)
    path = folder / "palette.tif"
    tifffile.imwrite(path, indices, photometric="palette", colormap=colormap, compression="lzw",
                     rowsperstrip=7)  # fmt: skip
    return Case(path, {"data": (colormap >> 8).astype("u1").T[indices]})


def _bands(folder: Path) -> Case:
    values = noise((30, 31, 5), "i2")
    path = folder / "bands.tif"
    tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig", byteorder=">")
    return Case(path, {f"band {i + 1}": values[..., i] for i in range(5)})


def _times(folder: Path) -> Case:
    up = folder / "up"
    up.mkdir()
    values = noise((3, 4, 20, 21), "i4")
    for i, volume in enumerate(values):
        tifffile.imwrite(up / f"t{i}.tif", volume, photometric="minisblack", byteorder=">",
                         rowsperstrip=3, compression="lzw")  # fmt: skip
    return Case(up, {"data": values})


MADE = {
    "stack": _stack,
    "tiled": _tiled_multipage,
    "planar": _planar_rgb,
    "palette": _palette,
    "bands": _bands,
    "times": _times,
}


class TestTiffContract(SourceContract):
    @pytest.fixture(params=MADE)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return MADE[request.param](tmp_path)
