"""Planes of TIFF pages as they are shown: the pixels of `tiff.pages` through `tiff.color`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.readers.planes.source import Span
from scientistcloud.readers.tiff.keyframe import Keyframe
from scientistcloud.readers.tiff.pages import Page, PageReader

_BAND_BYTES = 1 << 20
_MOST_ROWS_BYTES = 1 << 18
# What decoders hold for each byte of the decoded strip or tile, its bytes in the file included:
# OpenJPEG and libjxl work on samples of 32 bits.
_DECODER_FACTOR = {33003: 10.0, 33004: 10.0, 33005: 10.0, 34712: 10.0, 50001: 4.0,
                   50002: 12.0, 52546: 12.0}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TiffPlane:
    """One plane of a page, or of a page that is missing.

    Attributes
    ----------
    depth : int
        Which plane of a deep page.
    band : int
        Which sample, where each is a field of its own.
    """

    reader: PageReader
    keyframe: Keyframe
    page: Page | None
    depth: int = 0
    band: int = 0

    def read(self, rows: Span, columns: Span, out: NDArray[Any]) -> None:
        """Fill `out`, of shape (rows, columns, components)."""
        if self.page is None:
            out[...] = 0
            return
        convert = self.keyframe.color.convert
        layout = self.page.format
        interleaved = layout.shape[4]
        if convert is None and not (self.keyframe.bands > 1 and interleaved > 1):
            self._fill(self.page, rows, columns, out)
            return
        step = self._band_rows(columns)
        for first in range(rows[0] - rows[0] % step, rows[1], step):
            lo, hi = max(rows[0], first), min(rows[1], first + step)
            target = out[lo - rows[0] : hi - rows[0]]
            samples = interleaved if self.keyframe.bands > 1 else interleaved * layout.shape[0]
            pixels = np.empty((hi - lo, columns[1] - columns[0], samples), layout.dtype)
            self._fill(self.page, (lo, hi), columns, pixels)
            if self.keyframe.bands > 1 and interleaved > 1:
                pixels = pixels[..., self.band : self.band + 1]
            if convert is None:
                target[...] = pixels
            else:
                convert(pixels, target)

    def _fill(self, page: Page, rows: Span, columns: Span, out: NDArray[Any]) -> None:
        separate = page.format.shape[0]
        if separate == 1:
            self.reader.read(page, 0, self.depth, rows, columns, out)
        elif self.keyframe.bands > 1:
            self.reader.read(page, self.band, self.depth, rows, columns, out)
        else:
            for sample in range(separate):
                self.reader.read(
                    page, sample, self.depth, rows, columns, out[..., sample : sample + 1]
                )

    def _band_rows(self, columns: Span) -> int:
        return band_rows(self.keyframe, columns[1] - columns[0])


def band_rows(keyframe: Keyframe, width: int) -> int:
    """Rows that are converted at a time: whole strips or tiles, about 1 MiB of them."""
    layout = keyframe.format
    height = 1 if layout.stored is not None else layout.segment[1]
    row_bytes = max(1, width * layout.shape[0] * layout.shape[4] * layout.dtype.itemsize)
    return height * max(1, _BAND_BYTES // (height * row_bytes))


def working_bytes(keyframe: Keyframe) -> int:
    """What reading any box of one plane holds beside the result, at most.

    A decoded strip or tile, its bytes in the file (that may be a little more than decoded where
    compression gains nothing), and the rows that are being converted.
    """
    layout = keyframe.format
    row_bytes = layout.row_bytes * layout.shape[0]
    rows = min(layout.shape[2], band_rows(keyframe, layout.shape[3]))
    bands = row_bytes * rows if _needs_band(keyframe) else 0
    converted = bands * keyframe.color.working_factor
    if layout.stored is not None:
        return bands + converted + _BAND_BYTES + layout.row_bytes
    decoder = _DECODER_FACTOR.get(layout.compression, 1.5)
    return bands + converted + int(layout.segment_bytes * (1 + decoder)) + _MOST_ROWS_BYTES


def native_chunks(keyframe: Keyframe) -> tuple[int, int]:
    """Rows and columns that are decoded together."""
    layout = keyframe.format
    if layout.stored is not None:
        return (1, 1)
    _, rows, columns = layout.segment
    return (min(rows, layout.shape[2]), min(columns, layout.shape[3]))


def _needs_band(keyframe: Keyframe) -> bool:
    return keyframe.color.convert is not None or (
        keyframe.bands > 1 and keyframe.format.shape[4] > 1
    )
