"""Places and times from the file to xarray and to the Python reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
import xarray as xr
from netCDF4 import Dataset as NetCdf

import scientistcloud
from scientistcloud.idx.headers.header import IdxHeader, load_header
from tests.readers.dicom.test_dicom import save


def converted(source: Path, tmp_path: Path) -> tuple[xr.Dataset, xr.Dataset, IdxHeader]:
    """By the engine, by the Python reader, and the header."""
    target = tmp_path / "result"
    scientistcloud.convert(source, target)
    with scientistcloud.open(target) as dataset:
        lazy = dataset.to_xarray()
    path = target / "visus.idx"
    return xr.open_dataset(path, engine="idx"), lazy, load_header(path)


def netcdf(path: Path, units: str, times: list[float], **attributes: str) -> None:
    with NetCdf(path, "w") as file:
        for name, values in (
            ("time", times), ("lat", np.linspace(70, 50, 6)), ("lon", np.linspace(0, 35, 8)),
        ):  # fmt: skip
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
        file["time"].setncatts({"units": units, **attributes})
        file["lat"].units, file["lon"].units = "degrees_north", "degrees_east"
        data = file.createVariable("t2m", "f4", ("time", "lat", "lon"))
        data[:] = np.arange(len(times) * 48).reshape(len(times), 6, 8)


def test_latitudes_that_descend_and_dates(tmp_path: Path) -> None:
    netcdf(tmp_path / "a.nc", "hours since 1990-01-01", [0, 6, 12])
    for found in converted(tmp_path / "a.nc", tmp_path)[:2]:
        assert np.allclose(found["lat"], np.linspace(70, 50, 6))
        assert np.allclose(found["lon"], np.linspace(0, 35, 8))
        assert found["lat"].attrs["units"] == "degrees_north"
        expected = np.array(["1990-01-01T00", "1990-01-01T06", "1990-01-01T12"], "M8[ns]")
        assert np.array_equal(found["time"], expected)
        assert float(found["t2m"].sel(lat=70, lon=35, time="1990-01-01T06")) == 55
    header = load_header(tmp_path / "result" / "visus.idx")
    assert np.allclose(header.matrix, [[5, 0, 0], [0, -4, 70], [0, 0, 1]])


def test_seconds_of_a_netcdf_without_a_date(tmp_path: Path) -> None:
    netcdf(tmp_path / "a.nc", "ms", [0, 100, 350], axis="T")
    for found in converted(tmp_path / "a.nc", tmp_path)[:2]:
        assert np.array_equal(found["time"], [0, 0.1, 0.35])
        assert found["time"].attrs == {"units": "s"}


def test_an_axis_without_a_spacing_has_no_coordinates(tmp_path: Path) -> None:
    with NetCdf(tmp_path / "a.nc", "w") as file:
        for name, values in (("level", [1, 10, 500]), ("y", [0, 2, 4, 6]), ("x", [3, 4, 5, 6, 7])):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
            file[name].units = "hPa" if name == "level" else "mm"
        file.createVariable("v", "f4", ("level", "y", "x"))[:] = 1
    engine, lazy, header = converted(tmp_path / "a.nc", tmp_path)
    for found in (engine, lazy):
        assert "level" not in found.coords
        assert np.array_equal(found["y"], [0, 2, 4, 6])
        assert np.array_equal(found["x"], [3, 4, 5, 6, 7])
    assert header.axis_units == ("index", "mm", "mm")


def test_a_geotiff_runs_from_north_to_south(tmp_path: Path) -> None:
    values = np.arange(80, dtype="u2").reshape(8, 10)
    tags = [
        (33550, "d", 3, (0.5, 0.25, 0.0), True),
        (33922, "d", 6, (0.0, 0, 0, 100, 50, 0), True),
        (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326), True),
    ]
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=tags)
    engine, lazy, _ = converted(tmp_path / "a.tif", tmp_path)
    for found in (engine, lazy):
        assert np.allclose(found["latitude"], 49.875 - 0.25 * np.arange(8))
        assert np.allclose(found["longitude"], 100.25 + 0.5 * np.arange(10))
        assert (
            int(found["data" if "data" in found else next(iter(found))].isel(latitude=2)[3]) == 23
        )


@pytest.mark.parametrize("units", ["msec", "sec"])
def test_times_of_nifti_are_seconds(units: str, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((6, 5, 4, 3), "i2"), np.diag([2, 2, 2, 1.0]))
    image.header.set_xyzt_units("mm", units)
    image.header["pixdim"][4] = 2000 if units == "msec" else 2
    nibabel.save(image, tmp_path / "a.nii")
    for found in converted(tmp_path / "a.nii", tmp_path)[:2]:
        assert np.array_equal(found["time"], [0, 2, 4])
        assert found["time"].attrs == {"units": "s"}


def turned() -> np.ndarray:
    """Turned about z by 30 degrees, spacings 1, 2 and 3, moved."""
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag([1, 2, 3])
    affine[:3, 3] = 7, 8, 9
    return affine


def write_nifti(path: Path, affine: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((6, 5, 4), "i2"), affine), path)


def write_itk(path: Path, affine: np.ndarray) -> None:
    image = SimpleITK.GetImageFromArray(np.zeros((4, 5, 6), "i2"))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing([float(v) for v in spacing])
    image.SetOrigin([float(v) for v in affine[:3, 3]])
    image.SetDirection([float(v) for v in (affine[:3, :3] / spacing).ravel()])
    SimpleITK.WriteImage(image, str(path))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("name", ["a.nii", "a.nrrd", "a.mha"])
def test_matrices_of_volumes_are_in_the_header(name: str, mirrored: bool, tmp_path: Path) -> None:
    affine = np.diag([-1.0, 2, -3, 1]) if mirrored else turned()
    affine[:3, 3] = 7, 8, 9
    writer = write_nifti if name == "a.nii" else write_itk
    writer(tmp_path / name, affine)
    engine, lazy, header = converted(tmp_path / name, tmp_path)
    assert np.allclose(header.matrix, affine, atol=1e-5)
    for found in (engine, lazy):
        if mirrored:
            assert np.allclose(found["x"], 7 - np.arange(6))
            assert np.allclose(found["z"], 9 - 3 * np.arange(4))
        else:
            assert np.allclose(found["y"], 2 * np.arange(5), atol=1e-5)


def test_an_upright_volume_keeps_a_box(tmp_path: Path) -> None:
    affine = np.diag([1.0, 2, 3, 1])
    affine[:3, 3] = 7, 8, 9
    write_nifti(tmp_path / "a.nii", affine)
    _, _, header = converted(tmp_path / "a.nii", tmp_path)
    assert header.physic_box == ((9, 21), (8, 18), (7, 13))
    assert header.matrix == ()


def test_a_series_of_dicom_times(tmp_path: Path) -> None:
    folder = tmp_path / "upload"
    folder.mkdir()
    for t in range(3):
        for z in range(2):
            elements: dict[str, Any] = {"AcquisitionNumber": t, "AcquisitionTime": f"12000{t}.5"}
            save(folder / f"{t}{z}.dcm", np.full((4, 5), t, "u2"), float(z), **elements)
    for found in converted(folder, tmp_path)[:2]:
        assert np.array_equal(found["time"], [0, 1, 2])
        assert found["time"].attrs == {"units": "s"}


def test_times_of_the_python_reader(tmp_path: Path) -> None:
    netcdf(tmp_path / "a.nc", "days since 2001-01-01", [0, 1])
    scientistcloud.convert(tmp_path / "a.nc", tmp_path / "result")
    with scientistcloud.open(tmp_path / "result") as dataset:
        assert dataset.times is not None
        assert [str(t)[:10] for t in dataset.times] == ["2001-01-01", "2001-01-02"]
        assert dataset.time_units is None
