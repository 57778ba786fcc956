"""Zarr of both formats, written with zarr-python: plain arrays, OME-Zarr, named dimensions."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs

from scientistcloud.readers.base import Concurrency
from tests.readers.contract import Case, SourceContract, same
from tests.readers.opening import (
    assert_choices_round_trip,
    chosen,
    error_of,
    numbers,
    opened,
    whole,
)

DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


def put(path: Path, values: np.ndarray, version: int = 3, **how: Any) -> zarr.Array:
    made = zarr.create_array(
        path, shape=values.shape, dtype=values.dtype, zarr_format=version, **how
    )
    made[...] = values
    return made


def group(path: Path, attributes: dict[str, Any], version: int = 3) -> None:
    zarr.create_group(path, zarr_format=version).attrs.update(attributes)


def _dtypes(version: int) -> Callable[[Path], dict[str, np.ndarray]]:
    def make(root: Path) -> dict[str, np.ndarray]:
        fields = {f"a_{d}": numbers((5, 6, 7), d) for d in DTYPES}
        group(root / "s.zarr", {}, version)
        for name, values in fields.items():
            put(root / "s.zarr" / name, values, version, chunks=(2, 6, 3))
        main = max(sorted(fields), key=lambda name: fields[name].nbytes)
        return {main: fields[main]} | dict(sorted(fields.items()))

    make.__name__ = f"dtypes_{version}"
    return make


def array_alone(root: Path) -> dict[str, np.ndarray]:
    values = numbers((9, 10), "u2")
    put(root / "s.zarr", values, 2, chunks=(4, 4), order="F", filters=[numcodecs.Delta("u2")])
    return {"s.zarr": values}


def sharded(root: Path) -> dict[str, np.ndarray]:
    values = numbers((20, 33, 17), "u2")
    put(root / "s", values, chunks=(4, 8, 8), shards=(8, 16, 16))
    return {"s": values}


def codecs(root: Path) -> dict[str, np.ndarray]:
    values = numbers((20, 33), "i4")
    group(root / "s", {})
    names = {
        "blosc": zarr.codecs.BloscCodec(),
        "gzip": zarr.codecs.GzipCodec(),
        "zstd": zarr.codecs.ZstdCodec(),
    }
    for name, codec in names.items():
        put(root / "s" / name, values, chunks=(8, 8), compressors=codec)
    turned = zarr.codecs.TransposeCodec(order=(1, 0))
    put(root / "s" / "zzz", values, chunks=(8, 8), filters=turned)
    return dict.fromkeys([*names, "zzz"], values)


def big_endian(root: Path) -> dict[str, np.ndarray]:
    values = numbers((9, 10), "f4")
    put(root / "s", values.astype(">f4"), 2, chunks=(4, 4))
    return {"s": values}


def booleans(root: Path) -> dict[str, np.ndarray]:
    values = numbers((9, 10), "u1") > 100
    put(root / "s", values)
    return {"s": values.astype("u1")}


def absent_chunks(root: Path) -> dict[str, np.ndarray]:
    values = np.full((8, 8), 5, "u1")
    values[:4, :4] = 1
    made = zarr.create_array(root / "s", shape=(8, 8), dtype="u1", chunks=(4, 4), fill_value=5)
    made[:4, :4] = 1
    return {"s": values}


def four_axes(root: Path) -> dict[str, np.ndarray]:
    values = numbers((3, 4, 5, 6), "u1")
    put(root / "s", values, chunks=(1, 2, 5, 6))
    return {"s": values}


def named_dimensions(root: Path) -> dict[str, np.ndarray]:
    """As xarray writes: a time with units, a packed variable, another of the same grid."""
    packed = numbers((3, 4, 5), "i2") // 2
    group(root / "s", {"title": "demo"})
    dims = ["time", "y", "x"]
    made = put(root / "s" / "t", packed, dimension_names=dims)
    made.attrs.update({"scale_factor": 0.5, "add_offset": 1.0, "units": "K"})
    other = numbers((3, 4, 5), "f4")
    other[0, 0, 0] = np.nan
    put(root / "s" / "u", other, dimension_names=dims)
    time = put(root / "s" / "time", np.array([0, 1, 2], "i8"), dimension_names=["time"])
    time.attrs.update({"units": "days since 2001-01-01", "calendar": "standard"})
    return {"t": packed * 0.5 + 1.0, "u": other}


def ome(version: str) -> Callable[[Path], dict[str, np.ndarray]]:
    def make(root: Path) -> dict[str, np.ndarray]:
        values = numbers((2, 3, 4, 8, 10), "u2")
        form = 3 if version == "0.5" else 2
        scales = [[1.5, 1, 2.0, 0.5, 0.25], [1.5, 1, 2.0, 1.0, 0.5]]
        multiscale = {
            "version": version,
            "axes": [
                {"name": "t", "type": "time", "unit": "second"},
                {"name": "c", "type": "channel"},
                *({"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"),
            ],
            "datasets": [
                {"path": str(i), "coordinateTransformations": [{"type": "scale", "scale": s}]}
                for i, s in enumerate(scales)
            ],
        }
        labels = ["DAPI", "GFP", "RFP"]
        about = {
            "multiscales": [multiscale],
            "omero": {"channels": [{"label": label} for label in labels]},
        }
        group(root / "i.zarr", {"ome": about} if form == 3 else about, form)
        put(root / "i.zarr" / "0", values, form, chunks=(1, 1, 2, 8, 10))
        put(root / "i.zarr" / "1", values[..., ::2, ::2], form)
        return {label: values[:, i] for i, label in enumerate(labels)}

    make.__name__ = f"ome_{version}"
    return make


CASES = (
    _dtypes(2), _dtypes(3), array_alone, sharded, codecs, big_endian, booleans, absent_chunks,
    four_axes, named_dimensions, ome("0.4"), ome("0.5"),
)  # fmt: skip


class TestZarr(SourceContract):
    boxes = 8

    @pytest.fixture(params=CASES, ids=lambda make: make.__name__)
    def case(self, request: pytest.FixtureRequest, root: Path) -> Case:
        return Case(root, request.param(root))

    def test_choices_can_be_passed_back(self, case: Case) -> None:
        assert_choices_round_trip(case.root, case.parameters, case.sensor)


class TestOme:
    def test_axes_times_and_resolution(self, root: Path) -> None:
        ome("0.5")(root)
        with opened(root) as source:
            main = source.spec.datasets[0]
            assert source.spec.format == "OME-Zarr"
            assert [(a.name, a.spacing, a.units) for a in main.axes] == [
                ("z", 2.0, "micrometer"),
                ("y", 0.5, "micrometer"),
                ("x", 0.25, "micrometer"),
            ]
            assert main.times == (0.0, 1.5)
            assert chosen(source, "dataset") == "0"
            assert source.concurrency is Concurrency.THREADS
        with opened(root, {"dataset": "1"}) as source:
            assert source.spec.datasets[0].shape == (4, 4, 5)

    def test_axes_named_against_their_order(self, root: Path) -> None:
        """WebKnossos stores x before y before z, and says so."""
        values = numbers((4, 5, 6), "u1")
        axes = [{"name": n, "type": "space"} for n in "xyz"]
        multiscale = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
        group(root / "i", {"multiscales": [multiscale]}, 2)
        put(root / "i" / "0", values, 2, chunks=(2, 2, 2))
        with opened(root) as source:
            assert [a.name for a in source.spec.datasets[0].axes] == ["z", "y", "x"]
            assert same(whole(source), values.transpose())

    def test_several_images(self, root: Path) -> None:
        group(root / "i", {"bioformats2raw.layout": 3}, 2)
        for i in range(2):
            axes = [{"name": n, "type": "space"} for n in "yx"]
            multiscale = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
            group(root / "i" / str(i), {"multiscales": [multiscale]}, 2)
            put(root / "i" / str(i) / "0", np.full((4, 5 + i), i + 1, "u1"), 2)
        with opened(root) as source:
            assert [(d.name, d.shape) for d in source.spec.datasets] == [
                ("", (4, 5)),
                ("1", (4, 6)),
            ]

    def test_damaged_metadata(self, root: Path) -> None:
        put(root / "i" / "0", np.ones((4, 5), "u1"), 2)
        for bad in ({"multiscales": [{}]}, {"multiscales": 7}, {"multiscales": [{"datasets": 1}]}):
            group(root / "i", bad, 2)
            assert error_of(root).code == "CorruptSource"
            shutil.rmtree(root / "i" / ".zgroup", ignore_errors=True)
            (root / "i" / ".zgroup").unlink()
            (root / "i" / ".zattrs").unlink()


class TestChoice:
    def test_largest_array(self, root: Path) -> None:
        big = numbers((9, 10), "u1")
        group(root / "s", {})
        put(root / "s" / "big", big)
        put(root / "s" / "deep" / "small", np.ones((3, 3)))
        with opened(root) as source:
            assert same(whole(source), big)
            assert source.spec.choices[0].alternatives == ("deep/small",)
        with opened(root, {"dataset": "deep/small,big"}) as source:
            assert [d.shape for d in source.spec.datasets] == [(3, 3), (9, 10)]
        assert "deep/small" in error_of(root, {"dataset": "none"}).remedy

    def test_times_of_named_dimensions(self, root: Path) -> None:
        named_dimensions(root)
        with opened(root) as source:
            main = source.spec.datasets[0]
            assert main.times[1] == "2001-01-02T00:00:00"
            assert main.fields[0].units == "K"
            assert source.spec.metadata["attributes"]["/"]["title"] == "demo"


class TestReal:
    def test_webknossos(self, samples: Path) -> None:
        """Stored as (c, x, y, z), one chunk of 32 to the edge; the channels are a colour."""
        folder = samples / "zarr" / "wk_simple_zarr2"
        raw = np.fromfile(folder / "color" / "1-1-1" / "0.0.0.0", "u1").reshape(3, 32, 32, 32)
        with opened(folder) as source:
            assert same(whole(source), raw[:, :24, :24, :24].transpose(3, 2, 1, 0))

    def test_nczarr_in_a_zip(self, samples: Path) -> None:
        with opened(samples / "zarr" / "ncc_oldkeys.zarr.zip") as source:
            assert source.spec.datasets[0].fields[0].name == "v"
            assert same(whole(source), np.arange(48, dtype="i4").reshape(2, 4, 6))
