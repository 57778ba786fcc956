"""A source whose fields are made of planes: images of rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box
from scientistcloud.readers.base import Concurrency, FieldSpec, SourceSpec

Span = tuple[int, int]


class Plane(Protocol):
    """One image, of which parts can be read."""

    def read(self, rows: Span, columns: Span, out: NDArray[Any]) -> None:
        """Fill `out`, of shape (rows, columns, components); it may be a view."""
        ...


@dataclass(frozen=True)
class PlaneField:
    """The planes of one field.

    Attributes
    ----------
    plane : callable
        Gives the plane of a timestep and a slice.
    height : int
        Rows of a plane.
    """

    plane: Callable[[int, int], Plane]
    height: int


class PlaneSource:
    """A `Source` of 2-D and 3-D datasets made of planes.

    Parameters
    ----------
    fields : Mapping
        By `FieldSpec.key`.
    close : callable
        Closes all files.
    flip : bool
        Whether row 0 of the result is the last row of the images, so that y points up.
    """

    def __init__(
        self,
        spec: SourceSpec,
        fields: Mapping[str, PlaneField],
        close: Callable[[], None],
        *,
        flip: bool = False,
        concurrency: Concurrency = Concurrency.THREADS,
    ) -> None:
        self._spec = spec
        self._fields = fields
        self._close = close
        self._flip = flip
        self._concurrency = concurrency

    @property
    def spec(self) -> SourceSpec:
        return self._spec

    @property
    def concurrency(self) -> Concurrency:
        return self._concurrency

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        """Fill `out`; see `Source.read`."""
        planes = self._fields[field.key]
        lo, hi = box.lo, box.hi
        target = out if field.components > 1 else out[..., np.newaxis]
        if len(lo) == 2:
            lo, hi, target = (0, *lo), (1, *hi), target[np.newaxis]
        rows, columns = (lo[1], hi[1]), (lo[2], hi[2])
        if self._flip:
            rows = (planes.height - hi[1], planes.height - lo[1])
            target = target[:, ::-1]
        for z in range(lo[0], hi[0]):
            planes.plane(timestep, z).read(rows, columns, target[z - lo[0]])

    def close(self) -> None:
        """Close all files."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
