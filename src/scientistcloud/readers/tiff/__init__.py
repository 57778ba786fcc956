"""TIFF: stacks, multi-page files, OME-TIFF, ImageJ, GeoTIFF, in all their compressions.

The work is done in `tiff.open`, which is imported when the first TIFF is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scientistcloud.errors import MissingLibrary
from scientistcloud.readers.base import Match, Selection, Source

_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".tf2", ".lsm", ".stk", ".svs", ".ndpi", ".scn",
             ".qptiff", ".gel", ".companion.ome")  # fmt: skip
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class TiffReader:
    """Recognises TIFF by its first four bytes."""

    name = "tiff"

    def match(self, path: Path, head: bytes) -> Match:
        if head[:4] in _MAGIC:
            return Match.CERTAIN
        return Match.POSSIBLE if path.name.lower().endswith(_SUFFIXES) else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        """Open `files` as one volume, time series or mosaic; see `tiff_open.open_tiff`."""
        try:
            from scientistcloud.readers.tiff.open import open_tiff
        except ImportError as error:
            raise MissingLibrary(f"TIFF needs the library {error.name}.") from error
        return open_tiff(files, selection)


READER = TiffReader()
