"""An open source of CF variables: boxes, unpacked piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box
from scientistcloud.readers.arrays.axis_roles import pieces
from scientistcloud.readers.base import Concurrency, FieldSpec, SourceSpec
from scientistcloud.readers.cf.grids import GridField

PIECE_BYTES = 4 << 20
# Of a piece there are the stored samples, two steps of unpacking, and what is missing.
_COPIES_UNPACKING = 6
_COPIES_OF_A_CHUNK = 4

StoredReader = Callable[[GridField, tuple[slice, ...]], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class CfPart:
    """The part of a field that one file holds: some timesteps."""

    member: GridField
    read: StoredReader


def working_bytes(member: GridField, cache_bytes: int) -> int:
    """What reading a box of `member` holds at once."""
    variable = member.variable
    wide = max(member.packing.result.itemsize, member.packing.stored.itemsize, 8)
    samples = variable.chunk_bytes // member.packing.stored.itemsize
    piece = max(PIECE_BYTES, samples * wide)
    copies = 2 if member.packing.is_plain else _COPIES_UNPACKING
    return cache_bytes + _COPIES_OF_A_CHUNK * variable.chunk_bytes + copies * piece


class CfSource:
    """Fields of one or several files; `close` closes them."""

    def __init__(
        self,
        spec: SourceSpec,
        parts: Mapping[str, tuple[CfPart, ...]],
        close: Callable[[], None],
        concurrency: Concurrency = Concurrency.SERIAL,
    ) -> None:
        self._spec = spec
        self._parts = dict(parts)
        self._close = close
        self._concurrency = concurrency

    @property
    def spec(self) -> SourceSpec:
        return self._spec

    @property
    def concurrency(self) -> Concurrency:
        return self._concurrency

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        """Fill `out` with the samples of `box`; see `Source.read`."""
        step = timestep
        for part in self._parts[field.key]:
            if step < part.member.roles.timesteps:
                break
            step -= part.member.roles.timesteps
        roles, packing = part.member.roles, part.member.packing
        wide = max(packing.result.itemsize, packing.stored.itemsize, 8)
        for piece in pieces(box, field.chunks, wide, PIECE_BYTES):
            stored = part.read(part.member, roles.selection(step, piece))
            raw = np.ascontiguousarray(roles.oriented(stored))
            packing.unpack(raw, out[piece.relative_to(box.lo).slices])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
