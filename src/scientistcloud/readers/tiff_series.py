"""The series of pages that one TIFF file holds.

A file whose pages are all alike and that no instrument's conventions claim is read by `tiff_ifd`
alone, which takes microseconds a page; tifffile explains all others.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource, UnlikeSlices
from scientistcloud.readers import tiff_ifd as ifd
from scientistcloud.readers.files import FilePool
from scientistcloud.readers.tiff_ifd import Directory, TiffBytes, TiffHeader
from scientistcloud.readers.tiff_keyframe import (
    Keyframe,
    read_keyframe,
    tifffile_open,
    translated,
)
from scientistcloud.readers.tiff_pages import Page, PageFormat, Segments

_INSTRUMENTS = ("lsm", "fluoview", "stk", "sis", "svs", "scn", "qpi", "ndpi", "bif", "avs",
                "eer", "philips", "scanimage", "nih", "mdgel")  # fmt: skip
_SLIDES = frozenset({"svs", "scn", "qpi", "ndpi", "bif", "avs", "philips", "sis"})
_REDUCED_OR_MASK = 0b101
_CACHED_SEGMENTS = 64


@dataclass(frozen=True)
class Series:
    """Pages that make up one array.

    Attributes
    ----------
    axes, shape : str, tuple of int
        The axes along which planes are counted (no Y, X, S), slowest first.
    pages : sequence of Page or None
        In that order; None where a file is missing. A page of several planes counts them fastest.
    channels : tuple of str
        Names for the C axis, if known.
    spacing : Mapping
        Step and unit by axis (X, Y, Z, T), as far as known.
    """

    path: Path
    kind: str
    axes: str
    shape: tuple[int, ...]
    keyframe: Keyframe
    pages: Sequence[Page | None]
    name: str = ""
    notes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    spacing: Mapping[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def planes(self) -> int:
        """How many (rows, columns) planes there are."""
        return math.prod(self.shape)


class TiffScanner:
    """Finds the series in files; remembers what files of one kind have in common.

    Parameters
    ----------
    as_components : bool
        See `read_keyframe`.
    """

    def __init__(self, pool: FilePool, *, as_components: bool = False) -> None:
        self._pool = pool
        self._as_components = as_components
        self._keyframes: dict[tuple[Any, ...], Keyframe] = {}
        self._instruments: dict[tuple[Any, ...], bool] = {}
        self._segments: OrderedDict[tuple[Path, int], Segments] = OrderedDict()
        self._lock = threading.Lock()

    def scan(self, path: Path) -> list[Series]:
        """The series of the file, the main one first; never empty.

        Raises
        ------
        CorruptSource, UnlikeSlices, UnsupportedDtype, UnsupportedLayout
        """
        data = TiffBytes(self._pool, path)
        directories = list(data.chain())
        if self._is_plain(data, directories):
            pages = [d for d in directories if not _is_extra(data, d)] or directories[:1]
            layouts = {data.layout(d) for d in pages}
            if len(layouts) == 1:
                return [self._plain_series(data, pages, len(directories) - len(pages))]
        return self._explained_series(path)

    def page_of(self, data: TiffBytes, directory: Directory) -> tuple[Keyframe, Page]:
        """One page of an open file, and how it is stored."""
        keyframe = self._keyframe(data, directory)
        return keyframe, self._page(data, directory, keyframe)

    def _is_plain(self, data: TiffBytes, directories: Sequence[Directory]) -> bool:
        first = directories[0]
        if any(ifd.SUB_IFDS in d.entries for d in directories[:2]):
            return False
        text = data.text(first, ifd.DESCRIPTION)
        pages = len(directories)
        if text.startswith(("ImageJ=", "SCIFIO=")):
            return pages == 1 and _imagej_images(text) == 1
        if text.startswith(('{"shape":', "shape=")):
            return pages == 1 and _is_one_page(text, data, first)
        key = (tuple(first.entries), text[:16])
        if key not in self._instruments:
            with tifffile_open(self._pool, data.path) as tif, translated(self._pool, data.path):
                self._instruments[key] = any(getattr(tif, f"is_{k}") for k in _INSTRUMENTS)
        return not self._instruments[key]

    def _plain_series(self, data: TiffBytes, pages: Sequence[Directory], extra: int) -> Series:
        keyframe = self._keyframe(data, pages[0])
        depth = keyframe.format.shape[1]
        notes = keyframe.notes
        if extra:
            notes += (f"{extra} reduced copies or masks in the file are not slices.",)
        return Series(
            data.path, "plain", "IZ", (len(pages), depth), keyframe,
            [self._page(data, d, keyframe) for d in pages], notes=notes,
        )  # fmt: skip

    def _keyframe(self, data: TiffBytes, directory: Directory) -> Keyframe:
        layout = data.layout(directory)
        if layout not in self._keyframes:
            with (
                tifffile_open(self._pool, data.path) as tif,
                translated(self._pool, data.path),
            ):
                tif.filehandle.seek(directory.offset)
                page = tifffile.TiffPage(tif, 0)
                self._keyframes[layout] = read_keyframe(
                    self._pool, data.path, page, as_components=self._as_components
                )
        return self._keyframes[layout]

    def _page(self, data: TiffBytes, directory: Directory, keyframe: Keyframe) -> Page:
        segments = data.segments(directory)
        start = self._check(data.path, keyframe, segments)
        if start is not None:
            return Page(data.path, keyframe.format, start)
        load = partial(self._load, data.path, data.header, directory.offset)
        return Page(data.path, keyframe.format, None, load)

    def _load(self, path: Path, header: TiffHeader, offset: int) -> Segments:
        key = (path, offset)
        with self._lock:
            if key in self._segments:
                self._segments.move_to_end(key)
                return self._segments[key]
        data = TiffBytes(self._pool, path, header)
        segments = data.segments(data.directory(offset))
        with self._lock:
            self._segments[key] = segments
            while len(self._segments) > _CACHED_SEGMENTS:
                self._segments.popitem(last=False)
        return segments

    def _check(self, path: Path, keyframe: Keyframe, segments: Segments) -> int | None:
        """Check that the pixels lie in the file; give where they begin if they lie in one piece."""
        layout, size = keyframe.format, self._pool.size(path)
        offsets, counts = segments.offsets[: layout.segments], segments.counts[: layout.segments]
        start: int | None = None
        if layout.stored is not None and _is_in_one_piece(layout, offsets, counts):
            start = int(offsets[0])
        if start is not None:
            end = start + layout.page_bytes
        else:
            if min(len(offsets), len(counts)) < layout.segments:
                raise CorruptSource(
                    f"{self._pool.name(path)} is damaged: it lists {len(offsets)} of its "
                    f"{layout.segments} strips or tiles."
                )
            end = int((offsets + counts).max())
        if end > size or (len(offsets) and int(offsets.min()) < 0):
            raise CorruptSource(
                f"{self._pool.name(path)} is cut short: its pixels reach to byte {end}, "
                f"and it has {size}."
            )
        return start

    def _explained_series(self, path: Path) -> list[Series]:
        """The series that tifffile finds."""
        with tifffile_open(self._pool, path) as tif, translated(self._pool, path):
            found = [s for s in tif.series if math.prod(s.shape) > 0]
            if not found:
                raise ValueError("it holds no image")
            found = _without_extras(found)
            if len(found) > 1 and found[0].kind in ("generic", "uniform"):
                raise UnlikeSlices(_unlike_message(self._pool.name(path), found))
            notes: tuple[str, ...] = ()
            if found[0].kind in _SLIDES and len(found) > 1:
                others = ", ".join(s.name or f"series {s._index}" for s in found[1:])
                notes = (f"Not read: {others} of the slide.",)
                found = found[:1]
            return [self._from_tifffile(path, tif, s, notes) for s in found]

    def _from_tifffile(
        self, path: Path, tif: tifffile.TiffFile, series: Any, notes: tuple[str, ...]
    ) -> Series:
        page = series.keyframe
        keyframe = read_keyframe(self._pool, path, page, as_components=self._as_components)
        layout = keyframe.format
        axes, shape = _plane_axes(series, page)
        count = math.prod(shape) // layout.shape[1]
        pages = list(series._pages)
        if len(pages) == 1 and count > 1:
            return Series(path, series.kind, axes, shape, keyframe,
                          self._virtual_pages(path, keyframe, page, count),
                          series.name, notes + keyframe.notes)  # fmt: skip
        if len(pages) != count:
            raise CorruptSource(
                f"{self._pool.name(path)} is damaged: it describes {count} pages and has "
                f"{len(pages)}."
            )
        members = [None if p is None else self._held_page(path, keyframe, p) for p in pages]
        if len(series.levels) > 1:
            notes = (*notes, f"{len(series.levels) - 1} reduced copies (a pyramid) were left out.")
        return Series(
            path, series.kind, axes, shape, keyframe, members, series.name, notes + keyframe.notes
        )

    def _virtual_pages(self, path: Path, keyframe: Keyframe, page: Any, count: int) -> list[Page]:
        """Pages that follow one another without directories, as ImageJ writes beyond 4 GB."""
        layout = keyframe.format
        start, size = int(page.dataoffsets[0]), self._pool.size(path)
        if layout.stored is None:
            raise CorruptSource(f"{self._pool.name(path)} is damaged: it has 1 of {count} pages.")
        if start + count * layout.page_bytes > size:
            raise CorruptSource(
                f"{self._pool.name(path)} is cut short: {count} pages need "
                f"{start + count * layout.page_bytes} bytes, and it has {size}."
            )
        return [Page(path, layout, start + i * layout.page_bytes) for i in range(count)]

    def _held_page(self, path: Path, keyframe: Keyframe, page: Any) -> Page:
        segments = Segments(
            np.asarray(page.dataoffsets, "i8"),
            np.asarray(page.databytecounts, "i8"),
            page.jpegtables,
        )
        start = self._check(path, keyframe, segments)
        if start is not None:
            return Page(path, keyframe.format, start)
        return Page(path, keyframe.format, None, lambda: segments)


def _is_in_one_piece(
    layout: PageFormat, offsets: NDArray[np.int64], counts: NDArray[np.int64]
) -> bool:
    """Whether the strips of a page follow one another without a gap."""
    if not len(offsets) or offsets[0] <= 0:
        return False
    if len(offsets) == layout.segments == 1:
        return True
    return bool(
        len(offsets) == len(counts) == layout.segments
        and (offsets[:-1] + counts[:-1] == offsets[1:]).all()
        and counts.min() > 0
        and counts.sum() == layout.page_bytes
    )


def _is_extra(data: TiffBytes, directory: Directory) -> bool:
    """Whether a page is a reduced copy or a mask of another (NewSubfileType)."""
    return bool(data.integer(directory, ifd.SUBFILE_TYPE) & _REDUCED_OR_MASK)


def _without_extras(found: list[Any]) -> list[Any]:
    main = [s for s in found if not int(s.keyframe.subfiletype) & _REDUCED_OR_MASK]
    return main or found[:1]


def _imagej_images(text: str) -> int:
    counts = re.findall(r"^(?:images|channels|slices|frames)=(\d+)", text, re.M)
    return max((int(n) for n in counts), default=1)


def _is_one_page(text: str, data: TiffBytes, first: Directory) -> bool:
    """Whether tifffile's own description speaks of one page only."""
    try:
        shape = json.loads(text)["shape"] if text[0] == "{" else json.loads(text.split("=", 1)[1])
        described = math.prod(int(n) for n in shape)
    except (ValueError, KeyError, TypeError):
        return False
    width, length = data.integer(first, ifd.WIDTH), data.integer(first, 257)
    return described == width * length * data.integer(first, 277, 1)


def _plane_axes(series: Any, page: Any) -> tuple[str, tuple[int, ...]]:
    """The axes of a tifffile series that count planes: those before a page's own, and its depth."""
    axes, shape = series.get_axes(False), series.get_shape(False)
    total, per_page = math.prod(shape), math.prod(page.shape)
    count, lead = total // per_page, 0
    while math.prod(shape[:lead]) < count:
        lead += 1
    if math.prod(shape[:lead]) != count:
        axes, shape, lead = "I", (count,), 1
    # Letters of the axes within a page mean nothing among those that count pages.
    letters = "".join("Q" if a in "YXS" else a for a in axes[:lead])
    return letters + "Z", (*shape[:lead], int(page.imagedepth))


def _unlike_message(name: str, found: Sequence[Any]) -> str:
    sizes = [f"{s.keyframe.imagewidth} x {s.keyframe.imagelength} {s.dtype}" for s in found]
    return f"The pages of {name} differ: {', '.join(sizes[:4])}."
