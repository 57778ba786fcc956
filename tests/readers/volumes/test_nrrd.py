"""NRRD files as pynrrd writes them, and headers written by hand where it cannot."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nrrd
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
from scientistcloud.grid import Box
from scientistcloud.readers.base import Source
from tests.readers.contract import Case, SourceContract, read_box

RNG = np.random.default_rng(12)
DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def noise(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return RNG.standard_normal(shape).astype(kind)
    info = np.iinfo(kind)
    return RNG.integers(info.min, info.max, shape, kind.newbyteorder("="), endpoint=True).astype(
        kind
    )


def ours(values: np.ndarray) -> np.ndarray:
    """From pynrrd's x, y, z[, t] to time, z, y, x."""
    return np.ascontiguousarray(values.transpose())


def open_at(root: Path, tmp_path: Path, **parameters: Any) -> Source:
    scratch = tmp_path / "scratch-of-test"
    scratch.mkdir(exist_ok=True)
    return open_source(root, None, parameters, scratch)


def written(
    shape: tuple[int, ...], dtype: str = "i2", encoding: str = "gzip", name: str = "a.nrrd"
) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = noise(shape, dtype)
        nrrd.write(str(folder / name), values, {"encoding": encoding})
        return Case(folder, {"data": ours(values)})

    return make


def by_hand(header: str, values: np.ndarray, encode: Callable[[bytes], bytes] = bytes) -> bytes:
    return b"NRRD0005\n" + header.encode() + b"\n\n" + encode(values.tobytes())


def make_big_endian(folder: Path) -> Case:
    values = noise((5, 6, 7), ">i4")
    header = "type: int\ndimension: 3\nsizes: 7 6 5\nendian: big\nencoding: raw"
    (folder / "a.nrrd").write_bytes(by_hand(header, values))
    return Case(folder, {"data": values.astype("i4")})


def make_colors(folder: Path) -> Case:
    values = noise((5, 6, 7, 3), "u1")
    header = (
        "type: uchar\r\ndimension: 4\r\nsizes: 3 7 6 5\r\nencoding: gzip\r\n"
        "kinds: RGB-color domain domain domain\r"
    )
    data = b"NRRD0005\r\n" + header.encode() + b"\n\r\n" + gzip.compress(values.tobytes())
    (folder / "a.nrrd").write_bytes(data)
    return Case(folder, {"data": values})


def make_planar_vectors(folder: Path) -> Case:
    values = noise((3, 5, 6, 7), "f4")
    header = (
        "type: float\ndimension: 4\nsizes: 7 6 5 3\nendian: little\nencoding: bzip2\n"
        "kinds: space space space vector"
    )
    (folder / "a.nrrd").write_bytes(by_hand(header, values, bz2.compress))
    return Case(folder, {"data": np.ascontiguousarray(values.transpose(1, 2, 3, 0))})


def make_tensor(folder: Path) -> Case:
    values = noise((4, 5, 6, 7), "f4")
    header = (
        "type: float\ndimension: 4\nsizes: 7 6 5 4\nendian: little\nencoding: raw\n"
        "kinds: 3D-masked-symmetric-matrix space space space\n"
        "space: left-posterior-superior\nspace origin: (0,0,0)\n"
        "space directions: none (1,0,0) (0,1,0) (0,0,1)"
    )
    (folder / "a.nrrd").write_bytes(by_hand(header, values))
    return Case(folder, {f"data_{i}": np.ascontiguousarray(values[..., i]) for i in range(7)})


def make_gradients(folder: Path) -> Case:
    values = noise((4, 5, 6, 9), "i2")
    header = (
        "type: short\ndimension: 4\nsizes: 9 6 5 4\nendian: little\nencoding: raw\n"
        "kinds: list space space space"
    )
    (folder / "a.nrrd").write_bytes(by_hand(header, values))
    return Case(folder, {"data": np.ascontiguousarray(values.transpose(3, 0, 1, 2))})


def make_fast_time(folder: Path) -> Case:
    values = noise((4, 5, 6, 9), "i2")
    header = (
        "type: short\ndimension: 4\nsizes: 9 6 5 4\nendian: little\nencoding: raw\n"
        "kinds: time domain domain domain"
    )
    (folder / "a.nrrd").write_bytes(by_hand(header, values))
    return Case(folder, {"data": np.ascontiguousarray(values.transpose(3, 0, 1, 2))})


def make_hex(folder: Path) -> Case:
    values = noise((4, 5, 6), "<u2")
    header = "type: ushort\ndimension: 3\nsizes: 6 5 4\nendian: little\nencoding: hex"

    def encode(data: bytes) -> bytes:
        digits = data.hex()
        return "\n".join(digits[i : i + 61] for i in range(0, len(digits), 61)).encode()

    (folder / "a.nrrd").write_bytes(by_hand(header, values, encode))
    return Case(folder, {"data": values})


