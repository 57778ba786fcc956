"""Which chunks of an HDF5 array were ever written; the library reads the others as a fill value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from h5py import h5d

from scientistcloud.grid import Shape
from scientistcloud.readers.arrays.absence import MAX_CHUNKS, Absence, absence
from scientistcloud.readers.hdf5.files import Hdf5Files, Place, translated

_MAX_PLACES = 1000


def absence_of(files: Hdf5Files, places: Sequence[Place], shape: Shape) -> Absence | None:
    """What was never written of the arrays at `places`; None where all is there or not chunked.

    `shape` is what counts of each: what lies beyond is padding.
    Of several arrays (timesteps), the first that lacks something; at most 1000 are looked at.
    """
    for place in places[:_MAX_PLACES]:
        with translated(f"{place.name!r} of {files.name_of(place.file)}"):
            found = _absence(files.dataset(place), shape)
        if found is not None and (found.is_partial or found.is_whole):
            return found
    return None


def _absence(dataset: h5d.DatasetID, shape: Shape) -> Absence | None:
    plist = dataset.get_create_plist()
    if plist.get_layout() != h5d.CHUNKED:
        return None
    chunks = tuple(plist.get_chunk())
    expected = int(np.prod([-(-n // c) for n, c in zip(shape, chunks, strict=True)], dtype=object))
    if dataset.get_num_chunks() >= expected or expected > MAX_CHUNKS:
        return None
    return absence(shape, chunks, _positions(dataset, chunks))


def _positions(dataset: h5d.DatasetID, chunks: Sequence[int]) -> Iterator[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []

    def keep(info: Any) -> None:
        found.append(tuple(int(o) // c for o, c in zip(info.chunk_offset, chunks, strict=True)))

    dataset.chunk_iter(keep)
    return iter(found)


def fill_value(dataset: h5d.DatasetID) -> float | int | None:
    """What the library puts where nothing was written; None where it is no number."""
    value = np.zeros((), dataset.dtype)
    if dataset.dtype.names is not None or dataset.dtype.base.kind not in "iufb":
        return None
    dataset.get_create_plist().get_fill_value(value)
    plain: Any = value.reshape(-1)[:1].tolist()
    return plain[0] if plain and not isinstance(plain[0], bool) else int(any(plain))
