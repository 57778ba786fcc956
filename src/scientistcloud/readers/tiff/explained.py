"""Series of files that follow the conventions of an instrument or program that tifffile knows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.errors import CorruptSource, InvalidOptions, UnlikeSlices
from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.tiff.keyframe import (
    Keyframe,
    read_keyframe,
    tifffile_open,
    translated,
)
from scientistcloud.readers.tiff.pages import Page, Segments
from scientistcloud.readers.tiff.series import Series, check_pixels

REDUCED_OR_MASK = 0b101
"""Bits of NewSubfileType: a reduced copy or a mask of another page."""

_SLIDES = frozenset({"svs", "scn", "qpi", "ndpi", "bif", "avs", "philips", "sis"})


def explained_series(
    pool: FilePool, path: Path, *, samples: str = "", wanted: object = None
) -> list[Series]:
    """The series of the file that tifffile finds, the main one first.

    Parameters
    ----------
    wanted : object
        The parameter ``series``: the number of the only one that is wanted, or None.

    Raises
    ------
    CorruptSource, UnlikeSlices, UnsupportedDtype, UnsupportedLayout
    """
    with tifffile_open(pool, path) as tif, translated(pool, path):
        found = [s for s in tif.series if math.prod(s.shape) > 0]
        if not found:
            raise ValueError("it holds no image")
        found = _without_extras(found)
        if wanted is not None:
            found = [_pick(pool.name(path), found, wanted)]
        if len(found) > 1 and found[0].kind in ("generic", "uniform"):
            raise UnlikeSlices(
                _unlike_message(pool.name(path), found),
                remedy="Save them as files of their own, or pick those of one kind with the "
                f"parameter 'series' (0 to {len(found) - 1}).",
            )
        notes: tuple[str, ...] = ()
        if found[0].kind in _SLIDES and len(found) > 1:
            others = ", ".join(s.name or f"series {s._index}" for s in found[1:])
            notes = (f"Not read: {others} of the slide.",)
            found = found[:1]
        return _stacked([_from_tifffile(pool, path, s, notes, samples) for s in found])


def _stacked(series: list[Series]) -> list[Series]:
    """Images written one by one into a file, all alike and without names, as one series.

    tifffile's writer gives each its own description when a loop writes the slices of a stack.
    """
    first = series[0]
    alike = all(
        (s.kind, s.name, s.axes, s.shape, s.keyframe.kind)
        == ("shaped", "", first.axes, first.shape, first.keyframe.kind)
        for s in series
    )
    if len(series) == 1 or not alike:
        return series
    note = (
        f"The file holds {len(series)} images of one size without saying what they are to each "
        "other: they were put together. The parameter 'series' picks one."
    )
    pages = [page for s in series for page in s.pages]
    return [
        replace(
            first,
            axes="I" + first.axes,
            shape=(len(series), *first.shape),
            pages=pages,
            notes=(*first.notes, note),
        )
    ]


def _from_tifffile(
    pool: FilePool, path: Path, series: Any, notes: tuple[str, ...], samples: str
) -> Series:
    page = series.keyframe
    keyframe = read_keyframe(pool, path, page, samples=samples)
    layout = keyframe.format
    axes, shape = _plane_axes(series, page)
    count = math.prod(shape) // layout.shape[1]
    pages = list(series._pages)
    if len(pages) == 1 and count > 1:
        return Series(path, series.kind, axes, shape, keyframe,
                      _virtual_pages(pool, path, keyframe, page, count),
                      series.name, notes + keyframe.notes)  # fmt: skip
    if len(pages) != count:
        raise CorruptSource(
            f"{pool.name(path)} is damaged: it describes {count} pages and has {len(pages)}."
        )
    members = [None if p is None else _held_page(pool, path, keyframe, p) for p in pages]
    if len(series.levels) > 1:
        notes = (*notes, f"{len(series.levels) - 1} reduced copies (a pyramid) were left out.")
    return Series(
        path, series.kind, axes, shape, keyframe, members, series.name, notes + keyframe.notes
    )


def _virtual_pages(
    pool: FilePool, path: Path, keyframe: Keyframe, page: Any, count: int
) -> list[Page]:
    """Pages that follow one another without directories, as ImageJ writes beyond 4 GB."""
    layout = keyframe.format
    start, size = int(page.dataoffsets[0]), pool.size(path)
    if layout.stored is None:
        raise CorruptSource(f"{pool.name(path)} is damaged: it has 1 of {count} pages.")
    if start + count * layout.page_bytes > size:
        raise CorruptSource(
            f"{pool.name(path)} is cut short: {count} pages need "
            f"{start + count * layout.page_bytes} bytes, and it has {size}."
        )
    return [Page(path, layout, start + i * layout.page_bytes) for i in range(count)]


def _held_page(pool: FilePool, path: Path, keyframe: Keyframe, page: Any) -> Page:
    segments = Segments(
        np.asarray(page.dataoffsets, "i8"),
        np.asarray(page.databytecounts, "i8"),
        page.jpegtables,
    )
    start = check_pixels(pool, path, keyframe.format, segments)
    if start is not None:
        return Page(path, keyframe.format, start)
    return Page(path, keyframe.format, None, lambda: segments)


def _pick(name: str, found: Sequence[Any], wanted: object) -> Any:
    try:
        number = int(str(wanted))
    except ValueError:
        number = -1
    if not 0 <= number < len(found):
        raise InvalidOptions(
            f"The parameter series={wanted!r} is none of the {len(found)} of {name}, from 0."
        )
    return found[number]


def _without_extras(found: list[Any]) -> list[Any]:
    main = [s for s in found if not int(s.keyframe.subfiletype) & REDUCED_OR_MASK]
    return main or found[:1]


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
