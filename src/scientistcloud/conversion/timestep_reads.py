"""Reading many timesteps of a source at once."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from scientistcloud.grid import Box
from scientistcloud.readers.base import FieldSpec, Source


def read_timesteps(source: Source, field: FieldSpec, first: int, out: NDArray[Any]) -> None:
    """Fill `out`, of shape (timesteps, *grid[, components]), with all of several timesteps.

    At once where a source can, which such a method of its own tells; else one after another.
    """
    at_once = getattr(source, "read_timesteps", None)
    if at_once is not None:
        at_once(field, first, out)
        return
    box = Box.of_shape(out.shape[1 : out.ndim - (field.components > 1)])
    for i in range(len(out)):
        source.read(field, first + i, box, out[i])
