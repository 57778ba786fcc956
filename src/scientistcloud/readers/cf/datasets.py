"""Grids of CF variables as dataset specifications: axes, times, CRS, metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.readers.arrays.attributes import MAX_VALUES, json_value, text
from scientistcloud.readers.arrays.axis_values import MAX_COORDINATES, axis_of, coordinates
from scientistcloud.readers.arrays.time_units import in_seconds
from scientistcloud.readers.base import Axis, DatasetSpec, FieldSpec
from scientistcloud.readers.cf.grids import CfGrid, CfGrids, GridField
from scientistcloud.readers.cf.packing import packing_of
from scientistcloud.readers.cf.time import is_time, iso_times
from scientistcloud.readers.cf.variables import Variable, Variables
from scientistcloud.readers.files.output_names import output_name

WorkingBytes = Callable[[GridField], int]
_MAX_SHORT = 1000


def datasets_of(
    variables: Variables, found: CfGrids, working_bytes: WorkingBytes
) -> list[tuple[DatasetSpec, tuple[GridField, ...]]]:
    """A specification for each grid, with its fields in the same order."""
    result: list[tuple[DatasetSpec, tuple[GridField, ...]]] = []
    for grid in found.grids:
        names = [spec.name for spec, _ in result]
        name = output_name(_grid_name(grid), names) if result else ""
        result.append((_dataset(variables, found, grid, name, working_bytes), grid.fields))
    return result


def described(variables: Variables) -> dict[str, Any]:
    """All attributes of the groups and variables, single values and short series, as JSON."""
    values: dict[str, Any] = {}
    for path, variable in variables.by_path.items():
        is_short = variable.size == 1 or (
            len(variable.dims) == 1 and 0 < variable.size <= MAX_VALUES
        )
        if is_short and variable.dtype is not None and len(values) < _MAX_SHORT:
            loaded = variables.load(path).reshape(-1)
            values[path] = json_value(loaded if variable.dims else loaded[0])
    return {
        "attributes": {
            path or "/": {text(k): json_value(v) for k, v in attributes.items()}
            for path, attributes in variables.attributes.items()
        },
        "variables": {
            text(path): {
                "dimensions": list(variable.dims),
                "shape": list(variable.shape),
                "dtype": str(variable.dtype) if variable.dtype is not None else "text or other",
                "attributes": {text(k): json_value(v) for k, v in variable.attributes.items()},
            }
            for path, variable in variables.by_path.items()
        },
        "values": values,
    }


def _grid_name(grid: CfGrid) -> str:
    if len({f.variable.path for f in grid.fields}) == 1:
        return grid.first.variable.path.replace("/", "_")
    return "_".join(d.rpartition("/")[2] for d in (*grid.first.time_dims, *grid.first.space_dims))


def _dataset(
    variables: Variables, found: CfGrids, grid: CfGrid, name: str, working_bytes: WorkingBytes
) -> DatasetSpec:
    first = grid.first
    axes, about = _axes(variables, first)
    metadata: dict[str, Any] = {"coordinates": about}
    mapping = _grid_mapping(variables, first.variable)
    if mapping is not None:
        metadata["crs"] = {text(k): json_value(v) for k, v in mapping.attributes.items()}
    curved = [v for v in found.roles.coordinates if set(v.dims) & set(first.space_dims)]
    if curved:
        metadata["curvilinear"] = {v.path: _extent(variables, v) for v in curved}
    fields = tuple(_field(name, f, working_bytes(f)) for f in grid.fields)
    times, time_units = _times(variables, first)
    return DatasetSpec(
        name,
        first.roles.shape,
        axes,
        _with_unique_names(fields, grid),
        first.roles.timesteps,
        times,
        metadata,
        time_units,
    )


def _field(dataset: str, member: GridField, working_bytes: int) -> FieldSpec:
    variable, roles = member.variable, member.roles
    chunks = variable.chunks or (1,) * len(variable.shape)
    component = roles.component
    return FieldSpec(
        f"{dataset}|{variable.path}" + (f"|{member.label}" if member.label else ""),
        f"{variable.name} {member.label}".strip(),
        member.packing.result,
        roles.grid_chunks(chunks),
        1 if component is None else variable.shape[component],
        working_bytes,
        variable.text("units") or None,
        member.packing.fill_value,
        {
            "path": variable.path,
            "stored_dtype": str(member.packing.stored),
            **{text(k): json_value(v) for k, v in variable.attributes.items()},
        },
    )


def _with_unique_names(fields: tuple[FieldSpec, ...], grid: CfGrid) -> tuple[FieldSpec, ...]:
    names = [f.name for f in fields]
    return tuple(
        replace(f, name=f"{member.variable.path} {member.label}".strip())
        if names.count(f.name) > 1
        else f
        for f, member in zip(fields, grid.fields, strict=True)
    )


def _axes(
    variables: Variables, member: GridField
) -> tuple[tuple[Axis, ...], dict[str, dict[str, Any]]]:
    axes, about = [], {}
    for position, dim in enumerate(member.variable.dims):
        length = member.variable.shape[position]
        coordinate = _coordinate(variables, member.variable, dim)
        values = values_of(variables, coordinate)
        name = dim.rpartition("/")[2]
        units = coordinate.text("units") if coordinate is not None else None
        axis = axis_of(name, values, length, units)
        if position in member.roles.space:
            axes.append((member.roles.space.index(position), axis))
        if coordinate is not None:
            about[dim] = {
                **_described(coordinate, values),
                **coordinates(values, axis),
            }
    return tuple(axis for _, axis in sorted(axes, key=lambda pair: pair[0])), about


def _described(coordinate: Variable, values: NDArray[Any] | None) -> dict[str, Any]:
    words = ("units", "standard_name", "long_name", "axis", "positive", "calendar")
    about: dict[str, Any] = {w: coordinate.text(w) for w in words if coordinate.text(w)}
    if values is not None and values.size > 1 and values.dtype.kind in "iuf":
        steps = np.diff(values.reshape(-1).astype(np.float64))
        if (steps > 0).all():
            about["direction"] = "increasing"
        elif (steps < 0).all():
            about["direction"] = "decreasing"
    return about


def _coordinate(variables: Variables, variable: Variable, dim: str) -> Variable | None:
    """The coordinates along `dim`: its own variable, or an auxiliary one of it alone."""
    own = variables.coordinate(dim)
    if own is not None:
        return own
    named = [variables.lookup(n, variable.group) for n in variable.words("coordinates")]
    lines = [v for v in named if v is not None and v.dims == (dim,) and v.dtype is not None]
    if not lines:
        every = variables.by_path.values()
        lines = [v for v in every if v.dims == (dim,) and v.dtype is not None and is_time(v)]
    return lines[0] if lines else None


def values_of(variables: Variables, variable: Variable | None) -> NDArray[Any] | None:
    """The unpacked values of a coordinate; None where there are none, or far too many."""
    if variable is None or variable.dtype is None or not 0 < variable.size <= MAX_COORDINATES:
        return None
    packing = packing_of(variable.dtype, variable.attributes)
    raw = variables.load(variable.path)
    out = np.empty(raw.shape, packing.result)
    packing.unpack(raw, out)
    return out


Times = tuple[tuple[float | str, ...], str | None]
"""What timesteps stand for, and the unit of numbers."""


def _times(variables: Variables, member: GridField) -> Times:
    roles, variable = member.roles, member.variable
    time = roles.time
    if not time:
        # A single time was dropped as an axis, but is still known.
        singles = [d for d, n in zip(variable.dims, variable.shape, strict=True) if n == 1]
        known = [_coordinate(variables, variable, d) for d in singles]
        single = next((c for c in known if c is not None and is_time(c)), None)
        return ((), None) if single is None else _time_values(variables, single)
    if len(time) == 1:
        coordinate = _coordinate(variables, variable, variable.dims[time[0]])
        if coordinate is None or coordinate.shape != (roles.timesteps,):
            return (), None
        return _time_values(variables, coordinate)
    joined = tuple(
        " ".join(f"{variable.dims[a]}={i}" for a, i in zip(time, roles.positions(t), strict=True))
        for t in range(roles.timesteps)
    )
    return joined, None


def _time_values(variables: Variables, coordinate: Variable) -> Times:
    values = values_of(variables, coordinate)
    if values is None:
        return (), None
    if not is_time(coordinate) or " since " not in coordinate.text("units").lower():
        finite = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
        numbers = tuple(float(v) for v in values) if finite.all() else ()
        return in_seconds(numbers, coordinate.text("units"))
    return iso_times(values, coordinate.text("units"), coordinate.text("calendar")), None


def _grid_mapping(variables: Variables, variable: Variable) -> Variable | None:
    for word in variable.words("grid_mapping"):
        found = variables.lookup(word.rstrip(":"), variable.group)
        if found is not None:
            return found
    return None


def _extent(variables: Variables, coordinate: Variable) -> dict[str, Any]:
    values = values_of(variables, coordinate)
    about: dict[str, Any] = {"dimensions": list(coordinate.dims), "units": coordinate.text("units")}
    if values is not None and np.isfinite(values).any():
        about["minimum"] = json_value(np.nanmin(values))
        about["maximum"] = json_value(np.nanmax(values))
    return about
