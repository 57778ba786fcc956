"""MetaImage files as SimpleITK writes them; what it does not write comes from the specification."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    MissingMember,
    UnsafeLink,
    UnsupportedDtype,
    UnsupportedLayout,
)
from scientistcloud.readers.base import Source
from tests.readers.contract import Case, SourceContract

RNG = np.random.default_rng(15)
TYPES = {
    "i1": "CHAR", "u1": "UCHAR", "i2": "SHORT", "u2": "USHORT", "i4": "INT", "u4": "UINT",
    "i8": "LONG_LONG", "u8": "ULONG_LONG", "f4": "FLOAT", "f8": "DOUBLE",
}  # fmt: skip


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


def header(values: np.ndarray, channels: int = 1, data: str = "LOCAL", **fields: Any) -> bytes:
    shape = values.shape[:-1] if channels > 1 else values.shape
    lines = {
        "ObjectType": "Image",
        "NDims": len(shape),
        "BinaryData": True,
        "BinaryDataByteOrderMSB": values.dtype.str[0] == ">",
        "DimSize": " ".join(map(str, reversed(shape))),
        "ElementType": "MET_" + TYPES[values.dtype.str[1:]],
        **({"ElementNumberOfChannels": channels} if channels > 1 else {}),
        **fields,
        "ElementDataFile": data,
    }
    return "".join(f"{k} = {v}\n" for k, v in lines.items()).encode()


def by_hand(
    shape: tuple[int, ...], dtype: str = "<i2", channels: int = 1, **fields: Any
) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = noise(shape, dtype)
        (folder / "a.mha").write_bytes(header(values, channels, **fields) + values.tobytes())
        return Case(folder, {"data": values.astype(values.dtype.newbyteorder("="))})

    return make


def with_itk(
    shape: tuple[int, ...], dtype: str, name: str, packed: bool = False, vector: bool = False
) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        sitk = pytest.importorskip("SimpleITK")
        values = noise(shape, dtype)
        image = sitk.GetImageFromArray(values, isVector=vector)
        sitk.WriteImage(image, str(folder / name), packed)
        return Case(folder, {"data": values})

    return make


def make_zlib(folder: Path) -> Case:
    values = noise((7, 8, 9), "<u2")
    data = header(values, CompressedData=True, data="a.zraw")
    (folder / "a.mhd").write_bytes(data)
    (folder / "a.zraw").write_bytes(zlib.compress(values.tobytes()))
    return Case(folder, {"data": values})


def make_gzip(folder: Path) -> Case:
    values = noise((7, 8, 9), "<u2")
    packed = gzip.compress(values.tobytes())
    (folder / "a.mha").write_bytes(header(values, CompressedData=True) + packed)
    return Case(folder, {"data": values})


def make_text(folder: Path) -> Case:
    values = noise((4, 5, 6), "<i2")
    text = "\n".join(" ".join(map(str, row)) for row in values.reshape(-1, 6)).encode()
    (folder / "a.mha").write_bytes(header(values, BinaryData=False) + text)
    return Case(folder, {"data": values})


def make_list(folder: Path) -> Case:
    values = noise((5, 6, 7), "<i2")
    for z in range(5):
        (folder / f"part{z}").write_bytes(values[z].tobytes())
    names = "".join(f"part{z}\n" for z in range(5)).encode()
    (folder / "a.mhd").write_bytes(header(values, data="LIST") + names)
    return Case(folder, {"data": values})


def make_numbered(folder: Path) -> Case:
    values = noise((5, 6, 7), "<i2")
    for z in range(5):
        (folder / f"s_{z + 1:02d}.raw").write_bytes(values[z].tobytes())
    (folder / "a.mhd").write_bytes(header(values, data="s_%02d.raw 1 5 1"))
    return Case(folder, {"data": values})


def make_skip_from_the_end(folder: Path) -> Case:
    values = noise((5, 6, 7), "<i2")
    (folder / "a.bin").write_bytes(b"a header of some other kind" + values.tobytes())
    (folder / "a.mhd").write_bytes(header(values, data="a.bin", HeaderSize=-1))
    return Case(folder, {"data": values})


CASES: dict[str, Callable[[Path], Case]] = {
    **{f"itk {t}": with_itk((7, 8, 9), t, "a.mha") for t in TYPES},
    "itk detached": with_itk((7, 8, 9), "i2", "a.mhd"),
    "itk packed": with_itk((7, 8, 9), "i2", "a.mha", packed=True),
    "itk packed detached": with_itk((7, 8, 9), "f4", "a.mhd", packed=True),
    "itk image": with_itk((80, 90), "u1", "a.mha"),
    "itk colors": with_itk((7, 8, 9, 3), "u1", "a.mha", vector=True),
    "itk vectors": with_itk((7, 8, 9, 2), "f4", "a.mha", vector=True),
    "itk 4-D": with_itk((3, 5, 6, 7), "i2", "a.mha"),
    "big-endian": by_hand((5, 6, 7), ">i4"),
    "zlib": make_zlib,
    "gzip": make_gzip,
    "text": make_text,
    "list": make_list,
    "numbered": make_numbered,
    "skip from the end": make_skip_from_the_end,
}


class TestMetaImage(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def test_a_long_has_four_bytes(tmp_path: Path) -> None:
    values = noise((5, 6, 7), "<i4")
    data = header(values).replace(b"MET_INT", b"MET_LONG")
    (tmp_path / "a.mha").write_bytes(data + values.tobytes())
    with open_at(tmp_path, tmp_path) as source:
        assert source.spec.datasets[0].fields[0].dtype == np.dtype("i4")


def test_six_channels_are_six_fields(tmp_path: Path) -> None:
    case = by_hand((5, 6, 7, 6), "<f4", 6)(tmp_path)
    with open_at(case.root, tmp_path) as source:
        assert [f.name for f in source.spec.datasets[0].fields] == [f"data_{i}" for i in range(6)]


def test_placement(tmp_path: Path) -> None:
    by_hand((5, 6, 7), ElementSpacing="0.5 1 2", Offset="-1 -2 3", DistanceUnits="mm")(tmp_path)
    with open_at(tmp_path, tmp_path) as source:
        axes = source.spec.datasets[0].axes
    assert [(a.name, a.spacing, a.origin, a.units) for a in axes] == [
        ("z", 2.0, 3.0, "mm"),
        ("y", 1.0, -2.0, "mm"),
        ("x", 0.5, -1.0, "mm"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "error", "match"),
    [
        ("MET_SHORT", "MET_STRING", UnsupportedDtype, "STRING"),
        ("DimSize = 7 6 5", "DimSize = 7 6", CorruptSource, "sizes"),
        ("DimSize = 7 6 5", "DimSize = 7 6 0", CorruptSource, "sizes"),
        ("DimSize = 7 6 5", "DimSize = 7 6 x", CorruptSource, "DimSize"),
        ("DimSize = 7 6 5", "DimSize = 7 6 nan", CorruptSource, "DimSize"),
        ("DimSize = 7 6 5", "DimSize = 70000 60000 50000", CorruptSource, "cut short"),
        ("LOCAL", "gone.raw", MissingMember, r"gone\.raw"),
        ("LOCAL", "../secret", UnsafeLink, "outside"),
        ("LOCAL", "/etc/passwd", UnsafeLink, "outside"),
        ("LOCAL", "a.mha a.mha", MissingMember, r"a\.mha"),
        ("LOCAL", "x%d.raw 1 9999999999 1", CorruptSource, "numbers"),
        ("ElementDataFile", "Comment", CorruptSource, "ElementDataFile"),
        ("BinaryData = True", "BinaryData = False", CorruptSource, r"a\.mha"),
        ("ObjectType", "CompressedData = True\nObjectType", CorruptSource, r"a\.mha"),
    ],
)
def test_refused(
    old: str, new: str, error: type[ConversionError], match: str, tmp_path: Path
) -> None:
    values = noise((5, 6, 7), "<i2")
    head = header(values).decode()
    assert old in head
    (tmp_path / "a.mha").write_bytes(head.replace(old, new).encode() + values.tobytes())
    with pytest.raises(error, match=match):
        open_at(tmp_path, tmp_path)


def test_uneven_parts(tmp_path: Path) -> None:
    make_list(tmp_path)
    text = (tmp_path / "a.mhd").read_text().removesuffix("part4\n")
    (tmp_path / "a.mhd").write_text(text)
    with pytest.raises(UnsupportedLayout, match="unevenly"):
        open_at(tmp_path / "a.mhd", tmp_path)
