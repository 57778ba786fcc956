"""``xarray.open_dataset("visus.idx", engine="idx")``: an IDX dataset as lazy variables.

The only module that imports xarray, which is an optional extra.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from scientistcloud.grid import Box, Shape
from scientistcloud.idx.geometry.query import samples_inside
from scientistcloud.idx.headers.header import IdxHeader
from scientistcloud.idx.reader import IdxReader
from scientistcloud.idx.times import Times, read_times

_MAX_TIME_VALUES = 1_000_000
_AXES = ("v", "u", "z", "y", "x")


class IdxBackendEntrypoint(BackendEntrypoint):
    """The engine ``idx``.

    Dimensions are named as ``(axis)`` says (else z, y, x), with ``time`` in front where the
    dataset has several timesteps and ``component`` at the end for vectors. Coordinates come from
    ``(physic_box)`` or ``(logic_to_physic)``; axes that it tells nothing of have none. Times
    come from ``metadata.json``: dates, or numbers with their unit.
    """

    description = "IDX, the multiresolution format of OpenVisus"
    open_dataset_parameters: ClassVar[tuple[str, ...]] = (
        "filename_or_obj",
        "drop_variables",
        "resolution",
    )

    def open_dataset(  # type: ignore[override]
        self,
        filename_or_obj: str | os.PathLike[str],
        *,
        drop_variables: str | Iterable[str] | None = None,
        resolution: int | None = None,
    ) -> xr.Dataset:
        """Open without reading samples.

        Parameters
        ----------
        resolution : int, optional
            The grid of a coarser resolution: each step down halves one axis.
        """
        reader = IdxReader(Path(filename_or_obj))
        dropped = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
        level = reader.max_resolution if resolution is None else resolution
        axes, time = _dimensions(reader.header)
        variables = {
            field.name: xr.Variable(
                (*time, *axes, *_component_dimension(reader.header, field.components)),
                indexing.LazilyIndexedArray(_FieldArray(reader, index, level)),
            )
            for index, field in enumerate(reader.header.fields)
            if field.name not in dropped
        }
        times = read_times(Path(filename_or_obj), reader.header) if time else None
        coordinates = _coordinates(reader, axes, time, level, times)
        kept = {name: value for name, value in coordinates.items() if name not in dropped}
        return xr.Dataset(variables, kept, _attributes(reader.header))

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether the name ends with ``.idx``."""
        return isinstance(filename_or_obj, str | os.PathLike) and (
            os.fspath(filename_or_obj).endswith(".idx")
        )


class _FieldArray(BackendArray):
    """One field as an array that is read where it is indexed."""

    def __init__(self, reader: IdxReader, field: int, resolution: int) -> None:
        item = reader.header.fields[field]
        header = reader.header
        self._reader = reader
        self._field = field
        self._grid = reader.samples_of(header.box, resolution)
        self._has_time = header.timesteps > 1
        self.dtype = item.dtype
        self.shape = (
            *((header.timesteps,) if self._has_time else ()),
            *self._grid.shape,
            *((item.components,) if item.components > 1 else ()),
        )

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )

    def _read(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        """`key` has an int or a slice with a positive step for every axis."""
        ranges = [
            range(n)[k] if isinstance(k, slice) else range(k, k + 1)
            for k, n in zip(key, self.shape, strict=True)
        ]
        times = ranges.pop(0) if self._has_time else range(1)
        rank = len(self._grid.shape)
        space, components = ranges[:rank], ranges[rank:]
        extent = (len(times), *map(len, space), *self.shape[len(self.shape) - len(components) :])
        result = np.empty(extent, self.dtype)
        for plane, time in zip(result, times, strict=True):
            plane[...] = self._read_space(time, space)
        if components:
            result = result[..., components[0].start : components[0].stop : components[0].step]
        dropped = tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)
        return result[dropped if self._has_time else (0, *dropped)]

    def _read_space(self, time: int, ranges: list[range]) -> NDArray[Any]:
        item = self._reader.header.fields[self._field]
        components = () if item.components == 1 else (item.components,)
        shape = tuple(map(len, ranges))
        if 0 in shape:
            return np.empty(shape + components, self.dtype)
        grid = self._grid
        lo = tuple(s + r[0] * d for s, r, d in zip(grid.start, ranges, grid.step, strict=True))
        hi = tuple(s + r[-1] * d + 1 for s, r, d in zip(grid.start, ranges, grid.step, strict=True))
        wanted = tuple(r.step * d for r, d in zip(ranges, grid.step, strict=True))
        box = Box(lo, hi)
        level, step = self._coarsest(lo, wanted)
        samples = self._reader.read(self._field, time, box, level)
        strides = tuple(slice(None, None, w // s) for w, s in zip(wanted, step, strict=True))
        return samples[strides]

    def _coarsest(self, lo: Shape, wanted: Shape) -> tuple[int, Shape]:
        """The coarsest resolution that has every `wanted`-th sample from `lo`, and its steps."""
        for level in range(self._reader.max_resolution):
            step = samples_inside(self._reader.layout, self._reader.header.box, level).step
            if all(l % s == 0 and w % s == 0 for l, w, s in zip(lo, wanted, step, strict=True)):
                return level, step
        return self._reader.max_resolution, (1,) * len(lo)


def _dimensions(header: IdxHeader) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the axes, and that of time if there is such a dimension; all unlike each other."""
    rank = len(header.shape)
    names = header.axis_names
    if len(set(names)) != rank:
        names = _AXES[-rank:]
    taken = {field.name for field in header.fields}
    names = tuple(f"{name}_axis" if name in taken else name for name in names)
    time = "time" if "time" not in taken.union(names) else "timestep"
    return names, (time,) if header.timesteps > 1 else ()


def _component_dimension(header: IdxHeader, components: int) -> tuple[str, ...]:
    if components == 1:
        return ()
    counts = {field.components for field in header.fields if field.components > 1}
    return ("component",) if len(counts) == 1 else (f"component_{components}",)


def _attributes(header: IdxHeader) -> dict[str, Any]:
    """What the header holds beside; the matrix of a grid that is turned or sheared among it."""
    found: dict[str, Any] = dict(header.metadata)
    if header.matrix:
        found["logic_to_physic"] = np.array(header.matrix).reshape(-1)
    return found


def _coordinates(
    reader: IdxReader,
    axes: tuple[str, ...],
    time: tuple[str, ...],
    level: int,
    times: Times | None,
) -> dict[str, xr.Variable]:
    header = reader.header
    found = {}
    for axis, name in enumerate(axes):
        if header.axis_place(axis) is not None:
            unit = header.axis_unit(axis)
            attributes = {"units": unit} if unit else {}
            found[name] = xr.Variable((name,), reader.values(axis, level), attributes)
    if not time:
        return found
    if times is not None:
        attributes = {"units": times.units} if times.units else {}
        found[time[0]] = xr.Variable(time, times.values, attributes)
    elif header.timesteps <= _MAX_TIME_VALUES:
        values = np.concatenate([np.arange(r.start, r.stop, r.step) for r in header.time_ranges])
        found[time[0]] = xr.Variable(time, values)
    return found
