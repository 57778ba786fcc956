"""Raw binary files, told by parameters or by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    InvalidOptions,
    UnrecognizedFormat,
)
from scientistcloud.readers.base import Source
from tests.readers.contract import Case, SourceContract

RNG = np.random.default_rng(16)


def noise(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype).newbyteorder("=")
    if kind.kind == "f":
        return RNG.standard_normal(shape).astype(dtype)
    info = np.iinfo(kind)
    return RNG.integers(info.min, info.max, shape, kind, endpoint=True).astype(dtype)


def open_at(root: Path, tmp_path: Path, **parameters: Any) -> Source:
    scratch = tmp_path / "scratch-of-test"
    scratch.mkdir(exist_ok=True)
    return open_source(root, None, parameters, scratch)


def told(
    shape: tuple[int, ...],
    stored: str,
    name: str = "a.raw",
    /,
    *,
    head: bytes = b"",
    **parameters: Any,
) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = noise(shape, stored)
        (folder / name).write_bytes(head + values.tobytes())
        native = values.astype(values.dtype.newbyteorder("="))
        return Case(folder, {"data": native}, parameters=parameters)

    return make


def make_reversed_order(folder: Path) -> Case:
    values = noise((5, 6, 7), "<i2")
    (folder / "a.raw").write_bytes(values.tobytes(order="F"))
    return Case(
        folder,
        {"data": values},
        parameters={"dims": "7x6x5", "dtype": "int16", "order": "zyx"},
    )


def make_series(folder: Path) -> Case:
    values = noise((12, 5, 6, 7), "u1")
    for t in range(12):
        (folder / f"step{t}.raw").write_bytes(values[t].tobytes())
    return Case(folder, {"data": values}, parameters={"dims": [7, 6, 5], "dtype": "uint8"})


def make_slices(folder: Path) -> Case:
    values = noise((12, 6, 7), "u1")
    for z in range(12):
        (folder / f"slice{z}.raw").write_bytes(values[z].tobytes())
    return Case(folder, {"data": values}, parameters={"dims": [7, 6], "dtype": "uint8"})


CASES: dict[str, Callable[[Path], Case]] = {
    **{
        code: told((5, 6, 7), code, dims="7x6x5", dtype=code)
        for code in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
    },
    "big-endian": told((5, 6, 7), ">f4", dims=[7, 6, 5], dtype="float32", endian="big"),
    "big-endian by type": told((5, 6, 7), ">u2", dims=["7", "6", "5"], dtype=">u2"),
    "offset": told((5, 6, 7), "<i2", head=b"x" * 100, dims="7,6,5", dtype="int16", offset=100),
    "timesteps": told((3, 5, 6, 7), "<i2", dims="7 6 5", dtype="short", timesteps=3),
    "colors": told((5, 6, 7, 3), "u1", dims="7*6*5", dtype="uchar", components="3"),
    "image": told((60, 70), "<f8", dims="70x60", dtype="double"),
    "row": told((700,), "<f4", dims="700", dtype="float"),
    "by name": told((5, 6, 7), "u1", "skull_7x6x5_uint8.raw"),
    "by name, big-endian": told((5, 6, 7), ">u2", "skull_7x6x5_uint16_be.raw"),
    "reversed order": make_reversed_order,
    "series": make_series,
    "slices": make_slices,
}


class TestRaw(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def test_what_was_chosen_can_be_passed_back(tmp_path: Path) -> None:
    told((5, 6, 7), ">u2", "skull_7x6x5_uint16_be.raw")(tmp_path)
    with open_at(tmp_path, tmp_path) as source:
        first = source.spec
    chosen = {c.parameter: c.chosen for c in first.choices}
    assert chosen == {"dims": "7x6x5", "dtype": "uint16", "endian": "big"}
    with open_at(tmp_path, tmp_path, **chosen) as source:
        assert source.spec.datasets == first.datasets


def test_nothing_tells_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "scan.raw").write_bytes(bytes(100))
    with pytest.raises(UnrecognizedFormat, match=r"scan\.raw") as caught:
        open_at(tmp_path, tmp_path)
    assert "dims" in caught.value.remedy
    assert "dtype" in caught.value.remedy


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"dims": "7x6x5"}, InvalidOptions, "both"),
        ({"dtype": "uint8"}, InvalidOptions, "both"),
        ({"dims": "7x6x5", "dtype": "object"}, InvalidOptions, "object"),
        ({"dims": "7x6x5", "dtype": "O8"}, InvalidOptions, "O8"),
        ({"dims": "7x6x5x4", "dtype": "u1"}, InvalidOptions, "three"),
        ({"dims": "7x-6x5", "dtype": "u1"}, InvalidOptions, "sizes"),
        ({"dims": {"x": 7}, "dtype": "u1"}, InvalidOptions, "numbers"),
        ({"dims": "7x6x5", "dtype": "u1", "endian": "middle"}, InvalidOptions, "middle"),
        ({"dims": "7x6x5", "dtype": "u1", "order": "xyy"}, InvalidOptions, "xyy"),
        ({"dims": "7x6x5", "dtype": "u1", "offset": -1}, InvalidOptions, "range"),
        ({"dims": "7x6x5", "dtype": "u1", "components": "many"}, InvalidOptions, "many"),
        ({"dims": "7x6x4", "dtype": "u1"}, InvalidOptions, "210 bytes, but 7x6x4"),
        ({"dims": "7x6x5", "dtype": "u2"}, CorruptSource, "420 bytes are needed"),
        ({"dims": "99999999x99999999x9999999", "dtype": "f8"}, CorruptSource, "too short"),
        ({"dims": "7x6x5", "dtype": "u1", "offset": 1}, CorruptSource, "too short"),
    ],
)
def test_refused(
    parameters: dict[str, Any], error: type[ConversionError], match: str, tmp_path: Path
) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(210))
    with pytest.raises(error, match=match):
        open_at(tmp_path, tmp_path, **parameters)


def test_name_that_does_not_fit_the_size(tmp_path: Path) -> None:
    (tmp_path / "skull_8x8x8_uint8.raw").write_bytes(bytes(511))
    with pytest.raises(CorruptSource, match="512 bytes are needed"):
        open_at(tmp_path, tmp_path)
