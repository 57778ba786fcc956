"""Samples as bytes in the forms that clients ask for."""

from __future__ import annotations

import io
from typing import Any

import imagecodecs
import lz4.block
import numpy as np
import tifffile
from isal import igzip_lib, isal_zlib
from numpy.typing import NDArray

from scientistcloud.refusals import BadRequest

ZLIB, LZ4, RAW = "zip", "lz4", ""
FORMATS = {
    "raw": "application/octet-stream",
    "npy": "application/octet-stream",
    "tiff": "image/tiff",
    "netcdf": "application/x-netcdf",
    "png": "image/png",
    "webp": "image/webp",
    "jpeg": "image/jpeg",
}
PICTURES = ("png", "webp", "jpeg")
_FASTEST = 1


def raw_bytes(samples: NDArray[Any]) -> bytes:
    """Little-endian, the last axis fastest."""
    return np.ascontiguousarray(samples, samples.dtype.newbyteorder("<")).tobytes()


def compress(data: bytes, compression: str) -> bytes:
    """In one of the compressions of OpenVisus: ``zip`` (zlib), ``lz4`` (a block) or none."""
    if compression == ZLIB:
        return isal_zlib.compress(data, _FASTEST)
    if compression == LZ4:
        return bytes(lz4.block.compress(data, store_size=False))
    return data


def gzip(data: bytes) -> bytes:
    """A gzip stream, as Zarr's codec of that name has it."""
    return igzip_lib.compress(data, _FASTEST, flag=igzip_lib.COMP_GZIP)


def npy_bytes(samples: NDArray[Any]) -> bytes:
    """A file of NumPy's own format."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(samples), allow_pickle=False)
    return file.getvalue()


def tiff_bytes(samples: NDArray[Any], components: int) -> bytes:
    """A TIFF file: pages of rows and columns."""
    file = io.BytesIO()
    photometric = "rgb" if components in (3, 4) else "minisblack"
    if components in (3, 4) or components == 1:
        tifffile.imwrite(file, samples, photometric=photometric, compression="zlib")
        return file.getvalue()
    raise BadRequest(f"A TIFF of {components} components is not offered.")


def picture_bytes(colors: NDArray[np.uint8], form: str, quality: int = 85) -> bytes:
    """Rows and columns of RGB or RGBA bytes as PNG, WebP or JPEG."""
    colors = np.ascontiguousarray(colors)
    if form == "png":
        return bytes(imagecodecs.png_encode(colors, level=_FASTEST))
    if form == "webp":
        return bytes(imagecodecs.webp_encode(colors, level=quality))
    if form == "jpeg":
        return bytes(imagecodecs.jpeg_encode(colors[..., :3], level=quality))
    raise BadRequest(f"The format {form!r} is none of {', '.join(FORMATS)}.")
