"""DM3 and DM4: real files with what ncempy reads of them, and some written here."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scientistcloud.errors import ConversionError, CorruptSource, UnsupportedDtype
from tests.readers.contract import Case, SourceContract
from tests.readers.opening import error_of, numbers, opened, whole

SAMPLES = Path(__file__).parents[4] / "shared/formats/dm3"
"""ncempy's test data (ercius/openNCEM, ncempy/data)."""
CODES = {"i2": (1, 2), "f4": (2, 6), "u1": (6, 10), "i4": (7, 3), "i1": (9, 9), "u2": (10, 4),
         "u4": (11, 5), "f8": (12, 7), "c8": (3, 6)}  # fmt: skip


class Writer:
    """Tags as the description has them; `wide` for DM4."""

    def __init__(self, *, wide: bool, order: str = "<") -> None:
        self.wide, self.order = wide, order

    def count(self, value: int) -> bytes:
        return struct.pack(">Q" if self.wide else ">I", value)

    def value(self, value: Any) -> bytes:
        if isinstance(value, np.ndarray):
            info = [20, CODES[value.dtype.str[1:]][1], value.size]
            data = value.astype(value.dtype.newbyteorder(self.order)).tobytes()
        elif isinstance(value, str):
            info = [20, 4, len(value)]
            data = value.encode("utf-16-le" if self.order == "<" else "utf-16-be")
        elif isinstance(value, tuple):  # a struct of numbers
            info = [15, 0, len(value), *(w for _ in value for w in (0, 3))]
            data = struct.pack(f"{self.order}{len(value)}i", *value)
        else:
            kind, code = ("f", 6) if isinstance(value, float) else ("I", 5)
            info, data = [code], struct.pack(self.order + kind, value)
        return b"%%%%" + self.count(len(info)) + b"".join(map(self.count, info)) + data

    def directory(self, tags: dict[str, Any] | list[Any]) -> bytes:
        items = tags.items() if isinstance(tags, dict) else (("", v) for v in tags)
        data = b""
        for name, value in items:
            inner = isinstance(value, dict | list)
            body = self.directory(value) if inner else self.value(value)
            size = self.count(len(body)) if self.wide else b""
            data += struct.pack(">BH", 20 if inner else 21, len(name)) + name.encode() + size + body
        return b"\1\0" + self.count(len(tags)) + data

    def file(self, tags: dict[str, Any]) -> bytes:
        body = self.directory(tags)
        head = struct.pack(">I", 4 if self.wide else 3) + self.count(len(body))
        return head + struct.pack(">I", self.order == "<") + body + bytes(8)


def image(values: np.ndarray, dtype: str) -> dict[str, Any]:
    return {
        "ImageData": {
            "Calibrations": {
                "Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": "e"},
                "Dimension": [
                    {"Origin": 2.0, "Scale": 0.5 * (i + 1), "Units": "nm"}
                    for i in range(values.ndim)
                ],
            },
            "Data": values.ravel(),
            "DataType": CODES[dtype][0],
            "Dimensions": list(values.shape[::-1]),
            "PixelDepth": values.itemsize,
        },
        "ImageTags": {"Microscope Info": {"Voltage": 200000.0, "Name": "Titan", "range": (1, 2)}},
        "Name": "scan",
    }


def plain(dtype: str, *, wide: bool = False, order: str = "<") -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = numbers((5, 9, 13), dtype)
        colors = np.zeros(16, "u4")
        thumbnail = {"ImageData": {"Data": colors, "DataType": 23, "Dimensions": [4, 4]}}
        tags = {"ImageList": [thumbnail, image(values, dtype)], "Bounds": (1, 2, 3, 4)}
        suffix = "dm4" if wide else "dm3"
        (folder / f"a.{suffix}").write_bytes(Writer(wide=wide, order=order).file(tags))
        return Case(folder, {"data": values})

    return make


def make_series(folder: Path) -> Case:
    values = numbers((4, 9, 13), "f4")
    for i, each in enumerate(values):
        data = Writer(wide=True).file({"ImageList": [image(each, "f4")]})
        (folder / f"tilt_{i:03d}.dm4").write_bytes(data)
    return Case(folder, {"data": values})


CASES: dict[str, Callable[[Path], Case]] = {
    **{d: plain(d) for d in ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")},
    "dm4": plain("i2", wide=True),
    "big-endian": plain("f4", order=">"),
    "big-endian dm4": plain("u2", wide=True, order=">"),
    "series": make_series,
}


class TestDm(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def real(name: str) -> Path:
    if not (SAMPLES / name).exists():
        pytest.skip("the sample is not here")
    return SAMPLES / name


def test_a_real_volume_is_what_ncempy_reads() -> None:
    with opened(real("dmTest_3D_int16_64_65_66.dm3")) as source:
        dataset = source.spec.datasets[0]
        values = whole(source)
        assert (values.shape, values.dtype) == ((66, 65, 64), np.int16)
        assert (int(values.sum()), values.min(), values.max()) == (8648640, 0, 63)
        assert [(a.spacing, a.units) for a in dataset.axes] == [(4, "um"), (3, "nm"), (2, "pm")]


def test_a_real_spectrum_is_what_ncempy_reads() -> None:
    with opened(real("08_carbon.dm3")) as source:
        dataset = source.spec.datasets[0]
        values = whole(source)
        assert (values.size, values.dtype) == (2048, np.float32)
        assert (values.sum(dtype="f8"), values.min(), values.max()) == (35798239, 8674, 33036)
        axis = dataset.axes[-1]
        assert (axis.spacing, axis.origin, axis.units) == (0.1, 240, "eV")


def test_calibrations_and_settings_are_kept(tmp_path: Path) -> None:
    CASES["dm4"](tmp_path)
    with opened(tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert [(a.name, a.spacing, a.origin, a.units) for a in dataset.axes] == [
            ("z", 1.5, -3.0, "nm"),
            ("y", 1.0, -2.0, "nm"),
            ("x", 0.5, -1.0, "nm"),
        ]
        info = dataset.metadata["tags"]["Microscope Info"]
        assert info == {"Voltage": 200000.0, "Name": "Titan", "range": [1, 2]}


@pytest.mark.parametrize("keep", [3, 11, 40, 200, 1200])
def test_a_file_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    CASES["i2"](tmp_path)
    (tmp_path / "a.dm3").write_bytes((tmp_path / "a.dm3").read_bytes()[:keep])
    assert isinstance(error_of(tmp_path), CorruptSource)


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    described = image(numbers((9, 13), "f4"), "f4")
    described["ImageData"]["DataType"] = 3
    (tmp_path / "a.dm3").write_bytes(Writer(wide=False).file({"ImageList": [described]}))
    assert isinstance(error_of(tmp_path), UnsupportedDtype)


@pytest.mark.parametrize(
    ("key", "value"),
    [("Dimensions", [13, 10]), ("Dimensions", [1 << 31, 1 << 31]), ("DataType", 99), ("Data", 7)],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    described = image(numbers((9, 13), "f4"), "f4")
    described["ImageData"][key] = value
    (tmp_path / "a.dm3").write_bytes(Writer(wide=False).file({"ImageList": [described]}))
    assert isinstance(error_of(tmp_path), ConversionError)


def test_tags_without_end_are_refused(tmp_path: Path) -> None:
    """Directories in directories, deeper than any image needs."""
    inner: dict[str, Any] = {}
    for _ in range(200):
        inner = {"a": inner}
    (tmp_path / "a.dm3").write_bytes(Writer(wide=False).file(inner | {"b": (1, 2)}))
    assert isinstance(error_of(tmp_path), CorruptSource)
