"""A series: the pages of TIFF files that make up one array."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource
from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.tiff.keyframe import Keyframe
from scientistcloud.readers.tiff.pages import Page, PageFormat, Segments


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
    def files(self) -> tuple[Path, ...]:
        """The files that hold its pages."""
        return tuple(dict.fromkeys(p.path for p in self.pages if p is not None)) or (self.path,)

    @property
    def planes(self) -> int:
        """How many (rows, columns) planes there are."""
        return math.prod(self.shape)


def check_pixels(pool: FilePool, path: Path, layout: PageFormat, segments: Segments) -> int | None:
    """Check that the pixels lie in the file; give where they begin if they lie in one piece."""
    size = pool.size(path)
    offsets, counts = segments.offsets[: layout.segments], segments.counts[: layout.segments]
    start: int | None = None
    if layout.stored is not None and _is_in_one_piece(layout, offsets, counts):
        start = int(offsets[0])
    if start is not None:
        end = start + layout.page_bytes
    else:
        if min(len(offsets), len(counts)) < layout.segments:
            raise CorruptSource(
                f"{pool.name(path)} is damaged: it lists {len(offsets)} of its "
                f"{layout.segments} strips or tiles."
            )
        end = int((offsets + counts).max())
    if end > size or (len(offsets) and int(offsets.min()) < 0):
        raise CorruptSource(
            f"{pool.name(path)} is cut short: its pixels reach to byte {end}, and it has {size}."
        )
    return start


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
