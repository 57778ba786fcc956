"""An open HDF5 source: boxes of its arrays, read without more of them in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from h5py import h5s
from numpy.typing import NDArray

from scientistcloud.grid import Box
from scientistcloud.readers.arrays.axis_roles import AxisRoles, pieces
from scientistcloud.readers.base import Concurrency, FieldSpec, SourceSpec
from scientistcloud.readers.hdf5.files import (
    CHUNK_CACHE_BYTES,
    Hdf5Files,
    Place,
    translated,
)
from scientistcloud.readers.hdf5.types import Member

_PIECE_BYTES = 8 << 20
_CONVERSION_BYTES = 2 << 20
# The library holds a chunk as it is stored, and as one filter and the next leave it.
_COPIES_OF_A_CHUNK = 4


@dataclass(frozen=True, slots=True)
class StoredField:
    """Where the samples of a field are.

    Attributes
    ----------
    places : tuple of Place
        One array, or one for each file of a series, whose timesteps follow each other.
    """

    places: tuple[Place, ...]
    roles: AxisRoles
    member: Member
    chunk_bytes: int = 0

    @property
    def is_direct(self) -> bool:
        """Whether the library can write straight into the caller's array."""
        return self.roles.is_direct and self.member.element is None

    @property
    def working_bytes(self) -> int:
        staged = 0 if self.is_direct else 2 * _PIECE_BYTES + self.chunk_bytes
        return (
            CHUNK_CACHE_BYTES + _CONVERSION_BYTES + _COPIES_OF_A_CHUNK * self.chunk_bytes + staged
        )


class Hdf5Source:
    """Arrays of one or several HDF5 files. Closing it closes the files.

    h5py holds one lock for the whole library, so reading is serial.
    """

    concurrency = Concurrency.SERIAL

    def __init__(
        self, files: Hdf5Files, spec: SourceSpec, fields: Mapping[str, StoredField]
    ) -> None:
        self._files = files
        self._spec = spec
        self._fields = dict(fields)

    @property
    def spec(self) -> SourceSpec:
        return self._spec

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        """Fill `out` with the samples of `box`; see `Source.read`."""
        stored = self._fields[field.key]
        part, step = divmod(timestep, stored.roles.timesteps)
        place = stored.places[part]
        if stored.is_direct:
            self._read_into(place, stored, step, box, out)
            return
        sample_bytes = stored.member.dtype.itemsize * max(1, math.prod(stored.member.vector))
        if stored.roles.component is not None:
            sample_bytes *= stored.roles.stored[stored.roles.component]
        for piece in pieces(box, field.chunks, sample_bytes, _PIECE_BYTES):
            block = self._block(place, stored, step, piece)
            out[piece.relative_to(box.lo).slices] = block

    def _block(self, place: Place, stored: StoredField, step: int, box: Box) -> NDArray[Any]:
        selection = stored.roles.selection(step, box)
        shape = tuple(s.stop - s.start for s in selection)
        block = np.empty((*shape, *stored.member.vector), stored.member.dtype)
        self._read_into(place, stored, step, box, block)
        if stored.member.element is not None:
            flat = block.reshape(*shape, -1)
            return stored.roles.oriented(flat[..., stored.member.element])
        return stored.roles.oriented(block)

    def _read_into(
        self, place: Place, stored: StoredField, step: int, box: Box, out: NDArray[Any]
    ) -> None:
        """Read `box` in the stored order of its axes into `out`, whatever the shape of `out`."""
        selection = stored.roles.selection(step, box)
        lengths = tuple(s.stop - s.start for s in selection)
        with translated(f"{place.name!r} of {self._files.name_of(place.file)}"):
            dataset = self._files.dataset(place)
            inside = dataset.get_space()
            inside.select_hyperslab(tuple(s.start for s in selection), lengths)
            # Of one shape with the selection: else the library matches samples one by one.
            samples = h5s.create_simple(lengths)
            view = out.reshape((*lengths, *stored.member.vector))
            dataset.read(samples, inside, view, stored.member.memory_type())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.close()
