"""The series of pages that one TIFF file holds.

A file whose pages are all alike and that no instrument's conventions claim is read by `tiff.ifd`
alone, which takes microseconds a page; tifffile explains all others (`tiff.explained`).
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import tifffile

from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.tiff import ifd
from scientistcloud.readers.tiff.explained import REDUCED_OR_MASK, explained_series
from scientistcloud.readers.tiff.ifd import Directory, TiffBytes, TiffHeader
from scientistcloud.readers.tiff.keyframe import (
    Keyframe,
    read_keyframe,
    tifffile_open,
    translated,
)
from scientistcloud.readers.tiff.pages import Page, Segments
from scientistcloud.readers.tiff.series import Series, check_pixels

_INSTRUMENTS = ("lsm", "fluoview", "stk", "sis", "svs", "scn", "qpi", "ndpi", "bif", "avs",
                "eer", "philips", "scanimage", "nih", "mdgel")  # fmt: skip
_CACHED_SEGMENTS = 64


class TiffScanner:
    """Finds the series in files; remembers what files of one kind have in common.

    Parameters
    ----------
    samples : str
        See `read_keyframe`.
    wanted : object
        See `explained_series`.
    """

    def __init__(self, pool: FilePool, *, samples: str = "", wanted: object = None) -> None:
        self._pool = pool
        self._samples = samples
        self._wanted = wanted
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
        first = data.directory(data.first_offset)
        plain = self._plain_series(data) if self._is_plain(data, first) else None
        if plain is not None:
            return [plain]
        return explained_series(self._pool, path, samples=self._samples, wanted=self._wanted)

    def page_of(self, data: TiffBytes, directory: Directory) -> tuple[Keyframe, Page]:
        """One page of an open file, and how it is stored."""
        keyframe = self._keyframe(data, directory)
        return keyframe, self._page(data, directory, keyframe)

    def _is_plain(self, data: TiffBytes, first: Directory) -> bool:
        if ifd.SUB_IFDS in first.entries:
            return False
        text = data.text(first, ifd.DESCRIPTION)
        is_single = first.next_offset == 0
        if text.startswith(("ImageJ=", "SCIFIO=")):
            return is_single and _imagej_images(text) == 1
        if text.startswith(('{"shape":', "shape=")):
            return is_single and _is_one_page(text, data, first)
        key = (tuple(first.entries), text[:16])
        if key not in self._instruments:
            with tifffile_open(self._pool, data.path) as tif, translated(self._pool, data.path):
                self._instruments[key] = any(getattr(tif, f"is_{k}") for k in _INSTRUMENTS)
        return not self._instruments[key]

    def _plain_series(self, data: TiffBytes) -> Series | None:
        """The pages of a plain file; None where they are not all alike."""
        pages: list[Page] = []
        kinds: set[tuple[Any, ...]] = set()
        extra = 0
        for directory in data.chain():
            if _is_extra(data, directory) and directory.next_offset | extra | len(pages):
                extra += 1
                continue
            kinds.add(data.layout(directory))
            if len(kinds) > 1 or ifd.SUB_IFDS in directory.entries:
                return None
            keyframe = self._keyframe(data, directory)
            pages.append(self._page(data, directory, keyframe))
        if not pages:
            return None
        notes = keyframe.notes
        if extra:
            notes += (f"{extra} reduced copies or masks in the file are not slices.",)
        shape = (len(pages), keyframe.format.shape[1])
        return Series(data.path, "plain", "IZ", shape, keyframe, pages, notes=notes)

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
                    self._pool, data.path, page, samples=self._samples
                )
        return self._keyframes[layout]

    def _page(self, data: TiffBytes, directory: Directory, keyframe: Keyframe) -> Page:
        segments = data.segments(directory)
        start = check_pixels(self._pool, data.path, keyframe.format, segments)
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


def _is_extra(data: TiffBytes, directory: Directory) -> bool:
    """Whether a page is a reduced copy or a mask of another (NewSubfileType)."""
    return bool(data.integer(directory, ifd.SUBFILE_TYPE) & REDUCED_OR_MASK)


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
