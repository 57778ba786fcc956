"""Chosen arrays of an HDF5 file as fields on a grid: axes, timesteps, names, metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import InvalidOptions
from scientistcloud.readers.arrays.attributes import json_value, number, text
from scientistcloud.readers.arrays.axis_letters import PARAMETER as AXES
from scientistcloud.readers.arrays.axis_letters import axes_choice, plan_of, told_letters
from scientistcloud.readers.arrays.axis_meanings import (
    Meaning,
    NamedAxis,
    consistent,
    meaning_of,
)
from scientistcloud.readers.arrays.axis_roles import AxisRoles, axis_indices, axis_labels
from scientistcloud.readers.arrays.axis_rules import CALLED_TIME, LAST_ARE_SPACE, AxisPlan, decide
from scientistcloud.readers.arrays.axis_values import MAX_COORDINATES, axis_of, coordinates
from scientistcloud.readers.base import Axis, Choice
from scientistcloud.readers.hdf5.bigdataviewer import setup_axes
from scientistcloud.readers.hdf5.catalogue import Catalogue, StoredArray
from scientistcloud.readers.hdf5.choice import Chosen
from scientistcloud.readers.hdf5.conventions import ToldAxis, told_axes
from scientistcloud.readers.hdf5.files import Hdf5Files, translated
from scientistcloud.readers.hdf5.imaris import imaris_axes
from scientistcloud.readers.hdf5.minc import minc_axes
from scientistcloud.readers.hdf5.nexus import children

_MAX_SPLIT = 64
_CONVENTIONS: tuple[Callable[[Catalogue, StoredArray], Sequence[ToldAxis]], ...] = (
    told_axes, imaris_axes, setup_axes, minc_axes,
)  # fmt: skip
_NAMED = "named by the parameter"


@dataclass(frozen=True, slots=True)
class StoredAxis:
    """One axis of an array as it is stored: its name and, where known, its coordinates.

    Attributes
    ----------
    meaning : Meaning or None
        What a convention of the file says of it; None where the name has to tell.
    """

    name: str
    values: NDArray[Any] | None = None
    units: str | None = None
    spacing: float | None = None
    origin: float | None = None
    meaning: Meaning | None = None

    def on_grid(self, length: int) -> Axis:
        axis = axis_of(self.name, self.values, length, self.units)
        if axis.spacing is None and self.spacing is not None:
            origin = axis.origin if axis.origin is not None else self.origin
            return Axis(self.name, self.spacing, origin, self.units)
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

    plan: AxisPlan
    axes: tuple[StoredAxis, ...]
    label: str = ""

    @property
    def roles(self) -> AxisRoles:
        return self.plan.roles

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

    def time_units(self) -> str | None:
        """The unit of the axis of time, where there is one alone."""
        return self.axes[self.roles.time[0]].units if len(self.roles.time) == 1 else None

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
    AmbiguousFormat
        An axis can be neither space nor fields.
    """
    main = chosen.arrays[0]
    axes = stored_axes(files, found, chosen)
    names = [axis.name for axis in axes]
    letters = told_letters(parameters.get(AXES), len(names))
    if letters is not None:
        plan = plan_of(letters, names, main.shape)
        return [Grid(plan, axes)], [axes_choice(plan)]
    named = _named(main, axes)
    time = axis_indices(parameters.get("time_axis"), "time_axis", names)
    if time:
        named = [_as_told(a, i in time) for i, a in enumerate(named)]
    elif parameters.get("time_axis") == "none":
        named = [replace(a, meaning=Meaning.UNKNOWN) for a in named]
    splits = axis_indices(parameters.get("split_axis"), "split_axis", names)
    if not splits:
        plan = decide(named, least=1 if time else 2)
        return [Grid(plan, axes)], [*_time_choice(plan, bool(time)), *_axes_choice(plan, named)]
    split = splits[0]
    count = main.shape[split]
    if count > _MAX_SPLIT:
        raise InvalidOptions(f"The parameter split_axis would make {count} datasets.")
    grids = [
        Grid(decide(named, least=1, fixed=[(split, i)]), axes, f"{axes[split].name}_{i}")
        for i in range(count)
    ]
    rule = Choice("split_axis", axis_labels(names)[split], "named by the parameter")
    return grids, [rule, *_time_choice(grids[0].plan, bool(time))]


def _named(main: StoredArray, axes: Sequence[StoredAxis]) -> list[NamedAxis]:
    """What is known of each axis, before anything is decided."""
    component = _component_axis(main)
    result = []
    for i, (axis, length) in enumerate(zip(axes, main.shape, strict=True)):
        meaning = axis.meaning if axis.meaning is not None else meaning_of(axis.name)
        meaning = Meaning.COLOUR if i == component else meaning
        result.append(NamedAxis(axis.name, length, meaning, axis.values is not None))
    return consistent(result) if all(a.meaning is None for a in axes) else result


def _as_told(axis: NamedAxis, is_time: bool) -> NamedAxis:
    """The axis where the parameter ``time_axis`` tells which are time."""
    if is_time:
        return replace(axis, meaning=Meaning.TIME)
    return replace(axis, meaning=Meaning.UNKNOWN) if axis.meaning is Meaning.TIME else axis


def _time_choice(plan: AxisPlan, is_told: bool) -> list[Choice]:
    if not plan.roles.time:
        return []
    labels = axis_labels(plan.names)
    chosen = ", ".join(labels[a] for a in plan.roles.time)
    shape = " x ".join(map(str, plan.roles.stored))
    rule = f"of the axes of {shape} samples {LAST_ARE_SPACE}"
    if is_told or LAST_ARE_SPACE not in plan.rules:
        rule = _NAMED if is_told else CALLED_TIME
    others = tuple(label for i, label in enumerate(labels) if i not in plan.roles.time)
    return [Choice("time_axis", chosen, rule, others)]


def _axes_choice(plan: AxisPlan, named: Sequence[NamedAxis]) -> list[Choice]:
    """Say how the axes were taken, where there was anything to decide."""
    long = sum(axis.length > 1 for axis in named)
    return [axes_choice(plan)] if long > 2 or plan.rules else []


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

    From the conventions of `hdf5.conventions`, from NeXus, from the dimension scales and labels of
    HDF5, from the ``dim`` vectors of EMD, or from ``element_size_um`` (Fiji); else the axes are
    named by their position.
    """
    main = chosen.arrays[0]
    told = next((t for tell in _CONVENTIONS if (t := tell(found, main))), ())
    if told:
        return tuple(
            StoredAxis(a.name, None, a.units, a.spacing, a.origin, a.meaning) for a in told
        )
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
