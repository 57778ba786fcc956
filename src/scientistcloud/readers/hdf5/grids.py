"""Chosen arrays of an HDF5 file as fields on a grid: axes, timesteps, names, metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import InvalidOptions
from scientistcloud.readers.arrays.attributes import json_value, number, text
from scientistcloud.readers.arrays.axis_roles import (
    AxisRoles,
    assign_roles,
    axis_indices,
    axis_labels,
)
from scientistcloud.readers.arrays.axis_values import MAX_COORDINATES, axis_of, coordinates
from scientistcloud.readers.base import Axis, Choice
from scientistcloud.readers.hdf5.catalogue import Catalogue, StoredArray
from scientistcloud.readers.hdf5.choice import Chosen
from scientistcloud.readers.hdf5.files import Hdf5Files, translated
from scientistcloud.readers.hdf5.nexus import children

_MAX_SPLIT = 64
_TIME_NAMES = frozenset(("t", "time"))
_NAMED, _CALLED = "named by the parameter", "the file calls this axis time"


@dataclass(frozen=True, slots=True)
class StoredAxis:
    """One axis of an array as it is stored: its name and, where known, its coordinates."""

    name: str
    values: NDArray[Any] | None = None
    units: str | None = None
    spacing: float | None = None

    def on_grid(self, length: int) -> Axis:
        axis = axis_of(self.name, self.values, length, self.units)
        if axis.spacing is None and self.spacing is not None:
            return Axis(self.name, self.spacing, axis.origin, self.units)
        return axis


@dataclass(frozen=True, slots=True)
class Grid:
    """One array with the roles of its axes.

    Attributes
    ----------
    axes : tuple of StoredAxis
        One for each stored axis.
    label : str
        What tells this grid from others of the same array; empty where there are none.
    """

    roles: AxisRoles
    axes: tuple[StoredAxis, ...]
    label: str = ""

    def grid_axes(self) -> tuple[Axis, ...]:
        return tuple(self.axes[a].on_grid(self.roles.stored[a]) for a in self.roles.space)

    def times(self) -> tuple[float | str, ...]:
        """What each timestep stands for, from the coordinates of the axes of time."""
        if not self.roles.time:
            return ()
        axes = [self.axes[a] for a in self.roles.time]
        if len(axes) == 1:
            values, length = axes[0].values, self.roles.timesteps
            known = values is not None and values.shape == (length,) and values.dtype.kind in "iuf"
            return tuple(float(v) for v in values) if known and values is not None else ()
        return tuple(
            " ".join(
                f"{axis.name}={i}" for axis, i in zip(axes, self.roles.positions(t), strict=True)
            )
            for t in range(self.roles.timesteps)
        )

    def about(self) -> dict[str, Any]:
        """The coordinates of all stored axes, as JSON."""
        result = {}
        for position, axis in enumerate(self.axes):
            about = coordinates(axis.values, axis.on_grid(self.roles.stored[position]))
            if about:
                units = {"units": axis.units} if axis.units else {}
                result[axis.name] = {"stored_axis": position, **units, **about}
        return result


def grids_of(
    files: Hdf5Files, found: Catalogue, chosen: Chosen, parameters: Mapping[str, Any]
) -> tuple[list[Grid], list[Choice]]:
    """The grids that `chosen` becomes: one, or several where the parameter ``split_axis`` says so.

    Raises
    ------
    InvalidOptions
        A parameter names an axis that is not there.
    """
    main = chosen.arrays[0]
    axes = stored_axes(files, found, chosen)
    names = [axis.name for axis in axes]
    component = _component_axis(main)
    time, why = axis_indices(parameters.get("time_axis"), "time_axis", names), _NAMED
    splits = axis_indices(parameters.get("split_axis"), "split_axis", names)
    if not splits and parameters.get("time_axis") in (None, ""):
        time, why = _called_time(names, component), _CALLED
    if splits:
        split = splits[0]
        count = main.shape[split]
        if count > _MAX_SPLIT:
            raise InvalidOptions(f"The parameter split_axis would make {count} datasets.")
        grids = [
            Grid(
                assign_roles(main.shape, time=time, component=component, fixed=[(split, i)]),
                axes,
                f"{axes[split].name}_{i}",
            )
            for i in range(count)
        ]
        rule = Choice("split_axis", axis_labels(names)[split], "named by the parameter")
        return grids, [rule, *_time_choice(grids[0], why if time else "")]
    grid = Grid(assign_roles(main.shape, time=time, component=component), axes)
    return [grid], _time_choice(grid, why if time else "")


def _called_time(names: Sequence[str], component: int | None) -> list[int]:
    """The axis that the file calls time, where three others are left for space."""
    called = [i for i, name in enumerate(names) if name.casefold() in _TIME_NAMES]
    space = len(names) - (component is not None) - 1
    return called if len(called) == 1 and space >= 3 else []


def _time_choice(grid: Grid, why: str) -> list[Choice]:
    if not grid.roles.time:
        return []
    labels = axis_labels([axis.name for axis in grid.axes])
    chosen = ", ".join(labels[a] for a in grid.roles.time)
    shape = " x ".join(map(str, grid.roles.stored))
    rule = why or f"of the axes of {shape} samples the last three are space, those before are time"
    others = tuple(label for i, label in enumerate(labels) if i not in grid.roles.time)
    return [Choice("time_axis", chosen, rule, others)]


def _component_axis(array: StoredArray) -> int | None:
    """The axis of colours, where the array says that it is a colour image.

    By NeXus (``interpretation``) and the HDF5 Image Specification 1.2 (``INTERLACE_MODE``).
    """
    attributes = array.attributes
    kind = text(attributes.get("interpretation", ""))
    subclass = text(attributes.get("IMAGE_SUBCLASS", ""))
    rank = len(array.shape)
    if rank < 3:
        return None
    axis = None
    if kind in ("rgb-image", "rgba-image"):
        axis = rank - 1
    elif subclass == "IMAGE_TRUECOLOR":
        axis = 0 if "PLANE" in text(attributes.get("INTERLACE_MODE", "")) else rank - 1
    return axis if axis is not None and 2 <= array.shape[axis] <= 4 else None


def stored_axes(files: Hdf5Files, found: Catalogue, chosen: Chosen) -> tuple[StoredAxis, ...]:
    """Names and coordinates of the stored axes of an array.

    From NeXus, from the dimension scales and labels of HDF5, from the ``dim`` vectors of EMD, or
    from ``element_size_um`` (Fiji); else the axes are named by their position.
    """
    main = chosen.arrays[0]
    result = []
    sizes = np.asarray(main.attributes.get("element_size_um", ())).reshape(-1)
    for i, length in enumerate(main.shape):
        array = chosen.axes[i] if i < len(chosen.axes) else None
        name = chosen.axis_names[i] if i < len(chosen.axis_names) else ""
        if array is None and not name:
            name, array = _scale(files, found, main, i)
        if array is None and not name:
            name, array = _emd_axis(found, main, i)
        values = _values(files, array)
        if values is not None and len(values) == 2 != length and name.startswith("dim"):
            values = values[0] + (values[1] - values[0]) * np.arange(length)
        units = text(array.attributes["units"]) if array and "units" in array.attributes else None
        if array is not None and name.startswith("dim") and "name" in array.attributes:
            name = text(array.attributes["name"]) or name
        size = number(sizes[i]) if len(sizes) == len(main.shape) else None
        units = units or ("um" if size else None)
        result.append(StoredAxis(name or f"axis{i}", values, units, size))
    return tuple(result)


def _values(files: Hdf5Files, array: StoredArray | None) -> NDArray[Any] | None:
    if array is None or array.problem is not None or len(array.shape) != 1:
        return None
    if array.dtype.kind not in "iuf" or not 0 < array.size <= MAX_COORDINATES:
        return None
    with translated(f"{array.path!r} of {files.name_of(array.place.file)}"):
        return np.asarray(h5py.Dataset(files.dataset(array.place))[...])


def _scale(
    files: Hdf5Files, found: Catalogue, main: StoredArray, axis: int
) -> tuple[str, StoredArray | None]:
    """The label of an axis and the dimension scale attached to it."""
    if not {"DIMENSION_LIST", "DIMENSION_LABELS"} & set(main.attributes):
        return "", None
    with translated(f"{main.path!r} of {files.name_of(main.place.file)}"):
        dimension = h5py.Dataset(files.dataset(main.place)).dims[axis]
        label = text(dimension.label)
        name = str(dimension[0].name or "") if len(dimension) else ""
    array = found.array(name) if name else None
    return label or name.rpartition("/")[2], array


def _emd_axis(found: Catalogue, main: StoredArray, axis: int) -> tuple[str, StoredArray | None]:
    """The ``dim`` vector of EMD, counted from 0 (py4DSTEM) or from 1 (the 2014 draft)."""
    group = found.groups.get(main.parent, {})
    if not {"emd_group_type"} & set(group):
        return "", None
    siblings = children(found, main.parent)
    name = f"dim{axis if 'dim0' in siblings else axis + 1}"
    return (name, siblings[name]) if name in siblings else ("", None)


def field_attributes(array: StoredArray) -> dict[str, Any]:
    """The attributes of an array, as JSON."""
    return {name: json_value(v) for name, v in array.attributes.items() if name != "DIMENSION_LIST"}