def make_skips(folder: Path) -> Case:
    values = noise((4, 5, 6), "u1")
    (folder / "a.dat").write_bytes(b"one\ntwo\nXY" + values.tobytes())
    header = (
        "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 6 5 4\nencoding: raw\n"
        "line skip: 2\nbyte skip: 2\ndata file: a.dat"
    )
    (folder / "a.nhdr").write_text(header)
    return Case(folder, {"data": values})


def make_skip_from_the_end(folder: Path) -> Case:
    values = noise((4, 5, 6), "u1")
    (folder / "a.dcm").write_bytes(b"whatever came before" + values.tobytes())
    header = (
        "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 6 5 4\nencoding: raw\n"
        "byte skip: -1\ndata file: a.dcm\n"
    )
    (folder / "a.nhdr").write_text(header)
    return Case(folder / "a.nhdr", {"data": values})


def make_slices_by_number(folder: Path) -> Case:
    values = noise((12, 5, 6), "<i2")
    for i in range(12):
        (folder / f"s{i + 1:03d}.raw").write_bytes(values[i].tobytes())
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 6 5 12\nendian: little\nencoding: raw\n"
        "data file: s%03d.raw 1 12 1\n"
    )
    (folder / "a.nhdr").write_text(header)
    return Case(folder, {"data": values})


def make_slabs_by_list(folder: Path) -> Case:
    values = noise((12, 5, 6), "<i2")
    names = []
    for i in range(3):
        names.append(f"slab-{'abc'[i]}.raw.gz")
        (folder / names[-1]).write_bytes(gzip.compress(values[4 * i : 4 * i + 4].tobytes()))
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 6 5 12\nendian: little\nencoding: gzip\n"
        "data file: LIST 3\n"
    )
    (folder / "a.nhdr").write_text(header + "\n".join(names) + "\n")
    return Case(folder, {"data": values})


def make_times_by_list(folder: Path) -> Case:
    values = noise((2, 4, 5, 6), "<i2")
    for t in range(2):
        (folder / f"t{t}.raw").write_bytes(values[t].tobytes())
    header = (
        "NRRD0004\ntype: short\ndimension: 4\nsizes: 6 5 4 2\nendian: little\nencoding: raw\n"
        "data file: LIST\nt0.raw\nt1.raw\n"
    )
    (folder / "a.nhdr").write_text(header)
    return Case(folder, {"data": values})


CASES: dict[str, Callable[[Path], Case]] = {
    **{f"gzip {dtype}": written((13, 9, 7), dtype) for dtype in DTYPES},
    "raw": written((13, 9, 7), encoding="raw"),
    "bzip2": written((13, 9, 7), encoding="bzip2"),
    "ascii": written((6, 5, 4), "i4", encoding="ascii"),
    "ascii floats": written((6, 5, 4), "f8", encoding="ascii"),
    "detached": written((13, 9, 7), name="a.nhdr", encoding="raw"),
    "detached gzip": written((13, 9, 7), name="a.nhdr", encoding="gzip"),
    "image": written((30, 20), "u1"),
    "row": written((300,), "f4"),
    "4-D": written((6, 5, 4, 3), "f4", encoding="raw"),
    "5-D": written((6, 5, 4, 3, 2), "f4", encoding="raw"),
    "big-endian": make_big_endian,
    "colors": make_colors,
    "planar vectors": make_planar_vectors,
    "tensor": make_tensor,
    "gradients": make_gradients,
    "time first": make_fast_time,
    "hex": make_hex,
    "skips": make_skips,
    "slices by number": make_slices_by_number,
    "slabs by list": make_slabs_by_list,
    "times by list": make_times_by_list,
}


