"""Zarr stores (formats 2 and 3), OME-Zarr and xarray's Zarr among them, as folders.

A store is a folder with all that is below it. Zipped stores are unpacked before, like any archive.
What becomes of the arrays, in this order:

1. OME-Zarr: each multiscale image is a dataset, at its highest resolution; channels are fields.
2. Arrays with named dimensions (xarray, NCZarr): by the conventions of CF, as for NetCDF.
3. Else the largest array, with those of its group that have its shape, or those that the parameter
   ``dataset`` names; as for HDF5, the last three axes are space and those before them time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scientistcloud.readers.base import Match, Selection, Source

METADATA_NAMES = frozenset({".zarray", ".zgroup", "zarr.json"})
_MARK = b'"zarr_format"'


class ZarrReader:
    """Zarr, recognised by the metadata files of its arrays and groups."""

    name = "zarr"
    owns_folder = True

    def match(self, path: Path, head: bytes) -> Match:
        if path.name not in METADATA_NAMES:
            return Match.NO
        return Match.CERTAIN if _MARK in head else Match.POSSIBLE

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        """Open the stores that `files` are the metadata of."""
        from scientistcloud.readers.zarr.source import open_stores

        return open_stores(files, selection)


READER = ZarrReader()
