"""What the formats' own libraries read from a damaged upload: arrays, or nothing."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import mrcfile
import netCDF4
import nibabel
import nrrd
import numpy as np
import pydicom
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image, ImageOps

Array = NDArray[Any]


def read_tiff(path: Path) -> Iterator[Array]:
    """Series as they are, in parts of their channels, and with colours last."""
    with tifffile.TiffFile(path) as tif:
        for series in tif.series[:8]:
            array, axes = series.asarray(), series.axes
            page: Any = series.keyframe
            if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
                array = (page.colormap >> 8).astype("u1").T[array]
            if "S" in axes and array.ndim == len(axes):
                array = np.moveaxis(array, axes.index("S"), -1)
                yield from np.moveaxis(array, -1, 0)
            yield array
            yield from array
            if "C" in axes and array.ndim == len(axes):
                yield from np.moveaxis(array, axes.index("C"), 0)
        yield from (page.asarray() for page in list(tif.pages)[:64])


def read_image(path: Path) -> Iterator[Array]:
    with Image.open(path) as image:
        turned = ImageOps.exif_transpose(image)
        yield np.asarray(turned)
        yield np.asarray(turned.convert("RGB"))
        yield np.asarray(turned.convert("RGBA"))[..., :3]


def read_hdf5(path: Path) -> Iterator[Array]:
    names: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda n, o: names.append(n) if isinstance(o, h5py.Dataset) else None)
        for name in names:
            if file[name].nbytes < 1 << 28:
                array = np.asarray(file[name][()])
                yield from [array[m] for m in array.dtype.names or ()] or [array]


def read_netcdf(path: Path) -> Iterator[Array]:
    for unpacked in (True, False):
        with netCDF4.Dataset(path) as data:
            data.set_auto_maskandscale(unpacked)
            data.set_always_mask(False)
            for variable in data.variables.values():
                if variable.size < 1 << 26:
                    array = variable[...]
                    for kind in ("f4", "f8") if unpacked and array.dtype.kind in "iuf" else ():
                        yield np.ma.filled(array.astype(kind), np.nan)
                    yield np.asarray(array)


def read_packed_netcdf(path: Path) -> Iterator[Array]:
    with netCDF4.Dataset("memory", memory=gzip.decompress(path.read_bytes())) as data:
        for variable in data.variables.values():
            array = variable[...]
            yield from (np.ma.filled(array.astype(kind), np.nan) for kind in ("f4", "f8"))


def read_zarr(path: Path) -> Iterator[Array]:
    for place in (path, path / "0"):
        try:
            yield np.asarray(zarr.open_array(place, mode="r")[...])
        except (ValueError, KeyError, OSError, TypeError):
            continue


def read_nifti(path: Path) -> Iterator[Array]:
    image: Any = nibabel.load(path)
    yield np.asarray(image.dataobj.get_unscaled()).T
    yield image.get_fdata(dtype="f4").T
    yield image.get_fdata(dtype="f8").T


def read_dicom(folder: Path) -> Iterator[Array]:
    slices = [pydicom.dcmread(file) for file in sorted(folder.glob("*.dcm"))]
    for chosen in (slices, *([s] for s in slices)):
        pixels = np.stack([s.pixel_array for s in chosen])
        yield pixels
        yield pixels[::-1]
        slope = float(chosen[0].get("RescaleSlope", 1))
        yield (pixels * slope + float(chosen[0].get("RescaleIntercept", 0))).astype("f4")


def read_npz(path: Path) -> Iterator[Array]:
    with np.load(path) as arrays:
        yield from arrays.values()


def read_raw(path: Path) -> Iterator[Array]:
    yield np.fromfile(path.with_suffix(".raw"), "i2")


def read_zip(path: Path) -> Iterator[Array]:
    with zipfile.ZipFile(path) as packed:
        for name in packed.namelist():
            yield np.load(io.BytesIO(packed.read(name)))


def alone(read: Callable[[Path], Array]) -> Callable[[Path], Iterator[Array]]:
    """`read` gives one array."""

    def arrays(path: Path) -> Iterator[Array]:
        yield read(path)

    return arrays


BY_SUFFIX: dict[str, Callable[[Path], Iterator[Array]]] = {
    ".tif": read_tiff,
    ".png": read_image,
    ".jpg": read_image,
    ".webp": read_image,
    ".bmp": read_image,
    ".jp2": read_image,
    ".h5": read_hdf5,
    ".nxs": read_hdf5,
    ".nc": read_netcdf,
    ".cdf": read_netcdf,
    ".nc.gz": read_packed_netcdf,
    ".zarr": read_zarr,
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".nrrd": alone(lambda path: nrrd.read(str(path), index_order="C")[0]),
    ".nhdr": alone(lambda path: nrrd.read(str(path), index_order="C")[0]),
    ".mrc": alone(lambda path: np.array(mrcfile.read(path))),
    ".map": alone(lambda path: np.array(mrcfile.read(path))),
    ".npy": alone(np.load),
    ".npz": read_npz,
    ".mhd": read_raw,
    ".zip": read_zip,
}


def arrays_of(upload: Path) -> Iterator[Array]:
    """Every array that the libraries find, in every arrangement that a conversion may choose."""
    if next(upload.rglob("*.dcm"), None):
        yield from read_dicom(upload)
        return
    found: list[list[Array]] = []
    for path in sorted(upload.iterdir()):
        read = BY_SUFFIX.get("".join(path.suffixes[-2:])) or BY_SUFFIX.get(path.suffix)
        if read is not None:
            arrays = list(read(path))
            found.append(arrays[:1])
            yield from arrays
    pages = [arrays[0] for arrays in found if arrays]
    if len(pages) > 1 and len({page.shape for page in pages}) == 1:
        yield np.stack(pages)


def agrees(made: Array, upload: Path) -> str:
    """Whether a field that was made is one of the arrays of `upload`.

    Returns
    -------
    str
        ``right``, ``wrong`` (as many samples, other values), ``unlike`` (no array of so many
        samples) or ``unread`` (the libraries cannot read it).
    """
    sizes = False
    got = made.ravel()
    try:
        for array in arrays_of(upload):
            if array.size != got.size or array.dtype.kind not in "biuf":
                continue
            sizes = True
            wanted = array.ravel()
            if np.array_equal(wanted, got, equal_nan=got.dtype.kind == "f" == wanted.dtype.kind):
                return "right"
            if got.dtype.kind == "f" and np.allclose(wanted, got, rtol=3e-7, equal_nan=True):
                return "right"
    except Exception as error:
        # Whatever a foreign library makes of a damaged file is no finding about ours.
        return "wrong" if sizes and not isinstance(error, MemoryError) else "unread"
    return "wrong" if sizes else "unlike"