class TestNrrd(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def test_data_behind_other_bytes(tmp_path: Path) -> None:
    case = make_skip_from_the_end(tmp_path)
    with open_at(tmp_path, tmp_path, format="nrrd") as source:
        dataset = source.spec.datasets[0]
        mine = read_box(source, dataset.fields[0], 0, Box.of_shape(dataset.shape))
    assert np.array_equal(mine, case.fields["data"])


def test_sample(samples: Path, tmp_path: Path) -> None:
    path = samples / "nrrd" / "py_4d.nrrd"
    theirs, _ = nrrd.read(str(path))
    with open_at(path, tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert dataset.timesteps * np.prod(dataset.shape) == theirs.size == 1
        mine = read_box(source, dataset.fields[0], 0, Box.of_shape(dataset.shape))
    assert mine.dtype == theirs.dtype
    assert mine.item() == theirs.item()


def test_placement(tmp_path: Path) -> None:
    header = {
        "space": "right-anterior-superior",
        "space directions": np.diag([0.5, 0.75, 2.0]),
        "space origin": np.array([-1.0, -2.0, -3.0]),
        "space units": ["mm", "mm", "um"],
        "content": "a scan",
    }
    nrrd.write(str(tmp_path / "a.nrrd"), noise((4, 5, 6), "i2"), header)
    with open_at(tmp_path, tmp_path) as source:
        dataset = source.spec.datasets[0]
    assert [(a.name, a.spacing, a.origin, a.units) for a in dataset.axes] == [
        ("z", 2.0, -3.0, "um"),
        ("y", 0.75, -2.0, "mm"),
        ("x", 0.5, -1.0, "mm"),
    ]
    assert dataset.metadata["fields"]["content"] == "a scan"


def test_mirrored_grid_claims_no_origin(tmp_path: Path) -> None:
    header = {"space dimension": 3, "space directions": np.diag([-0.5, 1.0, 2.0])}
    header["space origin"] = np.zeros(3)
    nrrd.write(str(tmp_path / "a.nrrd"), noise((4, 5, 6), "i2"), header)
    with open_at(tmp_path, tmp_path) as source:
        axes = source.spec.datasets[0].axes
    assert [a.spacing for a in axes] == [2.0, 1.0, 0.5]
    assert [a.origin for a in axes] == [None] * 3


BASE = "type: short\ndimension: 3\nsizes: 6 5 4\nendian: little\nencoding: raw\n"


@pytest.mark.parametrize(
    ("header", "error", "match"),
    [
        (BASE.replace("short", "block"), UnsupportedDtype, "block"),
        (BASE.replace("encoding: raw", "encoding: lzw"), UnsupportedLayout, "lzw"),
        (BASE.replace("endian: little\n", ""), CorruptSource, "byte order"),
        (BASE.replace("6 5 4", "6 5"), CorruptSource, "sizes"),
        (BASE.replace("6 5 4", "6 0 4"), CorruptSource, "sizes"),
        (BASE.replace("6 5 4", "6 5 1000000000000"), CorruptSource, "cut short"),
        (BASE.replace("raw", "gzip"), CorruptSource, r"a\.nrrd"),
        (BASE.replace("raw", "ascii"), CorruptSource, r"a\.nrrd"),
        (BASE.replace("raw", "hex"), CorruptSource, r"a\.nrrd"),
        (BASE + "kinds: complex domain domain\n", UnsupportedDtype, "complex"),
        (BASE + "nonsense\n", CorruptSource, "nonsense"),
        (BASE + "byte skip: -7\n", CorruptSource, "byte skip"),
        (BASE + "line skip: 1000\n", CorruptSource, "lines"),
        (BASE + "data file: gone.raw\n", MissingMember, r"gone\.raw"),
        (BASE + "data file: ../../../etc/passwd\n", UnsafeLink, "outside"),
        (BASE + "data file: /etc/passwd\n", UnsafeLink, "outside"),
        (BASE + "data file: x%d%s.raw 1 3 1\n", CorruptSource, "pattern"),
        (BASE + "data file: x%d.raw 1 99999999999 1\n", CorruptSource, "numbers"),
        (BASE + "data file: x%d.raw 1 4 0\n", CorruptSource, "numbers"),
        ("", CorruptSource, "dimension"),
    ],
)
def test_refused(header: str, error: type[ConversionError], match: str, tmp_path: Path) -> None:
    data = b"NRRD0004\n" + header.encode() + b"\n" + RNG.bytes(240)
    (tmp_path / "a.nrrd").write_bytes(data)
    with pytest.raises(error, match=match):
        open_at(tmp_path, tmp_path)


def test_truncated(tmp_path: Path) -> None:
    for encoding in ("raw", "gzip", "bzip2"):
        nrrd.write(str(tmp_path / "a.nrrd"), noise((20, 20, 20), "i2"), {"encoding": encoding})
        data = (tmp_path / "a.nrrd").read_bytes()
        for length in (9, 40, len(data) // 2, len(data) - 1):
            (tmp_path / "a.nrrd").write_bytes(data[:length])
            with pytest.raises(CorruptSource, match=r"a\.nrrd"):
                open_at(tmp_path, tmp_path)


def test_scratch_is_left_clean(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), noise((20, 20, 20), "i2"))
    with open_at(tmp_path, tmp_path) as source:
        assert any("16,000 bytes were decoded" in note for note in source.spec.notes)
    assert not [p for p in (tmp_path / "scratch-of-test").rglob("*") if p.is_file()]
