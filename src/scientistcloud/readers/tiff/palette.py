"""Palettes: of a picture, whose colours are shown; of labels or grays, whose numbers are the data.

1. The parameter ``samples`` (``indices``, ``colours``) tells.
2. A palette of grays in order (all of red = green = blue, up or down) only says how bright the
   numbers are shown: they stay.
3. The numbers of a GeoTIFF are classes of something: they stay.
4. Colours that jump from number to number, in an image whose neighbours are mostly of one number,
   are labels: they stay. Else it is a picture.

What stays has its colours in the metadata.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from scientistcloud.readers.tiff.color import Color, palette_color, plain_color

INDICES, COLOURS = "indices", "colours"
_LEAST_JUMP = 48
_LEAST_EQUAL = 0.6
_MOST_PIXELS = 1 << 26
_MAX_COLOURS = 4096


def indexed_color(page: tifffile.TiffPage, dtype: np.dtype[Any], wanted: str) -> Color:
    """How the numbers of a page with a palette become samples, by the rules of this module."""
    colours = np.asarray(page.colormap)
    rule = _rule(page, colours, wanted)
    if not rule:
        return palette_color(colours)
    plain = plain_color(dtype, 1)
    note = f"The numbers of a palette were kept: {rule}. Its colours are in the metadata."
    return Color(1, plain.dtype, plain.convert, plain.working_factor, note, rule)


def colour_list(page: Any) -> list[list[int]] | None:
    """The 8-bit red, green and blue of each number up to the last that has a colour."""
    if page.colormap is None:
        return None
    table = _as_bytes(np.asarray(page.colormap))
    used = np.flatnonzero(table.any(axis=1))
    last = int(used[-1]) + 1 if used.size else 1
    return [[int(v) for v in row] for row in table[: min(last, _MAX_COLOURS)]]


def _rule(page: tifffile.TiffPage, colours: NDArray[Any], wanted: str) -> str:
    """Why the numbers are the data; empty where the colours are."""
    if wanted in (INDICES, COLOURS):
        return "the parameter samples" if wanted == INDICES else ""
    table = _as_bytes(colours).astype(np.int16)
    if (table == table[:, :1]).all():
        steps = np.diff(table[:, 0])
        return "it is a ramp of grays" if (steps >= 0).all() or (steps <= 0).all() else ""
    if page.is_geotiff or page.is_gdal:
        return "the numbers of a GeoTIFF are classes"
    if page.bitspersample < 8 or _jump(table) < _LEAST_JUMP:
        return ""
    return "neighbours are mostly equal, so they are labels" if _is_even(page) else ""


def _as_bytes(colours: NDArray[Any]) -> NDArray[np.uint8]:
    table = colours.T if colours.max(initial=0) < 256 else (colours >> 8).T
    return np.ascontiguousarray(table.astype("u1"))


def _jump(table: NDArray[np.int16]) -> float:
    """How far apart the colours of numbers in a row are, the three differences together."""
    used = np.flatnonzero(table.any(axis=1))
    steps = np.abs(np.diff(table[: int(used[-1]) + 1 if used.size else 1], axis=0)).sum(axis=1)
    return float(steps.mean()) if steps.size else 0.0


def _is_even(page: tifffile.TiffPage) -> bool:
    """Whether most pixels are of the number of their neighbour, and there are several numbers."""
    if page.size > _MOST_PIXELS:
        return False
    try:
        pixels = np.asarray(page.asarray()).reshape(-1, int(page.imagewidth))
    except Exception:  # said when it is read
        return False
    equal = float((pixels[:, 1:] == pixels[:, :-1]).mean()) if pixels.shape[1] > 1 else 0.0
    return equal >= _LEAST_EQUAL and bool((pixels != pixels.flat[0]).any())
