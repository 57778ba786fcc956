"""From the samples that a TIFF page stores to those that are shown: palettes, CMYK, YCbCr, Lab.

Gray and RGB samples stay as they are (WhiteIsZero is not inverted; the values are data).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile.tifffile import TIFF

Convert = Callable[[NDArray[Any], NDArray[Any]], None]
"""Fills (rows, columns, components) from (rows, columns, samples)."""

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
CIE_LAB, ICC_LAB = 8, 9

_COARSEST = 4
_REC601 = (0.299, 0.587, 0.114)
# sRGB from XYZ under D50 (Bradford-adapted), http://www.brucelindbloom.com
_XYZ_TO_RGB = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)
_D50 = np.array([0.96422, 1.0, 0.82521])


@dataclass(frozen=True)
class Color:
    """How pixels become samples of a field.

    Attributes
    ----------
    components : int
        Of the result.
    dtype : numpy.dtype
        Of the result.
    convert : callable or None
        None where the stored samples are the result.
    working_factor : int
        Bytes that `convert` holds for each byte of its input.
    note : str
        What was done, for the record.
    is_palette : bool
        Whether the samples are colours of a palette.
    index_rule : str
        Why the numbers of a palette are the samples; empty where they are not.
    """

    components: int
    dtype: np.dtype[Any]
    convert: Convert | None = None
    working_factor: int = 0
    note: str = ""
    index_rule: str = ""
    is_palette: bool = False


def palette_color(colormap: NDArray[np.uint16]) -> Color:
    """The RGB that indices into `colormap` (3, n) stand for.

    TIFF stores 16 bits; the upper 8 are shown. A map without any value above 255 was written with
    8 bits by mistake, and is used as it is (the rule of libtiff's ``TIFFRGBAImage``).
    """
    table = colormap.T if colormap.max(initial=0) < 256 else (colormap >> 8).T
    lut = np.ascontiguousarray(table.astype("u1"))

    def convert(pixels: NDArray[Any], out: NDArray[Any]) -> None:
        indices = pixels[..., 0]
        if indices.dtype == bool:
            indices = indices.view("u1")
        np.take(lut, indices, axis=0, out=out, mode="clip")

    note = "Palette indices were replaced by their RGB."
    return Color(3, np.dtype("u1"), convert, 4, note, is_palette=True)


def cmyk_color(dtype: np.dtype[Any], samples: int) -> Color:
    """RGB from CMYK, and the first extra sample as alpha: (1 - ink) * (1 - black), rounded."""
    top = float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0
    components = 4 if samples > 4 else 3

    def convert(pixels: NDArray[Any], out: NDArray[Any]) -> None:
        light = top - pixels[..., :4].astype("f8" if dtype.itemsize > 2 else "f4")
        rgb = light[..., :3] * light[..., 3:] / top
        out[..., :3] = np.rint(rgb) if dtype.kind == "u" else rgb
        if components == 4:
            out[..., 3] = pixels[..., 4]

    return Color(components, dtype, convert, 12, "CMYK was converted to RGB.")


def ycbcr_color(
    dtype: np.dtype[Any],
    coefficients: tuple[float, ...] = _REC601,
    reference: tuple[float, ...] = (),
) -> Color:
    """RGB from YCbCr without chroma subsampling (TIFF 6.0, section 21)."""
    red, green, blue = coefficients
    top = float(np.iinfo(dtype).max)
    half = (top + 1) / 2
    black_y, white_y, black_b, white_b, black_r, white_r = (
        reference if len(reference) == 6 else (0.0, top, half, top, half, top)
    )

    def convert(pixels: NDArray[Any], out: NDArray[Any]) -> None:
        y, cb, cr = (pixels[..., i].astype("f8") for i in range(3))
        y = (y - black_y) * top / (white_y - black_y)
        cb = (cb - black_b) * (top - half) / (white_b - black_b)
        cr = (cr - black_r) * (top - half) / (white_r - black_r)
        r = y + cr * (2 - 2 * red)
        b = y + cb * (2 - 2 * blue)
        g = (y - blue * b - red * r) / green
        for i, plane in enumerate((r, g, b)):
            out[..., i] = np.clip(np.rint(plane), 0, top)

    return Color(3, dtype, convert, 40, "YCbCr was converted to RGB.")


def lab_color(dtype: np.dtype[Any], is_icc: bool) -> Color:
    """8-bit sRGB from CIE L*a*b* (D50).

    L* spans the whole range; a* and b* are signed (CIELAB) or offset by half the range (ICCLAB).
    """
    bits = dtype.itemsize * 8

    def convert(pixels: NDArray[Any], out: NDArray[Any]) -> None:
        lightness = pixels[..., 0].astype("f8") * (100 / (2**bits - 1))
        ab = pixels[..., 1:3]
        signed = (
            ab.view(f"i{dtype.itemsize}").astype("f8") if not is_icc else ab - 2.0 ** (bits - 1)
        )
        signed = signed / 2 ** (bits - 8)
        fy = (lightness + 16) / 116
        f = np.stack([fy + signed[..., 0] / 500, fy, fy - signed[..., 1] / 200], axis=-1)
        xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _D50
        linear = np.clip(xyz @ _XYZ_TO_RGB.T, 0, 1)
        gamma = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        out[...] = np.rint(gamma * 255)

    return Color(3, np.dtype("u1"), convert, 120, "CIE L*a*b* was converted to sRGB.")


def plain_color(dtype: np.dtype[Any], components: int) -> Color:
    """The samples as they are; one bit becomes 0 or 1 of eight."""
    if dtype.kind != "b":
        return Color(components, dtype)

    def convert(pixels: NDArray[Any], out: NDArray[Any]) -> None:
        out[...] = pixels.reshape(out.shape)

    return Color(components, np.dtype("u1"), convert, 1, "Single bits became 0 and 1.")


def subsampled_decoder(page: tifffile.TiffPage) -> Callable[..., tuple[NDArray[Any]]]:
    """A decoder of strips or tiles whose colours lie on a coarser grid than their brightness.

    For pages without JPEG compression; called like tifffile's `TiffPage.decode`. A strip or tile is
    a sequence of blocks: the brightness of `across` x `down` pixels, row by row, then one Cb and
    one Cr for all of them; blocks reach beyond the edges (TIFF 6.0, section 21). Colours are
    repeated for all pixels of their block, as libtiff does.

    Raises
    ------
    ValueError
        The subsampling is none that TIFF allows.
    """
    across, down = page.subsampling or (2, 2)
    if across not in (1, 2, _COARSEST) or down not in (1, 2, _COARSEST) or page.dtype != np.uint8:
        raise ValueError(f"its colours are subsampled by {across} x {down}")
    compression, is_reversed = int(page.compression), int(page.fillorder) == 2
    height, width = int(page.imagelength), int(page.imagewidth)
    rows = int(page.tilelength) if page.is_tiled else int(page.rowsperstrip)
    columns = int(page.tilewidth) if page.is_tiled else width

    def decode(data: bytes, index: int, **_: Any) -> tuple[NDArray[Any]]:
        first = 0 if page.is_tiled else index * rows
        count = rows if page.is_tiled else min(rows, height - first)
        blocks = (math.ceil(count / down), math.ceil(columns / across))
        size = math.prod(blocks) * (across * down + 2)
        if is_reversed:
            data = bytes(imagecodecs.bitorder_decode(data))
        if compression != 1:
            data = TIFF.DECOMPRESSORS[compression](data, out=size)
        if len(data) < size:
            raise ValueError(f"it holds {len(data)} of {size} bytes")
        samples = np.frombuffer(data, np.uint8, size).reshape(*blocks, across * down + 2)
        pixels = np.empty((blocks[0] * down, blocks[1] * across, 3), np.uint8)
        bright = samples[..., :-2].reshape(*blocks, down, across).transpose(0, 2, 1, 3)
        pixels[..., 0] = bright.reshape(pixels.shape[:2])
        for i in (1, 2):
            colors = samples[..., i - 3]
            pixels[..., i] = colors.repeat(down, axis=0).repeat(across, axis=1)
        return (pixels[np.newaxis, :count, :columns],)

    return decode
