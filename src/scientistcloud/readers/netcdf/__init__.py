"""NetCDF files, classic (1, 2, 5) and NetCDF-4: one file, or several as a series.

Which variables become which datasets is told in `cf.grids`, how they are unpacked in `cf.packing`.
Several files whose grids and variables are equal are a series: their timesteps follow each other,
in the order of their times where all are known, else in natural order of the names. Else each file
is a dataset of its own; the largest is the main one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scientistcloud.errors import CorruptSource
from scientistcloud.readers.arrays.attributes import text
from scientistcloud.readers.base import Match, Selection, Source

CLASSIC_MAGICS = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SUFFIXES = frozenset({".nc", ".nc4", ".cdf", ".netcdf", ".nc3", ".cdf5", ".grd"})
# Attributes that the NetCDF library writes into every HDF5 file that it makes.
_MARKS = (b"_NCProperties", b"_Netcdf4Dimid", b"_Netcdf4Coordinates", b"_nc3_strict")


class NetcdfReader:
    """NetCDF by its magic; HDF5 files that the NetCDF library wrote are recognised by its marks."""

    name = "netcdf"

    def match(self, path: Path, head: bytes) -> Match:
        is_named = path.suffix.lower() in _SUFFIXES
        if head.startswith(CLASSIC_MAGICS):
            return Match.CERTAIN
        if head.startswith(HDF5_SIGNATURE) and (is_named or any(m in head for m in _MARKS)):
            return Match.CERTAIN
        return Match.POSSIBLE if is_named else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        """Open the files by the rules at the top of this module."""
        from scientistcloud.readers.files.listing import read_head
        from scientistcloud.readers.netcdf.series import open_files

        for path in files:
            if not read_head(path, 8).startswith((*CLASSIC_MAGICS, HDF5_SIGNATURE)):
                raise CorruptSource(
                    f"{text(path.name)} is named like NetCDF, but its content is not."
                )
        return open_files(files, selection)


READER = NetcdfReader()
