"""Pages of TIFF files: where their strips and tiles lie, and reading a part of one.

A page is read strip by strip or tile by tile, only those that a box touches; pages that are stored
as plain numbers, row by row, are read from the file straight into the caller's array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import ConversionError, CorruptSource, ResourceLimit, UnsupportedLayout
from scientistcloud.readers.files.open_files import FilePool

Span = tuple[int, int]
"""Half-open range of rows or columns."""

_BAND_BYTES = 1 << 20
# A call to read a part of a row costs about as much as to read this much of it.
_LONG_ROW_BYTES = 1 << 16
_JPEG = frozenset({6, 7, 34892, 33007})
_OLD_JPEG, _NEW_JPEG = 6, 7
_END_OF_JPEG = b"\xff\xd9"


@dataclass(frozen=True)
class PageFormat:
    """What pages have in common that are stored alike; made by `tiff.keyframe`.

    Attributes
    ----------
    shape : tuple of int
        (separate samples, depth, rows, columns, interleaved samples), as tifffile's `shaped`.
    dtype : numpy.dtype
        Of the decoded samples, in the machine's byte order.
    stored : numpy.dtype or None
        Of the samples in the file where they are plain numbers (not compressed, predicted, packed
        or tiled); else None.
    segment : tuple of int
        (depth, rows, columns) of a strip or tile.
    decode : callable
        tifffile's decoder of one strip or tile.
    fill : number
        What strips that are not stored stand for.
    """

    shape: tuple[int, int, int, int, int]
    dtype: np.dtype[Any]
    stored: np.dtype[Any] | None
    segment: tuple[int, int, int]
    is_tiled: bool
    compression: int
    decode: Callable[..., Any]
    jpeg_header: bytes | None = None
    fill: float | int = 0

    @property
    def segments(self) -> int:
        """How many strips or tiles a page has."""
        samples, depth, rows, columns, _ = self.shape
        d, r, c = self.segment
        across = math.ceil(columns / c) if self.is_tiled else 1
        return samples * math.ceil(depth / d) * math.ceil(rows / r) * across

    @property
    def row_bytes(self) -> int:
        """Bytes of one decoded row."""
        return self.shape[3] * self.shape[4] * self.dtype.itemsize

    @property
    def plane_bytes(self) -> int:
        """Bytes of one (sample, depth) plane."""
        return self.row_bytes * self.shape[2]

    @property
    def page_bytes(self) -> int:
        """Bytes of a decoded page."""
        return self.plane_bytes * self.shape[0] * self.shape[1]

    @property
    def segment_bytes(self) -> int:
        """Bytes of one decoded strip or tile."""
        return math.prod(self.segment) * self.shape[4] * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Segments:
    """Offsets and sizes in bytes of a page's strips or tiles."""

    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]
    jpeg_tables: bytes | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of one file.

    Attributes
    ----------
    start : int or None
        Where the plain numbers of a page begin that lie in one piece; None for all others.
    segments : callable or None
        Gives the page's strips or tiles; None only where `start` tells all.
    """

    path: Path
    format: PageFormat
    start: int | None = None
    segments: Callable[[], Segments] | None = None


class PageReader:
    """Reads parts of pages; any number of threads may."""

    def __init__(self, pool: FilePool) -> None:
        self._pool = pool

    def read(
        self, page: Page, sample: int, depth: int, rows: Span, columns: Span, out: NDArray[Any]
    ) -> None:
        """Fill `out` with a part of one plane.

        Parameters
        ----------
        sample, depth : int
            Which of the separate samples and of the planes of a deep page.
        out : ndarray
            Shape (rows, columns, interleaved samples), of the page's decoded dtype; may be a view.

        Raises
        ------
        CorruptSource
            A strip or tile lies outside the file or cannot be decoded.
        """
        if page.format.stored is not None:
            for start, first, last in self._plain_runs(page, sample, depth, rows):
                target = out[first - rows[0] : last - rows[0]]
                if start < 0:
                    target[...] = page.format.fill
                else:
                    self._read_plain(page, start, last - first, columns, target)
            return
        segments = self._segments(page)
        for index, r, c in self._touched(page.format, sample, depth, rows, columns):
            tile = self._decode(page, segments, index)
            lo_r, hi_r = max(rows[0], r), min(rows[1], r + page.format.segment[1])
            lo_c, hi_c = max(columns[0], c), min(columns[1], c + page.format.segment[2])
            target = out[lo_r - rows[0] : hi_r - rows[0], lo_c - columns[0] : hi_c - columns[0]]
            if tile is None:
                target[...] = page.format.fill
                continue
            d = depth % page.format.segment[0]
            part = tile[d, lo_r - r : hi_r - r, lo_c - c : hi_c - c]
            if part.shape != target.shape:
                raise self._corrupt(page, f"strip or tile {index} is smaller than its place")
            target[...] = part

    def _plain_runs(
        self, page: Page, sample: int, depth: int, rows: Span
    ) -> Iterator[tuple[int, int, int]]:
        """Yield (offset in the file or -1 where nothing is stored, first row, last row + 1)."""
        layout = page.format
        if page.start is not None:
            plane = sample * layout.shape[1] + depth
            start = page.start + plane * layout.plane_bytes + rows[0] * layout.row_bytes
            yield start, rows[0], rows[1]
            return
        segments = self._segments(page)
        height = layout.segment[1]
        for index, r, _ in self._touched(layout, sample, depth, rows, (0, layout.shape[3])):
            first, last = max(rows[0], r), min(rows[1], r + height)
            offset, count = int(segments.offsets[index]), int(segments.counts[index])
            if offset == 0 and count == 0:
                yield -1, first, last
                continue
            if count < (last - r) * layout.row_bytes:
                raise self._corrupt(page, f"strip {index} is too short")
            yield offset + (first - r) * layout.row_bytes, first, last

    def _read_plain(
        self, page: Page, start: int, rows: int, columns: Span, out: NDArray[Any]
    ) -> None:
        """Read `rows` rows of plain numbers, the first of which begins at `start`."""
        layout = page.format
        assert layout.stored is not None
        pixel = layout.stored.itemsize * layout.shape[4]
        row_bytes, width = layout.row_bytes, (columns[1] - columns[0]) * pixel
        if width == row_bytes and out.flags.c_contiguous:
            self._pool.read_into(page.path, start, out)
            if not layout.stored.isnative:
                out.byteswap(inplace=True)
            return
        if width * 4 < row_bytes and row_bytes > _LONG_ROW_BYTES:
            step, span, skip = 1, width, columns[0] * pixel
        else:
            step, span, skip = max(1, _BAND_BYTES // row_bytes), row_bytes, 0
        left = columns[0] * pixel - skip
        for first in range(0, rows, step):
            count = min(step, rows - first)
            # The last row is read no further than it is needed.
            size = (count - 1) * row_bytes + (span if span == width else left + width)
            buffer = np.zeros(count * max(span, row_bytes if count > 1 else span), "u1")
            self._pool.read_into(page.path, start + first * row_bytes + skip, buffer[:size])
            band = buffer.reshape(count, -1)[:, left : left + width]
            out[first : first + count] = (
                np.ascontiguousarray(band).view(layout.stored).reshape(count, -1, layout.shape[4])
            )

    def _touched(
        self, layout: PageFormat, sample: int, depth: int, rows: Span, columns: Span
    ) -> Iterator[tuple[int, int, int]]:
        """Yield (index, first row, first column) of the strips or tiles that a box touches."""
        _, depths, height, width, _ = layout.shape
        d, r, c = layout.segment
        down = math.ceil(height / r)
        across = math.ceil(width / c) if layout.is_tiled else 1
        base = (sample * math.ceil(depths / d) + depth // d) * down * across
        for i in range(rows[0] // r, math.ceil(rows[1] / r)):
            if not layout.is_tiled:
                yield base + i, i * r, 0
                continue
            for j in range(columns[0] // c, math.ceil(columns[1] / c)):
                yield base + i * across + j, i * r, j * c

    def _decode(self, page: Page, segments: Segments, index: int) -> NDArray[Any] | None:
        """One strip or tile as (depth, rows, columns, samples); None where it is not stored."""
        offset, count = int(segments.offsets[index]), int(segments.counts[index])
        if offset == 0 and count == 0:
            return None
        if offset <= 0 or count <= 0:
            raise self._corrupt(page, f"strip or tile {index} has no place in the file")
        data = self._pool.read(page.path, offset, count)
        options: dict[str, Any] = {}
        if page.format.compression in _JPEG:
            options = {"jpegtables": segments.jpeg_tables, "jpegheader": page.format.jpeg_header}
            is_whole = page.format.compression == _NEW_JPEG and page.format.jpeg_header is None
            if is_whole and _END_OF_JPEG not in data[-64:]:
                raise self._corrupt(page, f"strip or tile {index} ends before its picture does")
        try:
            decoded = page.format.decode(data, index, **options)[0]
        except ConversionError:
            raise
        except MemoryError as error:
            raise ResourceLimit(
                f"{self._pool.name(page.path)}: strip or tile {index} does not fit into memory."
            ) from error
        except Exception as error:  # imagecodecs has an error class for each codec
            if page.format.compression == _OLD_JPEG:
                raise UnsupportedLayout(
                    f"{self._pool.name(page.path)} uses the JPEG of TIFF before 1995, of which "
                    "only some kinds can be decoded.",
                    remedy="Save it again with another compression.",
                ) from error
            raise self._corrupt(page, f"strip or tile {index}: {error}") from error
        return np.asarray(decoded)

    def _segments(self, page: Page) -> Segments:
        assert page.segments is not None
        segments = page.segments()
        expected = page.format.segments
        if min(len(segments.offsets), len(segments.counts)) < expected:
            raise self._corrupt(
                page, f"it lists {len(segments.offsets)} of its {expected} strips or tiles"
            )
        return segments

    def _corrupt(self, page: Page, what: str) -> CorruptSource:
        text = what.strip().splitlines()[0] if what.strip() else "it cannot be decoded"
        return CorruptSource(f"{self._pool.name(page.path)} is damaged: {text[:200]}.")
