"""YCbCr whose colours lie on a coarser grid than its brightness, without JPEG compression.

Such a strip or tile is a sequence of blocks: the brightness of `across` x `down` pixels, row by
row, then one Cb and one Cr for all of them; blocks reach beyond the edges (TIFF 6.0, section 21).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile.tifffile import TIFF

MOST = 4


def subsampled_decoder(page: tifffile.TiffPage) -> Callable[..., tuple[NDArray[Any]]]:
    """A decoder of the strips or tiles of `page`, like tifffile's `TiffPage.decode`.

    Colours are repeated for all pixels of their block, as libtiff does.

    Raises
    ------
    ValueError
        The subsampling is none that TIFF allows.
    """
    across, down = page.subsampling or (2, 2)
    if across not in (1, 2, MOST) or down not in (1, 2, MOST) or page.dtype != np.uint8:
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
