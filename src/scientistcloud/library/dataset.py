"""A converted dataset for reading: `Dataset`, wherever its samples come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box, Shape
from scientistcloud.idx.times import times_of
from scientistcloud.library.samples import Samples

if TYPE_CHECKING:
    import xarray as xr

Slices = Sequence[slice | int]


@dataclass(frozen=True)
class Dataset:
    """An open dataset; axes of arrays are z, y, x, those of `dims` x first.

    Attributes
    ----------
    location : str
        Where it was opened.
    metadata : Mapping
        What ``metadata.json`` says; empty where there is none.
    record : Mapping
        What it says of this output.
    """

    location: str
    samples: Samples
    metadata: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dims(self) -> tuple[int, ...]:
        """Samples along each axis, x first."""
        return tuple(self.samples.header.shape[::-1])

    @property
    def shape(self) -> Shape:
        """Samples along each axis, in array order."""
        return self.samples.header.shape

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(each.name for each in self.samples.header.fields)

    @property
    def timesteps(self) -> int:
        """How many there are."""
        return self.samples.header.timesteps

    @property
    def times(self) -> NDArray[Any] | None:
        """What each timestep stands for: dates (datetime64), or numbers in `time_units`.

        None where the data did not tell. Dates of other calendars than the Gregorian are texts.
        """
        found = times_of(self.record, self.timesteps)
        return None if found is None else found.values

    @property
    def time_units(self) -> str | None:
        """The unit of times that are numbers, ``s`` for seconds."""
        found = times_of(self.record, self.timesteps)
        return None if found is None else found.units

    @property
    def max_resolution(self) -> int:
        """The finest resolution; each one less halves one axis."""
        return self.samples.header.max_resolution

    def dtype(self, name: str | None = None) -> np.dtype[Any]:
        """The type of a field's samples."""
        return self.samples.header.fields[self._index(name)].dtype

    def read(
        self,
        field: str | None = None,
        timestep: int = 0,
        box: Box | Slices | None = None,
        resolution: int | None = None,
    ) -> NDArray[Any]:
        """Samples as a new array.

        Parameters
        ----------
        field : str, optional
            The first by default.
        timestep : int
            From 0.
        box : Box or sequence of slices, optional
            In array order (z, y, x), of the full resolution; an int takes one plane and drops its
            axis. Everything by default.
        resolution : int, optional
            The finest by default.

        Raises
        ------
        ValueError, KeyError, IndexError
            There is no such box, field or timestep.
        CorruptSource, StorageUnavailable, Refusal
        """
        wanted, dropped = self._box(box)
        last = self.max_resolution
        level = last if resolution is None else resolution
        if not 0 <= timestep < self.timesteps:
            raise IndexError(f"no timestep {timestep} of {self.timesteps}")
        if not 0 <= level <= last:
            raise ValueError(f"resolution {level} is not within 0 and {last}")
        found = self.samples.read(self._index(field), timestep, wanted, level)
        plane: NDArray[Any] = found[dropped]
        return plane

    def to_xarray(self, resolution: int | None = None) -> xr.Dataset:
        """All fields as lazy arrays of Dask, chunked as the blocks lie; nothing is read yet.

        Needs the extra ``xarray`` and Dask.
        """
        from scientistcloud.library.lazy import lazy_dataset

        level = self.max_resolution if resolution is None else resolution
        times = times_of(self.record, self.timesteps)
        return lazy_dataset(self.samples, self.location, level, times)

    def close(self) -> None:
        """Let go of what is open; of a folder, nothing is."""
        self.samples.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _index(self, name: str | None) -> int:
        return 0 if name is None else self.samples.header.field_index(name)

    def _box(self, box: Box | Slices | None) -> tuple[Box, tuple[Any, ...]]:
        whole = self.samples.header.box
        if box is None:
            return whole, (...,)
        if isinstance(box, Box):
            return box, (...,)
        if len(box) > len(whole.shape):
            raise ValueError(f"{len(box)} slices for {len(whole.shape)} axes")
        lo, hi = list(whole.lo), list(whole.hi)
        dropped: list[slice | int] = []
        for axis, each in enumerate(box):
            first, length = whole.lo[axis], whole.shape[axis]
            if isinstance(each, slice):
                start, stop, step = each.indices(length)
                if step != 1 or stop <= start:
                    raise ValueError("slices must have a step of 1 and hold something")
                dropped.append(slice(None))
            else:
                start = range(length)[each]
                stop = start + 1
                dropped.append(0)
            lo[axis], hi[axis] = first + start, first + stop
        return Box(tuple(lo), tuple(hi)), tuple(dropped)
