"""Small valid inputs of every format, each written by the format's own library."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import imagecodecs
import mrcfile
import netCDF4
import nibabel
import nrrd
import numpy as np
import py7zr
import pydicom
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image

RNG = np.random.default_rng(11)


def ramp(*shape: int, dtype: str = "u2") -> NDArray[Any]:
    """Smooth with noise, so that codecs have something to do and no two slices are alike."""
    count = int(np.prod(shape))
    values = np.arange(count) % 251 + RNG.integers(0, 5, count)
    return values.reshape(shape).astype(dtype)


def make_tiff(folder: Path) -> None:
    write = tifffile.imwrite
    kinds: dict[str, tuple[NDArray[Any], dict[str, Any]]] = {
        "plain": (ramp(24, 40, dtype="u1"), {"metadata": None}),
        "stack": (ramp(5, 20, 30), {"metadata": None, "compression": "zlib", "predictor": True}),
        "tiled": (
            ramp(64, 80, dtype="f4"),
            {"metadata": None, "tile": (32, 32), "compression": "lzw"},
        ),
        "big": (ramp(3, 20, 30, dtype="i4"), {"bigtiff": True, "byteorder": ">"}),
        "imagej": (ramp(2, 3, 2, 16, 18), {"imagej": True, "metadata": {"axes": "TZCYX"}}),
        "rgb": (ramp(20, 30, 3, dtype="u1"), {"photometric": "rgb", "compression": "packbits"}),
        "planar": (
            ramp(3, 20, 30, dtype="u1"),
            {"photometric": "rgb", "planarconfig": "separate"},
        ),
        "zstd": (ramp(30, 30, dtype="f8"), {"metadata": None, "compression": "zstd"}),
        "jpeg": (ramp(48, 48, dtype="u1"), {"metadata": None, "compression": "jpeg"}),
        "palette": (
            ramp(20, 20, dtype="u1"),
            {
                "metadata": None,
                "photometric": "palette",
                "colormap": ramp(3, 256, dtype="u2") * 256,
            },
        ),
    }
    for name, (array, options) in kinds.items():
        (folder / name).mkdir()
        write(folder / name / f"{name}.tif", array, **options)
    (folder / "ome").mkdir()
    write(
        folder / "ome" / "a.ome.tif",
        ramp(2, 3, 16, 18),
        metadata={"axes": "CZYX"},
        photometric="minisblack",
    )
    (folder / "pyramid").mkdir()
    with tifffile.TiffWriter(folder / "pyramid" / "p.tif") as tif:
        full = ramp(64, 64)
        tif.write(full, subifds=1, tile=(16, 16))
        tif.write(full[::2, ::2], subfiletype=1, tile=(16, 16))
    (folder / "series").mkdir()
    for number in range(3):
        write(folder / "series" / f"s_{number:03d}.tif", ramp(12, 14), metadata=None)


def make_image(folder: Path) -> None:
    gray, color = ramp(40, 50, dtype="u1"), ramp(40, 50, 3, dtype="u1")
    options: dict[str, Any]
    for name, array, options in (
        ("gray.png", gray, {}),
        ("color.png", color, {}),
        ("gray.jpg", gray, {}),
        ("color.jpg", color, {"progressive": True}),
        ("color.webp", color, {"lossless": True}),
        ("color.bmp", color, {}),
    ):
        (folder / name).mkdir()
        Image.fromarray(array).save(folder / name / name, **options)
    (folder / "deep.png").mkdir()
    (folder / "deep.png" / "deep.png").write_bytes(imagecodecs.png_encode(ramp(30, 40)))
    (folder / "gray.jp2").mkdir()
    (folder / "gray.jp2" / "gray.jp2").write_bytes(
        imagecodecs.jpeg2k_encode(ramp(32, 32, dtype="u1"), reversible=True, level=0)
    )
    (folder / "palette.png").mkdir()
    Image.fromarray(color).quantize(16).save(folder / "palette.png" / "palette.png")


def make_hdf5(folder: Path) -> None:
    options: dict[str, dict[str, Any]] = {
        "contiguous": {},
        "chunked": {"chunks": (2, 8, 8), "compression": "gzip", "shuffle": True},
        "checked": {"chunks": (4, 16, 16), "fletcher32": True, "compression": "lzf"},
        "blosc": {"chunks": (4, 16, 16), **hdf5plugin.Blosc2()},
        "bitshuffle": {"chunks": (4, 16, 16), **hdf5plugin.Bitshuffle()},
    }
    for name, each in options.items():
        (folder / name).mkdir()
        with h5py.File(folder / name / f"{name}.h5", "w") as file:
            file.create_dataset("volume", data=ramp(6, 20, 24), **each)
    (folder / "latest").mkdir()
    with h5py.File(folder / "latest" / "l.h5", "w", libver="latest") as file:
        file.create_dataset(
            "g/a", data=ramp(9, 10, 12, dtype="f4"), maxshape=(None, 10, 12), chunks=(1, 10, 12)
        )
    (folder / "compound").mkdir()
    with h5py.File(folder / "compound" / "c.h5", "w") as file:
        records = np.zeros((12, 14), [("a", "<i4"), ("b", "<f8")])
        records["a"], records["b"] = ramp(12, 14), ramp(12, 14)
        file["table"] = records
    (folder / "nexus").mkdir()
    with h5py.File(folder / "nexus" / "n.nxs", "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        data = entry.create_group("data")
        data.attrs.update(NX_class="NXdata", signal="counts", axes=["y", "x"])
        data["counts"], data["y"], data["x"] = ramp(16, 20, dtype="i4"), np.arange(16), range(20)


def make_netcdf(folder: Path) -> None:
    for kind in ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF4", "NETCDF4_CLASSIC"):
        (folder / kind).mkdir()
        path = folder / kind / "a.nc"
        with netCDF4.Dataset(path, "w", format=kind) as file:
            for name, length in (("time", None), ("lat", 12), ("lon", 16)):
                file.createDimension(name, length)
                variable = file.createVariable(name, "f8", (name,))
                variable[:] = np.arange(length or 4)
                variable.units = "days since 2000-01-01" if name == "time" else f"degrees_{name}"
            packed = file.createVariable("packed", "i2", ("time", "lat", "lon"), fill_value=-99)
            packed.scale_factor, packed.add_offset = 0.5, 10.0
            packed[:] = ramp(4, 12, 16)
            plain = file.createVariable("plain", "f4", ("time", "lat", "lon"))
            plain[:] = ramp(4, 12, 16)
    (folder / "gz").mkdir()
    packed_bytes = (folder / "NETCDF3_CLASSIC" / "a.nc").read_bytes()
    (folder / "gz" / "a.nc.gz").write_bytes(gzip.compress(packed_bytes))


def make_zarr(folder: Path) -> None:
    for version in (2, 3):
        root = folder / f"v{version}" / "a.zarr"
        array = zarr.create_array(
            store=str(root), shape=(6, 16, 16), chunks=(3, 8, 8), dtype="u2", zarr_format=version
        )
        array[...] = ramp(6, 16, 16)
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    scales = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    levels = [{"path": "0", "coordinateTransformations": scales}]
    image: dict[str, Any] = {"axes": axes, "version": "0.4", "datasets": levels}
    old: dict[str, Any] = {"multiscales": [image]}
    new: dict[str, Any] = {"ome": {"version": "0.5", "multiscales": [image]}}
    for attributes, kind in ((old, 2), (new, 3)):
        open_group: Any = zarr.open_group
        group = open_group(str(folder / f"ome{kind}" / "a.zarr"), mode="w", zarr_format=kind)
        group.attrs.update(attributes)
        group.create_array("0", data=ramp(4, 12, 12), chunks=(2, 12, 12))
    (folder / "zipped").mkdir()
    inner = folder / "v2" / "a.zarr"
    with zipfile.ZipFile(folder / "zipped" / "a.zarr.zip", "w") as packed:
        for file in sorted(p for p in inner.rglob("*") if p.is_file()):
            packed.write(file, str(file.relative_to(inner)))


def make_volumes(folder: Path) -> None:
    for name in ("nii", "niigz", "nrrd", "nrrdgz", "nhdr", "mrc", "npy", "npz", "mhd"):
        (folder / name).mkdir()
    values = ramp(10, 12, 14, dtype="i2")
    make_image: Any = nibabel.Nifti1Image
    image = make_image(values.T, np.eye(4))
    nibabel.save(image, folder / "nii" / "a.nii")
    nibabel.save(image, folder / "niigz" / "a.nii.gz")
    nrrd.write(str(folder / "nrrd" / "a.nrrd"), values, {"encoding": "raw"}, index_order="C")
    nrrd.write(str(folder / "nrrdgz" / "a.nrrd"), values, {"encoding": "gzip"}, index_order="C")
    nrrd.write(str(folder / "nhdr" / "a.nhdr"), values, {"encoding": "raw"}, index_order="C")
    with mrcfile.new(folder / "mrc" / "a.mrc") as file:
        file.set_data(values.astype("f4"))
    np.save(folder / "npy" / "a.npy", values)
    np.savez_compressed(folder / "npz" / "a.npz", first=values, second=values + 1)
    values.tofile(folder / "mhd" / "a.raw")
    (folder / "mhd" / "a.mhd").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 14 12 10\nElementType = MET_SHORT\n"
        "ElementByteOrderMSB = False\nElementSpacing = 1 1 2\nElementDataFile = a.raw\n"
    )


def make_dicom(folder: Path) -> None:
    for name, syntax in (("plain", "1.2.840.10008.1.2.1"), ("rle", "1.2.840.10008.1.2.5")):
        (folder / name).mkdir()
        for number in range(3):
            data = pydicom.Dataset()
            data.file_meta = pydicom.dataset.FileMetaDataset()
            data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
            data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", f"1.2.{number + 1}"
            data.SeriesInstanceUID, data.Modality, data.InstanceNumber = "1.2.9", "MR", number + 1
            data.ImagePositionPatient = [0, 0, float(number)]
            data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            data.PixelSpacing = [1, 1]
            pixels = ramp(16, 18, dtype="u2")
            data.Rows, data.Columns, data.SamplesPerPixel = 16, 18, 1
            data.PhotometricInterpretation = "MONOCHROME2"
            data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
            data.PixelRepresentation = 0
            data.PixelData = pixels.tobytes()
            if name == "rle":
                data.compress(syntax, pixels)
            data.save_as(folder / name / f"{number}.dcm", enforce_file_format=True)


def make_idx(folder: Path) -> None:
    """A dataset of one raw block: 64 x 32 samples of 16 bits."""
    (folder / "idx" / "a").mkdir(parents=True)
    header = (
        "(version)\n6\n(box)\n0 63 0 31\n(fields)\ndata uint16 default_layout(row_major) "
        "default_value(0) min(0) max(0)\n(bits)\nV01010101010\n(bitsperblock)\n11\n"
        "(blocksperfile)\n1\n(interleave block)\n0\n(filename_template)\n./a/%04x.bin\n"
    )
    (folder / "idx" / "a.idx").write_text(header)
    block = ramp(32, 64).tobytes()
    entry = np.array([0, 0, 80, 0, len(block), 0x10, 0, 0, 0, 0], ">u4").tobytes()
    (folder / "idx" / "a" / "0000.bin").write_bytes(bytes(40) + entry + block)


def make_archive(folder: Path) -> None:
    files = {f"in/s_{n:02d}.npy": ramp(10, 12) for n in range(1)}
    blobs = {}
    for name, array in files.items():
        memory = io.BytesIO()
        np.save(memory, array)
        blobs[name] = memory.getvalue()
    for name in ("zip", "stored", "7z", "tgz", "tbz", "gz"):
        (folder / name).mkdir()
    for name, method in (("zip", zipfile.ZIP_DEFLATED), ("stored", zipfile.ZIP_STORED)):
        with zipfile.ZipFile(folder / name / "a.zip", "w", method) as packed:
            for member, blob in blobs.items():
                packed.writestr(member, blob)
    with py7zr.SevenZipFile(folder / "7z" / "a.7z", "w") as seven:
        for member, blob in blobs.items():
            seven.writestr(blob, member)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for member, blob in blobs.items():
            info = tarfile.TarInfo(member)
            info.size = len(blob)
            tar.addfile(info, io.BytesIO(blob))
    (folder / "tgz" / "a.tar.gz").write_bytes(gzip.compress(plain.getvalue()))
    (folder / "tbz" / "a.tar.bz2").write_bytes(bz2.compress(plain.getvalue()))
    (folder / "gz" / "a.npy.gz").write_bytes(gzip.compress(next(iter(blobs.values()))))


MAKERS: dict[str, Callable[[Path], None]] = {
    "tiff": make_tiff,
    "image": make_image,
    "hdf5": make_hdf5,
    "netcdf": make_netcdf,
    "zarr": make_zarr,
    "volumes": make_volumes,
    "dicom": make_dicom,
    "idx": make_idx,
    "archive": make_archive,
}

SAMPLES = (
    "tiff/pil_16bit_MM_deflate.tif",
    "tiff/ij_stack.tif",
    "hdf5/nx_simple3d.h5",
    "hdf5/nx_example.nxs",
    "hdf5/rs_4dstem.h5",
    "hdf5/h5_vds4_set",
    "netcdf/geocat_941110_P.cdf",
    "netcdf/ncc_64bit_offset.nc",
    "netcdf/geocat_meteo_1d.nc",
    "nrrd/py_4d.nrrd",
    "nifti/nib_functional.nii",
    "mrc/emd_3197.map",
    "drone/odm_tiny.jpg",
    "archive/made_leica.tar.gz",
    "archive/made_nested.zip",
    "zarr/ncc_oldkeys.zarr.zip",
)


def make_originals(folder: Path, samples: Path) -> dict[str, Path]:
    """``format/kind`` -> folder of an upload; those of real files where `samples` is there."""
    made: dict[str, Path] = {}
    for name, maker in MAKERS.items():
        (folder / name).mkdir(parents=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            maker(folder / name)
        made |= {f"{name}/{kind.name}": kind for kind in sorted((folder / name).iterdir())}
    for sample in SAMPLES:
        if (samples / sample).exists():
            made[f"sample-{sample}"] = samples / sample
    return made


def files_of(upload: Path) -> dict[str, bytes]:
    """Relative name -> content."""
    if upload.is_file():
        return {upload.name: upload.read_bytes()}
    return {
        str(file.relative_to(upload)): file.read_bytes()
        for file in sorted(upload.rglob("*"))
        if file.is_file()
    }
