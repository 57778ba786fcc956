"""Formats that are known by their first bytes and not read: so that a refusal can name them.

Magics are those of the formats' own documents and of ``file(1)``. A reader that is certain of a
file is never asked against.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class ForeignFormat:
    """A format that is not read, and what can be done about it."""

    name: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Magic:
    """The bytes `magic` at `offset`; where `suffixes` are given, the name has to end so as well."""

    magic: bytes
    format: ForeignFormat
    offset: int = 0
    suffixes: tuple[str, ...] = ()


_GDAL = "Convert it to GeoTIFF (gdal_translate), and upload that."
_BIOFORMATS = "Convert it to OME-TIFF or OME-Zarr (Bio-Formats' bfconvert or bioformats2raw)."
_NETCDF = "Convert it to NetCDF (cdo -f nc4 copy, or grib_to_netcdf), and upload that."
_ARRAYS = "Save the arrays as HDF5, NetCDF, Zarr or NumPy, and upload these."
_GRID = "Sample it on a grid, and upload that as NRRD, MetaImage, NetCDF or HDF5."
_PICTURES = "Export the pictures as TIFF or PNG, and upload these."
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")


def _named(name: str, remedy: str) -> ForeignFormat:
    return ForeignFormat(name, remedy)


_MAGICS = (
    _Magic(b"BUFR", _named("BUFR", _NETCDF)),
    _Magic(b"EHFA_HEADER_TAG", _named("ERDAS Imagine", _GDAL)),
    _Magic(b"HEAD74", _named("ERDAS 7.4", _GDAL)),
    _Magic(b"HDF5-BP", _named("ADIOS2", _ARRAYS)),
    _Magic(b"ADIOS-BP", _named("ADIOS2 (BP)", _ARRAYS)),
    _Magic(b"MATLAB 5.0 MAT-file", _named("MATLAB 5", "Save it with '-v7.3', which is HDF5.")),
    _Magic(b"ZISRAWFILE", _named("Zeiss CZI", _BIOFORMATS)),
    _Magic(b"\xda\xce\xbe\x0a", _named("Nikon ND2", _BIOFORMATS)),
    _Magic(b"OLYMPUSRAWFORMAT", _named("Olympus OIR", _BIOFORMATS)),
    _Magic(_OLE, _named("Olympus OIB", _BIOFORMATS), 0, (".oib",)),
    _Magic(_OLE, _named("Zeiss ZVI", _BIOFORMATS), 0, (".zvi",)),
    _Magic(b"II\x97\x01", _named("FEI SER", _BIOFORMATS), 0, (".ser",)),
    _Magic(b"imaris", _named("an older Imaris", _BIOFORMATS), 0, (".ims",)),
    _Magic(b"\\*File list", _named("Bruker SPM", _ARRAYS)),
    _Magic(b"# vtk DataFile", _named("VTK", _GRID)),
    _Magic(b"<VTKFile", _named("VTK (XML)", _GRID)),
    _Magic(b"# AmiraMesh", _named("Amira", _GRID)),
    _Magic(b"# Avizo", _named("Avizo", _GRID)),
    _Magic(b"# HyperSurface", _named("Amira (surface)", _GRID)),
    _Magic(b"ASTM-E57", _named("E57 (points)", _GRID)),
    _Magic(b"LASF", _named("LAS (points)", _GRID)),
    _Magic(b"ply\n", _named("PLY (a mesh)", _GRID)),
    _Magic(b"ply\r\n", _named("PLY (a mesh)", _GRID)),
    _Magic(b"glTF", _named("glTF (a mesh)", _GRID)),
    _Magic(b"PAR1", _named("Parquet", _ARRAYS)),
    _Magic(b"ARROW1", _named("Arrow", _ARRAYS)),
    _Magic(b"root", _named("ROOT", _ARRAYS), 0, (".root",)),
    _Magic(b"SQLite format 3\0", _named("an SQLite database", _ARRAYS)),
    _Magic(b"v/1\x01", _named("OpenEXR", _PICTURES)),
    _Magic(b"SDPX", _named("DPX", _PICTURES)),
    _Magic(b"XPDS", _named("DPX", _PICTURES)),
    _Magic(b"8BPS", _named("Photoshop", _PICTURES)),
    _Magic(b"GIF8", _named("GIF", _PICTURES)),
    _Magic(b"BM", _named("BMP", _PICTURES), 0, (".bmp",)),
    _Magic(b"AVI LIST", _named("AVI video", _PICTURES), 8),
    _Magic(b"ftyp", _named("MP4 or QuickTime video", _PICTURES), 4),
    _Magic(b"\x1aE\xdf\xa3", _named("Matroska or WebM video", _PICTURES)),
    _Magic(b"%PDF-", _named("PDF", _PICTURES)),
)  # fmt: skip


def foreign_format(name: str, head: bytes) -> ForeignFormat | None:
    """The format that a file called `name` is of, if it is one that is known and not read."""
    suffix = PurePosixPath(name).suffix.lower()
    for known in _MAGICS:
        if head.startswith(known.magic, known.offset) and (
            not known.suffixes or suffix in known.suffixes
        ):
            return known.format
    return None
