"""A source whose fields are made of planes: images of rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box, Shape
from scientistcloud.readers.base import (
    Axis,
    Concurrency,
    DatasetSpec,
    FieldSpec,
    Matrix,
    SourceSpec,
)

Span = tuple[int, int]


class Plane(Protocol):
    """One image, of which parts can be read."""

    def read(self, rows: Span, columns: Span, out: NDArray[Any]) -> None:
        """Fill `out`, of shape (rows, columns, components); it may be a view."""
        ...


@dataclass(frozen=True)
class PlaneField:
    """One field of a `PlaneDataset`.

    Attributes
    ----------
    chunk : tuple of int
        Rows and columns that are decoded together; (1, 1) where any part can be read by itself.
    plane : callable
        Gives the plane of a timestep and a slice.
    """

    name: str
    dtype: np.dtype[Any]
    components: int
    chunk: tuple[int, int]
    working_bytes: int
    plane: Callable[[int, int], Plane]
    fill_value: float | int | None = None
    units: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PlaneDataset:
    """Fields of planes of one size.

    Attributes
    ----------
    depth : int
        1 for images, which become two-dimensional.
    axes : tuple of Axis
        For z, y and x.
    """

    name: str
    depth: int
    height: int
    width: int
    fields: tuple[PlaneField, ...]
    timesteps: int = 1
    axes: tuple[Axis, Axis, Axis] = (Axis("z"), Axis("y"), Axis("x"))
    times: tuple[float | str, ...] = ()
    time_units: str | None = None
    matrix: Matrix = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def spec(self, number: int, *, flip: bool = False) -> DatasetSpec:
        """As the world sees it; `number` makes the keys of its fields unique."""
        z, y, x = self.axes
        if flip and y.spacing is not None:
            last = (y.origin or 0.0) + y.spacing * (self.height - 1)
            y = replace(y, origin=last, spacing=-y.spacing)
        shape: Shape = (self.height, self.width)
        if self.depth > 1:
            shape = (self.depth, *shape)
        return DatasetSpec(
            self.name,
            shape,
            (z, y, x)[-len(shape) :],
            tuple(self._field(f, f"{number}/{i}") for i, f in enumerate(self.fields)),
            self.timesteps,
            self.times,
            self.metadata,
            self.time_units if self.times else None,
            () if flip or len(self.matrix) != len(shape) + 1 else self.matrix,
        )

    def _field(self, planes: PlaneField, key: str) -> FieldSpec:
        return FieldSpec(
            key=key,
            name=planes.name,
            dtype=planes.dtype,
            chunks=(1, *planes.chunk) if self.depth > 1 else planes.chunk,
            components=planes.components,
            working_bytes=planes.working_bytes,
            units=planes.units,
            fill_value=planes.fill_value,
            attributes=planes.attributes,
        )


class PlaneSource:
    """A `Source` of 2-D and 3-D datasets made of planes.

    Parameters
    ----------
    spec : SourceSpec
        All but its datasets.
    close : callable
        Closes all files.
    flip : bool
        Whether row 0 of the result is the last row of the images, so that y points up.
    """

    def __init__(
        self,
        spec: SourceSpec,
        datasets: Sequence[PlaneDataset],
        close: Callable[[], None],
        *,
        flip: bool = False,
        concurrency: Concurrency = Concurrency.THREADS,
    ) -> None:
        specs = tuple(dataset.spec(i, flip=flip) for i, dataset in enumerate(datasets))
        self._spec = replace(spec, datasets=specs)
        self._planes = {
            known.key: (planes.plane, dataset.height)
            for dataset, spec_of in zip(datasets, specs, strict=True)
            for planes, known in zip(dataset.fields, spec_of.fields, strict=True)
        }
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
        plane, height = self._planes[field.key]
        lo, hi = box.lo, box.hi
        target = out if field.components > 1 else out[..., np.newaxis]
        if len(lo) == 2:
            lo, hi, target = (0, *lo), (1, *hi), target[np.newaxis]
        rows, columns = (lo[1], hi[1]), (lo[2], hi[2])
        if self._flip:
            rows = (height - hi[1], height - lo[1])
            target = target[:, ::-1]
        for z in range(lo[0], hi[0]):
            plane(timestep, z).read(rows, columns, target[z - lo[0]])

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
