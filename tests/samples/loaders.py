"""The arrays of the samples, each by the format's own library."""

from __future__ import annotations

import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the filters)
import mrcfile
import netCDF4
import nibabel
import nrrd
import numpy as np
import OpenVisus as ov  # noqa: N813
import py7zr
import pydicom
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image, ImageOps

Array = NDArray[Any]


def tiff(path: Path) -> list[Array]:
    """Pages as tifffile reads them; bits as 0 and 1; planes of colours last."""
    with tifffile.TiffFile(path) as tif:
        series = tif.series[0]
        array = series.asarray()
        if "S" in series.axes:
            array = np.moveaxis(array, series.axes.index("S"), -1)
    return [array.astype("u1") if array.dtype == bool else array]


def tiff_channels(path: Path) -> list[Array]:
    """One array for each channel of a file whose first axis is C."""
    return list(tifffile.imread(path))


def tiff_stack(folder: Path) -> list[Array]:
    """One page a file, in the order of names that are padded with zeros."""
    return [np.stack([tifffile.imread(file) for file in sorted(folder.glob("*.tif"))])]


def tiff_files(folder: Path, *names: str) -> list[Array]:
    """Files that are fields."""
    return [tifffile.imread(folder / name) for name in names]


def tiff_upside_down(path: Path) -> list[Array]:
    """As sensor TIFF RGB has it: y points up."""
    return [array[::-1] for array in tiff(path)]


def one_plane_of_set(path: Path, planes: int) -> list[Array]:
    """An OME set of two channels of which only the very first plane was uploaded."""
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0].asarray()
    first, second = (np.zeros((planes, *page.shape), page.dtype) for _ in range(2))
    first[0] = page
    return [first, second]


def picture(path: Path) -> list[Array]:
    """An image as Pillow shows it: turned as EXIF says, palettes as RGB."""
    with Image.open(path) as image:
        return [np.asarray(ImageOps.exif_transpose(image).convert("RGB"))]


def pictures(folder: Path, pattern: str) -> list[Array]:
    """Images of one size, one below the other, in the order of their names."""
    return [np.stack([picture(file)[0] for file in sorted(folder.glob(pattern))])]


def hdf5(path: Path, *names: str, series_axes: int = 0) -> list[Array]:
    """Datasets of a file; the first `series_axes` axes are time, the last of them fastest."""
    with h5py.File(path) as file:
        arrays = [file[name][()] for name in names]
    return [a.reshape(-1, *a.shape[series_axes:]) if series_axes else a for a in arrays]


def hdf5_members(path: Path, *members: tuple[str, str]) -> list[Array]:
    """Members of compound datasets; vectors last."""
    with h5py.File(path) as file:
        return [np.ascontiguousarray(file[name][()][member]) for name, member in members]


def netcdf(path: Path, *names: str, kind: str | None = None) -> list[Array]:
    """Variables as netCDF4 unpacks them, what is masked as NaN; for `kind` see `netcdf_raw`."""
    with netCDF4.Dataset(path) as data:
        data.set_always_mask(True)
        arrays = [data[name][...] for name in names]
        return [
            np.ma.filled(a.astype(kind or a.dtype), np.nan)
            if np.dtype(kind or a.dtype).kind == "f"
            else a.data
            for a in arrays
        ]


def netcdf_raw(path: Path, *names: str, kind: str | None = None, flat: int = 0) -> list[Array]:
    """Variables as stored; `kind` is how to understand their bits (for ``_Unsigned``).

    The first `flat` axes are one series over time.
    """
    with netCDF4.Dataset(path) as data:
        data.set_auto_maskandscale(False)
        arrays = [np.ascontiguousarray(data[name][...]) for name in names]
    arrays = [a.astype(a.dtype.newbyteorder("=")) for a in arrays]
    if kind is not None:
        arrays = [a.view(kind) for a in arrays]
    return [a.reshape(-1, *a.shape[flat:]) if flat else a for a in arrays]


def zarr_array(path: Path) -> list[Array]:
    """One array of a Zarr store, its last axis x."""
    return [np.asarray(zarr.open_array(path, mode="r")[...])]


def zarr_from_cxyz(path: Path) -> list[Array]:
    """An array whose axes are channel, x, y, z."""
    return [np.ascontiguousarray(zarr_array(path)[0].T)]


def nifti(path: Path) -> list[Array]:
    """Voxels as nibabel scales them: x is its first axis, time its last."""
    image: Any = nibabel.load(path)
    scaled = (image.dataobj.slope, image.dataobj.inter) != (1, 0)
    array = image.get_fdata(dtype="f4") if scaled else np.asarray(image.dataobj)
    return [np.ascontiguousarray(array.T)]


def nrrd_array(path: Path) -> list[Array]:
    """Samples as pynrrd reads them, slowest axis first."""
    return [nrrd.read(str(path), index_order="C")[0]]


def mrc(path: Path) -> list[Array]:
    with mrcfile.open(path) as file:
        return [np.array(file.data)]


def dicom_series(folder: Path) -> list[Array]:
    """Slices along the normal of their planes, rescaled."""
    slices = [pydicom.dcmread(file) for file in folder.glob("*.dcm")]
    row, column = np.reshape(slices[0].ImageOrientationPatient, (2, 3)).astype(float)
    normal = np.cross(row, column)
    slices.sort(key=lambda s: float(np.dot(normal, np.array(s.ImagePositionPatient, float))))
    assert all((s.RescaleSlope, s.RescaleIntercept) == (1, 0) for s in slices)
    return [np.stack([s.pixel_array for s in slices])]


def dicom_image(path: Path) -> list[Array]:
    return [pydicom.dcmread(path).pixel_array]


def idx(header: Path) -> list[Array]:
    """The first field of an IDX dataset, as OpenVisus reads it where it was uploaded."""
    return [ov.LoadDataset(str(header)).read()]


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """The members of an archive in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        if archive.suffix == ".7z":
            with py7zr.SevenZipFile(archive) as seven:
                seven.extractall(folder)
        elif archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(folder)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        yield Path(folder)


def in_archive(archive: Path, loader: Any, inner: str, *arguments: Any) -> Sequence[Array]:
    """What `loader` reads from the member or folder `inner`."""
    with unpacked(archive) as folder:
        return list(loader(folder / inner, *arguments))


def in_nested_archive(archive: Path, first: str, loader: Any, inner: str) -> Sequence[Array]:
    """The same, from an archive within an archive."""
    with unpacked(archive) as folder:
        return in_archive(folder / first, loader, inner)
