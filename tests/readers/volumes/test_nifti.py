"""NIfTI and ANALYZE files as nibabel writes them, and as nibabel reads the samples."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    MissingMember,
    UnsupportedDtype,
    UnsupportedLayout,
)
from scientistcloud.grid import Box
from scientistcloud.readers.base import Source
from tests.readers.contract import Case, SourceContract, read_box

RNG = np.random.default_rng(11)
DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def noise(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        values = RNG.standard_normal(shape).astype(kind)
        values.reshape(-1)[:3] = (np.nan, np.inf, -0.0)
        return values
    info = np.iinfo(kind)
    return RNG.integers(info.min, info.max, shape, kind, endpoint=True)


def save(
    path: Path, values: np.ndarray, cls: Any = nib.Nifti1Image, affine: Any = None, **header: Any
) -> None:
    """Write `values`, indexed x, y, z, ... as nibabel does."""
    image = cls(values, np.eye(4) if affine is None else affine, dtype=values.dtype)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)


def ours(values: np.ndarray) -> np.ndarray:
    """From nibabel's x, y, z[, t] to time, z, y, x."""
    return np.ascontiguousarray(values.transpose())


def open_at(root: Path, tmp_path: Path, **parameters: Any) -> Source:
    scratch = tmp_path / "scratch-of-test"
    scratch.mkdir(exist_ok=True)
    return open_source(root, None, parameters, scratch)


def whole(source: Source, timestep: int = 0) -> np.ndarray:
    dataset = source.spec.datasets[0]
    return read_box(source, dataset.fields[0], timestep, Box.of_shape(dataset.shape))


def make_plain(dtype: str) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = noise((13, 9, 7), dtype)
        save(folder / "brain.nii", values)
        return Case(folder, {"data": ours(values)})

    return make


def make_big_endian(folder: Path) -> Case:
    values = noise((6, 5, 4, 3), "i2")
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.dtype(">i2"))
    nib.save(nib.Nifti1Image(values, np.eye(4), header), folder / "big.nii")
    assert (folder / "big.nii").read_bytes()[:4] == b"\0\0\1\x5c"
    return Case(folder, {"data": ours(values)})


def make_nifti2(folder: Path) -> Case:
    values = noise((9, 8, 7, 2), "f4")
    save(folder / "two.nii", values, nib.Nifti2Image)
    return Case(folder, {"data": ours(values)})


def make_pair(folder: Path) -> Case:
    values = noise((9, 8, 7), "i2")
    save(folder / "pair.img", values, nib.Nifti1Pair)
    return Case(folder, {"data": ours(values)})


def make_analyze(folder: Path) -> Case:
    values = noise((9, 8, 7), "i2")
    save(folder / "old.img", values, nib.AnalyzeImage)
    return Case(folder, {"data": ours(values)})


def make_gz(folder: Path) -> Case:
    values = noise((31, 32, 33), "u2")
    save(folder / "brain.nii.gz", values)
    return Case(folder, {"data": ours(values)})


def make_scaled(folder: Path) -> Case:
    values = noise((9, 8, 7), "i2")
    image = nib.Nifti1Image(values, np.eye(4))
    image.header.set_slope_inter(0.0754, -12.5)
    nib.save(image, folder / "scaled.nii")
    stored = bytearray((folder / "scaled.nii").read_bytes())
    stored[352:] = ours(values).tobytes()  # nibabel scales on writing: put the samples back
    (folder / "scaled.nii").write_bytes(stored)
    expected = nib.load(folder / "scaled.nii").get_fdata().astype("f4")
    return Case(folder, {"data": ours(expected)})


def make_scaled_wide(folder: Path) -> Case:
    make_scaled(folder)
    (folder / "scaled.nii").unlink()
    values = noise((9, 8, 7), "i4")
    image = nib.Nifti1Image(values, np.eye(4), dtype="i4")
    nib.save(image, folder / "wide.nii")
    stored = bytearray((folder / "wide.nii").read_bytes())
    stored[112:120] = np.array([1.5, 3.0], "<f4").tobytes()
    (folder / "wide.nii").write_bytes(stored)
    return Case(folder, {"data": ours(nib.load(folder / "wide.nii").get_fdata())})


