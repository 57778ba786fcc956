"""Mosaics of tiles ``<panel>_<col>_<row>``: columns count to the right, rows downwards from 0.

The size comes from the tiles themselves: all of a column are equally wide, all of a row equally
high. A place without a tile reads as zeros, as scanners leave out empty ones.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from scientistcloud.errors import AmbiguousFormat, UnlikeSlices
from scientistcloud.readers.names.natural import stem
from scientistcloud.readers.planes.source import Plane, Span

_TILE = re.compile(r"^(?P<panel>.+)_(?P<col>\d{1,5})_(?P<row>\d{1,5})(_out)?$")
_MAX_PLACES_PER_TILE = 64


@dataclass(frozen=True, slots=True)
class TileName:
    """A tile of a mosaic: ``<panel>_<col>_<row>``."""

    panel: str
    col: int
    row: int


def parse_tile(name: str) -> TileName | None:
    """The place that a file name gives to a tile; None where it names none."""
    found = _TILE.match(stem(name).rsplit("/", 1)[-1])
    if not found:
        return None
    return TileName(found["panel"], int(found["col"]), int(found["row"]))


@dataclass(frozen=True)
class Mosaic:
    """Where the tiles of one panel lie.

    Attributes
    ----------
    columns, rows : tuple of int
        Where each column begins, and each row; with the end as the last.
    tiles : Mapping
        Names of files by (column, row).
    """

    panel: str
    columns: tuple[int, ...]
    rows: tuple[int, ...]
    tiles: Mapping[tuple[int, int], str]
    missing: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        return self.columns[-1]

    @property
    def height(self) -> int:
        return self.rows[-1]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the record."""
        if not self.missing:
            return ()
        some = ", ".join(self.missing[:6]) + (" and others" if len(self.missing) > 6 else "")
        return (f"{len(self.missing)} tiles of the mosaic are missing and read as zeros: {some}.",)


def are_tiles(names: Iterable[str]) -> bool:
    """Whether all files are named like tiles."""
    return all(parse_tile(name) for name in names)


def lay_out(sizes: Mapping[str, tuple[int, int]]) -> list[Mosaic]:
    """Lay out tiles, one mosaic for each panel, in the order of the files.

    Parameters
    ----------
    sizes : Mapping
        (height, width) by name of file.

    Raises
    ------
    UnlikeSlices
        A tile is not as wide as its column, or not as high as its row.
    AmbiguousFormat
        Two files have the same place, or a name is none of a tile.
    """
    panels: dict[str, dict[tuple[int, int], str]] = {}
    for name in sizes:
        tile = parse_tile(name) or _refuse(name)
        placed = panels.setdefault(tile.panel, {})
        if (tile.col, tile.row) in placed:
            raise AmbiguousFormat(
                f"{placed[tile.col, tile.row]} and {name} have the same place in the mosaic."
            )
        placed[tile.col, tile.row] = name
    return [_lay_out(panel, tiles, sizes) for panel, tiles in panels.items()]


@dataclass(frozen=True)
class MosaicPlane:
    """A mosaic as one plane."""

    mosaic: Mosaic
    tile: Callable[[str], Plane]

    def read(self, rows: Span, columns: Span, out: NDArray[Any]) -> None:
        """Fill `out`, of shape (rows, columns, components)."""
        for j, top, (r_lo, r_hi) in _parts(self.mosaic.rows, rows):
            for i, left, (c_lo, c_hi) in _parts(self.mosaic.columns, columns):
                part = out[r_lo - rows[0] : r_hi - rows[0], c_lo - columns[0] : c_hi - columns[0]]
                name = self.mosaic.tiles.get((i, j))
                if name is None:
                    part[...] = 0
                else:
                    plane = self.tile(name)
                    plane.read((r_lo - top, r_hi - top), (c_lo - left, c_hi - left), part)


def _parts(starts: tuple[int, ...], span: Span) -> Iterable[tuple[int, int, Span]]:
    """The cells of an axis that `span` touches: number, start, and the common part."""
    first = bisect.bisect_right(starts, span[0]) - 1
    for i in range(first, len(starts) - 1):
        if starts[i] >= span[1]:
            return
        if starts[i + 1] > starts[i]:
            yield i, starts[i], (max(span[0], starts[i]), min(span[1], starts[i + 1]))


def _lay_out(
    panel: str, tiles: Mapping[tuple[int, int], str], sizes: Mapping[str, tuple[int, int]]
) -> Mosaic:
    widths: dict[int, tuple[int, str]] = {}
    heights: dict[int, tuple[int, str]] = {}
    for (col, row), name in tiles.items():
        height, width = sizes[name]
        for lengths, key, length, what in (
            (widths, col, width, "wide"),
            (heights, row, height, "high"),
        ):
            other = lengths.setdefault(key, (length, name))
            if other[0] != length:
                raise UnlikeSlices(
                    f"{name} is {length} pixels {what}, {other[1]}, in line with it, {other[0]}."
                )
    columns, rows = _starts(widths), _starts(heights)
    if len(columns) * len(rows) > _MAX_PLACES_PER_TILE * (len(tiles) + 100):
        raise AmbiguousFormat(
            f"The tiles of {panel} span {len(columns) - 1} x {len(rows) - 1} places, nearly all of "
            "them empty, so their names hardly tell places."
        )
    places = [(c, r) for r in range(len(rows) - 1) for c in range(len(columns) - 1)]
    # Numbers may begin at 0 or 1: what is never used at the front has no width.
    missing = tuple(
        f"{panel}_{c}_{r}"
        for c, r in places
        if (c, r) not in tiles and columns[c + 1] > columns[c] and rows[r + 1] > rows[r]
    )
    return Mosaic(panel, columns, rows, tiles, missing)


def _starts(lengths: Mapping[int, tuple[int, str]]) -> tuple[int, ...]:
    """Where each cell begins; a gap is as wide as the first cell, but for those at the front."""
    usual = lengths[min(lengths)][0]
    starts = [0]
    for i in range(max(lengths) + 1):
        length = lengths[i][0] if i in lengths else (usual if i > min(lengths) else 0)
        starts.append(starts[-1] + length)
    return tuple(starts)


def _refuse(name: str) -> TileName:
    raise AmbiguousFormat(
        f"{name} is not named like a tile of a mosaic (<panel>_<col>_<row>), as others are."
    )
