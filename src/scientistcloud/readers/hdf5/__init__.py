"""HDF5 and NeXus files: one file with its arrays, or several as a series.

Files that others refer to (sources of virtual datasets, targets of external links, external
storage) are parts of those. Of the files that are left:

1. One is read by itself.
2. Several whose chosen arrays have equal names, shapes and types are a series: the timesteps of
   each follow those of the one before, in natural order of the names.
3. Else each file is a dataset of its own: the largest is the main one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scientistcloud.errors import UnsupportedLayout
from scientistcloud.readers.arrays.attributes import text
from scientistcloud.readers.base import (
    Match,
    Selection,
    Source,
)

SIGNATURE = b"\x89HDF\r\n\x1a\n"
HDF4_SIGNATURE = b"\x0e\x03\x13\x01"
_SUFFIXES = frozenset(
    {".h5", ".hdf5", ".hdf", ".he5", ".nxs", ".nx5", ".emd", ".ims", ".hdf4", ".h4"}
)


class Hdf5Reader:
    """HDF5, with NeXus as one way of arranging it. HDF4 is recognised, and refused by name."""

    name = "hdf5"

    def match(self, path: Path, head: bytes) -> Match:
        """By the signature, at the start or behind a user block."""
        if any(head.startswith(SIGNATURE, at) for at in (0, 512, 1024, 2048)):
            return Match.CERTAIN
        if head.startswith(HDF4_SIGNATURE):
            return Match.CERTAIN
        return Match.POSSIBLE if path.suffix.lower() in _SUFFIXES else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        """Open the files by the rules at the top of this module."""
        from scientistcloud.readers.hdf5.series import open_files

        for path in files:
            refuse_hdf4(path)
        return open_files(files, selection)


def refuse_hdf4(path: Path) -> None:
    """Raise UnsupportedLayout where the file is HDF4."""
    from scientistcloud.readers.files.listing import read_head

    if read_head(path, 4) == HDF4_SIGNATURE:
        raise UnsupportedLayout(
            f"{text(path.name)} is an HDF4 file, an older format that is not HDF5.",
            remedy="Convert it to HDF5 (h4toh5convert) or NetCDF, and upload that.",
        )


READER = Hdf5Reader()