def make_rgb(folder: Path) -> Case:
    values = noise((9, 8, 7, 3), "u1")
    rgb = np.zeros((9, 8, 7), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for i, name in enumerate("RGB"):
        rgb[name] = values[..., i]
    nib.save(nib.Nifti1Image(rgb, np.eye(4)), folder / "rgb.nii")
    return Case(folder, {"data": np.ascontiguousarray(values.transpose(2, 1, 0, 3))})


def make_vectors(folder: Path) -> Case:
    values = noise((9, 8, 7, 1, 3), "f4")
    save(folder / "warp.nii", values, intent_code=1007)
    return Case(folder, {"data": np.ascontiguousarray(values[:, :, :, 0].transpose(2, 1, 0, 3))})


def make_many_components(folder: Path) -> Case:
    values = noise((5, 4, 3, 2, 6), "f4")
    save(folder / "tensor.nii", values)
    return Case(folder, {f"data_{i}": ours(values[..., i]) for i in range(6)})


def make_slice(folder: Path) -> Case:
    values = noise((30, 20, 1), "i2")
    save(folder / "slice.nii", values)
    return Case(folder, {"data": ours(values[:, :, 0])})


def make_slice_in_time(folder: Path) -> Case:
    values = noise((30, 20, 1, 5), "i2")
    save(folder / "slice.nii", values)
    return Case(folder, {"data": ours(values[:, :, 0])})


def make_fields(folder: Path) -> Case:
    t1, mask = noise((9, 8, 7), "i2"), noise((9, 8, 7), "u1")
    save(folder / "t1.nii", t1)
    save(folder / "mask.nii", mask)
    return Case(folder, {"mask": ours(mask), "t1": ours(t1)})


def make_series(folder: Path) -> Case:
    values = noise((9, 8, 7, 11), "i2")
    for t in range(11):
        save(folder / f"vol{t + 1}.nii", values[..., t])
    return Case(folder, {"data": ours(values)})


CASES: dict[str, Callable[[Path], Case]] = {
    **{dtype: make_plain(dtype) for dtype in DTYPES},
    "big-endian": make_big_endian,
    "nifti2": make_nifti2,
    "pair": make_pair,
    "analyze": make_analyze,
    "gz": make_gz,
    "scaled": make_scaled,
    "scaled-wide": make_scaled_wide,
    "rgb": make_rgb,
    "vectors": make_vectors,
    "six components": make_many_components,
    "slice": make_slice,
    "slice in time": make_slice_in_time,
    "fields": make_fields,
    "series": make_series,
}


class TestNifti(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


@pytest.mark.parametrize(
    "name", ["nib_example4d.nii.gz", "niivue_chris_t1.nii.gz", "nib_functional.nii"]
)
def test_samples(name: str, samples: Path, tmp_path: Path) -> None:
    path = samples / "nifti" / name
    with open_at(path, tmp_path) as source:
        dataset = source.spec.datasets[0]
        theirs = ours(np.asanyarray(nib.load(path).dataobj))
        if dataset.timesteps == 1:
            theirs = theirs[None]
        assert theirs.shape == (dataset.timesteps, *dataset.shape)
        for t in range(dataset.timesteps):
            mine = whole(source, t)
            assert np.array_equal(mine, theirs[t].astype(mine.dtype))
        zooms = nib.load(path).header.get_zooms()[:3]
        assert [a.spacing for a in reversed(dataset.axes)] == pytest.approx(zooms, rel=1e-5)


def test_functional_is_scaled_to_float32(samples: Path, tmp_path: Path) -> None:
    with open_at(samples / "nifti" / "nib_functional.nii", tmp_path) as source:
        (field,) = source.spec.datasets[0].fields
        assert field.dtype == np.dtype("f4")
        assert source.spec.datasets[0].timesteps == 20


def test_placement_and_times(tmp_path: Path) -> None:
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = (-10, 20, 5)
    image = nib.Nifti1Image(np.zeros((4, 5, 6, 3), "i2"), affine)
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 250
    image.header["toffset"] = 100
    nib.save(image, tmp_path / "a.nii")
    with open_at(tmp_path, tmp_path) as source:
        dataset = source.spec.datasets[0]
    assert [(a.name, a.spacing, a.origin, a.units) for a in dataset.axes] == [
        ("z", 4.0, 5.0, "mm"),
        ("y", 3.0, 20.0, "mm"),
        ("x", 2.0, -10.0, "mm"),
    ]
    assert (dataset.times, dataset.time_units) == ((0.1, 0.35, 0.6), "s")


def test_oblique_grid_keeps_its_affine_and_claims_no_origin(tmp_path: Path) -> None:
    turn = np.array([[0.8, -0.6, 0, 7], [0.6, 0.8, 0, 8], [0, 0, 2, 9], [0, 0, 0, 1.0]])
    save(tmp_path / "a.nii", np.zeros((4, 5, 6), "i2"), affine=turn)
    with open_at(tmp_path, tmp_path) as source:
        dataset = source.spec.datasets[0]
    assert [a.spacing for a in dataset.axes] == pytest.approx([2, 1, 1])
    assert [a.origin for a in dataset.axes] == [None] * 3
    assert np.allclose(dataset.metadata["affine"], turn)


def test_qform_is_nibabels(tmp_path: Path) -> None:
    turn = np.array([[0, -1.5, 0, 7], [2, 0, 0, 8], [0, 0, -3, 9], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(np.zeros((4, 5, 6), "i2"), None)
    image.header.set_qform(turn, 1)
    image.header.set_sform(None, 0)
    nib.save(image, tmp_path / "a.nii")
    with open_at(tmp_path, tmp_path) as source:
        mine = np.array(source.spec.datasets[0].metadata["affine"])
    assert np.allclose(mine, nib.load(tmp_path / "a.nii").affine, atol=1e-5)


def test_unlike_grids_become_datasets(tmp_path: Path) -> None:
    big, small = noise((9, 8, 7), "i2"), noise((4, 4, 4), "i2")
    save(tmp_path / "big.nii", big)
    save(tmp_path / "a_small.nii", small)
    with open_at(tmp_path, tmp_path) as source:
        assert [d.name for d in source.spec.datasets] == ["", "a_small"]
        assert np.array_equal(whole(source), ours(big))
        assert [c.parameter for c in source.spec.choices if c.chosen == "datasets"] == [
            "arrangement"
        ]


def test_parameter_changes_the_arrangement(tmp_path: Path) -> None:
    for t in range(3):
        save(tmp_path / f"v{t}.nii", noise((4, 4, 4), "i2"))
    with open_at(tmp_path, tmp_path, arrangement="fields") as source:
        assert [f.name for f in source.spec.datasets[0].fields] == ["v0", "v1", "v2"]
    with open_at(tmp_path, tmp_path, arrangement="datasets") as source:
        assert len(source.spec.datasets) == 3


def good(tmp_path: Path) -> bytearray:
    save(tmp_path / "good.nii", noise((9, 8, 7), "i2"))
    data = bytearray((tmp_path / "good.nii").read_bytes())
    (tmp_path / "good.nii").unlink()
    return data


def fails(tmp_path: Path, data: bytes, error: type[ConversionError], match: str) -> None:
    (tmp_path / "sub").mkdir(exist_ok=True)
    (tmp_path / "sub" / "bad.nii").write_bytes(data)
    with pytest.raises(error, match=match):
        open_at(tmp_path, tmp_path)


def test_truncated(tmp_path: Path) -> None:
    data = good(tmp_path)
    for length in (3, 100, 347, 352, 900, len(data) - 1):
        fails(tmp_path, bytes(data[:length]), CorruptSource, r"sub/bad\.nii")


def test_absurd_dimensions_allocate_nothing(tmp_path: Path) -> None:
    data = good(tmp_path)
    data[42:56] = np.array([32767] * 7, "<i2").tobytes()
    data[40:42] = b"\4\0"
    fails(tmp_path, bytes(data), CorruptSource, "cut short")
    data[42:44] = b"\xff\xff"
    fails(tmp_path, bytes(data), CorruptSource, "length -1")


def test_more_than_five_axes(tmp_path: Path) -> None:
    save(tmp_path / "six.nii", noise((2, 2, 2, 2, 2, 2), "i2"))
    with pytest.raises(UnsupportedLayout, match="five axes"):
        open_at(tmp_path, tmp_path)


@pytest.mark.parametrize("code", [0, 1, 32, 1536, 1792, 2048, 77])
def test_samples_that_cannot_be_shown(code: int, tmp_path: Path) -> None:
    data = good(tmp_path)
    data[70:72] = code.to_bytes(2, "little")
    fails(tmp_path, bytes(data), UnsupportedDtype, r"sub/bad\.nii")


def test_pair_without_its_image(tmp_path: Path) -> None:
    save(tmp_path / "pair.img", noise((4, 4, 4), "i2"), nib.Nifti1Pair)
    (tmp_path / "pair.img").unlink()
    with pytest.raises(MissingMember, match=r"pair\.img"):
        open_at(tmp_path, tmp_path)


def test_damaged_gz(tmp_path: Path) -> None:
    packed = gzip.compress(bytes(good(tmp_path)))
    (tmp_path / "bad.nii.gz").write_bytes(packed[:-20])
    with pytest.raises(CorruptSource, match=r"bad\.nii\.gz"):
        open_at(tmp_path, tmp_path)
