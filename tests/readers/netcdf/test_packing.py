"""Packed and missing values of NetCDF, against netCDF4 itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from tests.readers.contract import same
from tests.readers.netcdf.test_netcdf import create
from tests.readers.opening import numbers, opened, whole


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


def as_netcdf4_reads(path: Path, name: str) -> np.ndarray:
    """The values with NaN where they are missing (floats), or as stored (integers)."""
    with netCDF4.Dataset(path) as file:
        values = file[name][:]
    if values.dtype.kind == "f":
        return np.ma.filled(values, np.nan)
    return np.ma.getdata(values)


def write_packed(path: Path, dtype: str, stored: Any, **attributes: Any) -> None:
    stored = np.asarray(stored)
    fill = attributes.pop("_FillValue", None)
    with create(path, y=stored.shape[0], x=stored.shape[1]) as file:
        made = file.createVariable("a", dtype, ("y", "x"), fill_value=fill)
        made.set_auto_maskandscale(False)
        made[:] = stored
        made.setncatts(attributes)


PACKED: dict[str, tuple[str, dict[str, Any], str]] = {
    "float-of-short": ("i2", {"scale_factor": np.float32(0.1), "add_offset": np.float32(5)}, "f4"),
    "double-of-short": ("i2", {"scale_factor": 0.1, "add_offset": 5.0}, "f8"),
    "scale-alone": ("u1", {"scale_factor": np.float32(0.5)}, "f4"),
    "offset-alone": ("i1", {"add_offset": 0.25}, "f8"),
    "int-needs-double": ("i4", {"scale_factor": np.float32(0.1)}, "f8"),
    "fill": ("i2", {"scale_factor": 0.1, "_FillValue": np.int16(3)}, "f8"),
    "missing": ("i2", {"scale_factor": 0.1, "missing_value": np.array([3, 4], "i2")}, "f8"),
    "unsigned": ("i1", {"scale_factor": 0.1, "_Unsigned": "true", "_FillValue": np.int8(-1)}, "f8"),
    "range": ("i2", {"scale_factor": 0.1, "valid_range": np.array([-5, 40], "i2")}, "f8"),
    "minimum": ("i2", {"scale_factor": 0.1, "valid_min": np.int16(0)}, "f8"),
}


@pytest.mark.parametrize("name", PACKED)
def test_packed_as_netcdf4_unpacks(root: Path, name: str) -> None:
    dtype, attributes, result = PACKED[name]
    # 255 and -127 are left out: netCDF4 takes them for missing even where no attribute says so.
    stored = np.arange(-100, 100).reshape(10, 20).clip(0 if dtype == "u1" else None).astype(dtype)
    write_packed(root / "a.nc", dtype, stored, **attributes)
    expected = as_netcdf4_reads(root / "a.nc", "a").astype(result)
    with opened(root) as source:
        got = whole(source)
        assert got.dtype == np.dtype(result)
        assert same(got, expected)
    missing = {"_FillValue", "missing_value", "valid_range", "valid_min"} & set(attributes)
    assert bool(np.isnan(expected).any()) == bool(missing)


def test_range_of_unsigned_samples_is_given_as_signed(root: Path) -> None:
    """As GOES-R has it: -6 means 250."""
    stored = np.arange(-10, 10, dtype="i1").reshape(4, 5)
    ends = np.array([3, -6], "i1")
    write_packed(root / "a.nc", "i1", stored, _Unsigned="true", scale_factor=0.5, valid_range=ends)
    values = stored.view("u1").astype("f8")
    values[(values < 3) | (values > 250)] = np.nan
    with opened(root) as source:
        assert same(whole(source), values * 0.5)


@pytest.mark.parametrize("dtype", ["i1", "u1"])
def test_every_byte_is_a_value(root: Path, dtype: str) -> None:
    stored = np.arange(256).astype("u1").view(dtype).reshape(16, 16)
    write_packed(root / "a.nc", dtype, stored, scale_factor=2.0)
    with opened(root) as source:
        assert same(whole(source), stored * 2.0)


@pytest.mark.parametrize(
    ("attributes", "fill"),
    [
        ({}, None),
        ({"_FillValue": np.int16(-1)}, -1),
        ({"missing_value": np.int16(7)}, 7),
        ({"_Unsigned": "true", "_FillValue": np.int16(-1)}, 65535),
    ],
)
def test_integers_that_are_not_packed_stay(
    root: Path, attributes: dict[str, Any], fill: Any
) -> None:
    stored = np.arange(-100, 100).reshape(10, 20).astype("i2")
    write_packed(root / "a.nc", "i2", stored, **attributes)
    with opened(root) as source:
        field = source.spec.datasets[0].fields[0]
        assert field.fill_value == fill
        expected = stored.view("u2") if "_Unsigned" in attributes else stored
        assert same(whole(source), expected)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_missing_floats_become_nan(root: Path, dtype: str) -> None:
    values = numbers((6, 7), dtype)
    values[0, 0] = 1e20
    values[1, 1] = np.nan
    values[2, 2] = np.inf
    write_packed(root / "a.nc", dtype, values, _FillValue=np.dtype(dtype).type(1e20))
    with opened(root) as source:
        got = whole(source)
        values[0, 0] = np.nan
        assert same(got, values)


def test_never_written_floats_become_nan(root: Path) -> None:
    with create(root / "a.nc", "NETCDF3_CLASSIC", y=2, x=3) as file:
        file.createVariable("a", "f4", ("y", "x"))[0] = 1
    with opened(root) as source:
        assert same(whole(source), np.array([[1] * 3, [np.nan] * 3], "f4"))
