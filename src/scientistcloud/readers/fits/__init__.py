"""FITS (``.fits``, ``.fit``, ``.fts``, ``.fz``): images of telescopes and of detectors.

Plain images are read by position; those of compressed tiles by astropy, an extra. Images of one
file that lie on one grid (science, error, quality) are fields of one dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Match, Selection, Source
from scientistcloud.readers.files.open_files import FilePool, handed_over
from scientistcloud.readers.fits.images import read_volumes

_SUFFIXES = frozenset({".fits", ".fit", ".fts", ".fz"})


class FitsReader:
    """Recognises and opens FITS files."""

    name = "fits"

    def match(self, path: Path, head: bytes) -> Match:
        if head[:9] == b"SIMPLE  =" and head[10:30].strip() in (b"T", b""):
            return Match.CERTAIN
        return Match.POSSIBLE if path.suffix.lower() in _SUFFIXES else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        with handed_over(FilePool(selection.root)) as pool:
            volumes = [volume for path in files for volume in read_volumes(path, pool)]
            return open_volumes(volumes, "FITS", selection.parameters, pool)


READER = FitsReader()
