"""MRC files as mrcfile writes them; what it cannot write is written from the specification."""

from __future__ import annotations

import bz2
import gzip
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import ConversionError, CorruptSource, InvalidOptions, UnsupportedDtype
from scientistcloud.grid import Box
from scientistcloud.readers.base import Source
from tests.readers.contract import Case, SourceContract, read_box

RNG = np.random.default_rng(13)


def noise(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return RNG.standard_normal(shape).astype(kind)
    info = np.iinfo(kind)
    return RNG.integers(info.min, info.max, shape, kind.newbyteorder("="), endpoint=True).astype(
        kind
    )


def save(path: Path, values: np.ndarray, **settings: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with mrcfile.new(path, overwrite=True) as file:
            file.set_data(values)
            for name, value in settings.items():
                if name == "voxel_size":
                    file.voxel_size = value
                elif name == "extended":
                    file.set_extended_header(value)
                elif name == "stack":
                    file.set_image_stack()
                elif name == "volumes":
                    file.set_volume()
                else:
                    file.header[name] = value


def patch(path: Path, word: int, values: list[int]) -> None:
    """Overwrite 32-bit words (counted from 1, as the specification does)."""
    data = bytearray(path.read_bytes())
    data[4 * (word - 1) : 4 * (word - 1 + len(values))] = np.array(values, "<i4").tobytes()
    path.write_bytes(data)


def open_at(root: Path, tmp_path: Path, **parameters: Any) -> Source:
    scratch = tmp_path / "scratch-of-test"
    scratch.mkdir(exist_ok=True)
    return open_source(root, None, parameters, scratch)


def plain(dtype: str) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = noise((7, 9, 13), dtype)
        save(folder / "a.mrc", values)
        return Case(folder, {"data": values})

    return make


def make_big_endian(folder: Path) -> Case:
    values = noise((7, 9, 13), "f4")
    save(folder / "a.mrc", values.astype(">f4"))
    assert (folder / "a.mrc").read_bytes()[212] == 0x11
    return Case(folder, {"data": values})


def make_extended(folder: Path) -> Case:
    values = noise((7, 9, 13), "i2")
    save(folder / "a.map", values, extended=np.frombuffer(RNG.bytes(1536), "V1536"))
    return Case(folder, {"data": values})


def make_image(folder: Path) -> Case:
    values = noise((90, 130), "f4")
    save(folder / "a.mrc", values)
    return Case(folder, {"data": values})


def make_stack(folder: Path) -> Case:
    values = noise((5, 90, 130), "f4")
    save(folder / "a.mrcs", values, stack=True)
    return Case(folder, {"data": values})


def make_volumes(folder: Path) -> Case:
    values = noise((4, 5, 6, 7), "f4")
    save(folder / "a.mrc", values)
    return Case(folder, {"data": values})


def make_turned(folder: Path) -> Case:
    values = noise((7, 9, 13), "i2")  # sections along y, rows along x, columns along z
    save(folder / "a.map", values)
    patch(folder / "a.map", 17, [3, 1, 2])
    return Case(folder, {"data": np.ascontiguousarray(values.transpose(2, 0, 1))})


def make_imod_bytes(folder: Path) -> Case:
    values = noise((7, 9, 13), "u1")
    save(folder / "a.rec", values.view("i1"))
    patch(folder / "a.rec", 39, [1146047817, 0])
    return Case(folder, {"data": values})


def make_four_bits(folder: Path) -> Case:
    values = RNG.integers(0, 16, (4, 5, 7), "u1")
    padded = np.concatenate([values, np.zeros((4, 5, 1), "u1")], axis=-1)
    packed = padded[..., 0::2] | (padded[..., 1::2] << 4)
    save(folder / "a.mrc", packed.view("i1"))
    patch(folder / "a.mrc", 1, [7, 5, 4, 101])
    patch(folder / "a.mrc", 8, [7, 5, 4])
    return Case(folder, {"data": values})


def make_rgb(folder: Path) -> Case:
    values = noise((4, 5, 7, 3), "u1")
    save(folder / "a.mrc", values.reshape(4, 5, 21).view("i1"))
    patch(folder / "a.mrc", 1, [7, 5, 4, 16])
    return Case(folder, {"data": values})


def make_without_stamp(folder: Path) -> Case:
    values = noise((7, 9, 13), ">i2")
    save(folder / "a.mrc", values)
    data = bytearray((folder / "a.mrc").read_bytes())
    data[208:216] = bytes(8)  # files of before the year 2000 have neither MAP nor a stamp
    (folder / "a.mrc").write_bytes(data)
    return Case(folder, {"data": values.astype("i2")})


def make_packed(compress: Callable[[bytes], bytes], suffix: str) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = noise((7, 9, 13), "f4")
        save(folder / "a.map", values)
        data = (folder / "a.map").read_bytes()
        (folder / "a.map").unlink()
        (folder / f"a.map{suffix}").write_bytes(compress(data))
        return Case(folder, {"data": values})

    return make


CASES: dict[str, Callable[[Path], Case]] = {
    **{dtype: plain(dtype) for dtype in ("i1", "i2", "u2", "f2", "f4")},
    "big-endian": make_big_endian,
    "extended header": make_extended,
    "image": make_image,
    "stack": make_stack,
    "volumes": make_volumes,
    "turned": make_turned,
    "IMOD bytes": make_imod_bytes,
    "4 bits": make_four_bits,
    "RGB": make_rgb,
    "without stamp": make_without_stamp,
    "gzip": make_packed(gzip.compress, ".gz"),
    "bzip2": make_packed(bz2.compress, ".bz2"),
}


class TestMrc(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def test_sample(samples: Path, tmp_path: Path) -> None:
    path = samples / "mrc" / "emd_3197.map"
    with mrcfile.open(path, permissive=True) as file:
        theirs, voxel = np.array(file.data), file.voxel_size
    with open_at(path, tmp_path) as source:
        dataset = source.spec.datasets[0]
        mine = read_box(source, dataset.fields[0], 0, Box.of_shape(dataset.shape))
    assert mine.dtype == theirs.dtype
    assert np.array_equal(mine, theirs)
    assert [a.spacing for a in dataset.axes] == pytest.approx(
        [float(voxel.z), float(voxel.y), float(voxel.x)]
    )
    assert {a.units for a in dataset.axes} == {"angstrom"}


def test_volumes_are_timesteps(tmp_path: Path) -> None:
    make_volumes(tmp_path)
    with open_at(tmp_path, tmp_path) as source:
        assert source.spec.datasets[0].timesteps == 4
        assert source.spec.datasets[0].shape == (5, 6, 7)


def test_sign_of_bytes_can_be_told(tmp_path: Path) -> None:
    values = noise((4, 5, 6), "i1")
    save(tmp_path / "a.mrc", values)
    with open_at(tmp_path, tmp_path, mode0="unsigned") as source:
        dataset = source.spec.datasets[0]
        mine = read_box(source, dataset.fields[0], 0, Box.of_shape(dataset.shape))
    assert np.array_equal(mine, values.view("u1"))
    with pytest.raises(InvalidOptions, match="mode0"):
        open_at(tmp_path, tmp_path, mode0="maybe")


def test_origin_of_turned_axes(tmp_path: Path) -> None:
    save(tmp_path / "a.map", noise((7, 9, 13), "i2"), voxel_size=(1.0, 2.0, 4.0))
    patch(tmp_path / "a.map", 5, [10, 20, 30])  # starts of columns, rows, sections
    patch(tmp_path / "a.map", 17, [3, 1, 2])  # which are z, x, y
    patch(tmp_path / "a.map", 8, [9, 7, 13])  # intervals along x, y, z
    with open_at(tmp_path, tmp_path) as source:
        axes = {a.name: a for a in source.spec.datasets[0].axes}
        assert source.spec.datasets[0].shape == (13, 7, 9)
    for name, start in {"z": 10, "x": 20, "y": 30}.items():
        assert axes[name].origin == pytest.approx(start * axes[name].spacing)


@pytest.mark.parametrize(
    ("word", "values", "error", "match"),
    [
        (4, [3], UnsupportedDtype, "complex"),
        (4, [4], UnsupportedDtype, "complex"),
        (4, [55], UnsupportedDtype, "55"),
        (1, [0], CorruptSource, "length 0"),
        (1, [-5], CorruptSource, "length"),
        (1, [2**31 - 1, 2**31 - 1, 2**31 - 1], CorruptSource, "cut short"),
        (24, [-9], CorruptSource, "negative"),
        (24, [10**9], CorruptSource, "cut short"),
    ],
)
def test_refused(
    word: int, values: list[int], error: type[ConversionError], match: str, tmp_path: Path
) -> None:
    save(tmp_path / "a.mrc", noise((4, 5, 6), "i2"))
    patch(tmp_path / "a.mrc", word, values)
    with pytest.raises(error, match=match):
        open_at(tmp_path, tmp_path)


def test_truncated(tmp_path: Path) -> None:
    save(tmp_path / "a.mrc", noise((4, 5, 6), "i2"))
    data = (tmp_path / "a.mrc").read_bytes()
    for length in (10, 1000, 1024, len(data) - 1):
        (tmp_path / "a.mrc").write_bytes(data[:length])
        with pytest.raises(CorruptSource, match=r"a\.mrc"):
            open_at(tmp_path, tmp_path)
