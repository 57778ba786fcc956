"""Zarr stores as sources: images of OME, variables of CF, or plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scientistcloud.errors import InvalidOptions, UnsupportedDtype, UnsupportedLayout
from scientistcloud.readers.arrays.axis_roles import (
    AxisRoles,
    assign_roles,
    axis_indices,
    axis_labels,
)
from scientistcloud.readers.base import (
    Axis,
    Choice,
    Concurrency,
    DatasetSpec,
    Selection,
    SourceSpec,
)
from scientistcloud.readers.cf.datasets import datasets_of, described
from scientistcloud.readers.cf.grids import GridField, grids_of
from scientistcloud.readers.cf.source import CfSource, working_bytes
from scientistcloud.readers.cf.variables import Variable, Variables
from scientistcloud.readers.files.output_names import output_name
from scientistcloud.readers.zarr.built import Built, add_field, as_stored, unwritten
from scientistcloud.readers.zarr.images import add_images
from scientistcloud.readers.zarr.ome import OmeImage, images_of, with_colours
from scientistcloud.readers.zarr.store import Store, ZarrArray, load, open_store

_MAX_ALTERNATIVES = 20


def open_stores(files: Sequence[Path], selection: Selection) -> CfSource:
    """Open what the metadata `files` describe, by the rules in `readers.zarr`."""
    store = open_store(files, selection.root)
    built = Built(store)
    _check_any(store)
    wanted = _wanted(store, selection.parameters)
    shapes = {path: a.variable.shape for path, a in store.arrays.items()}
    images = with_colours(images_of(store.groups, shapes), store.folder)
    named = _named_images(images, wanted)
    if named or (images and not wanted):
        add_images(store, named or images, built)
    elif wanted:
        _plain(store, wanted, built, selection.parameters, "named by the parameter")
    elif _is_named(store):
        _variables(store, selection.parameters, built)
    else:
        rule = "the largest array of numbers"
        _plain(store, _largest(store), built, selection.parameters, rule)
    spec = SourceSpec(
        "OME-Zarr" if named or (images and not wanted) else "Zarr",
        tuple(built.datasets),
        tuple(files),
        tuple(built.choices),
        tuple(built.notes),
        described(_as_variables(store)),
    )
    return CfSource(spec, built.parts, lambda: None, Concurrency.THREADS)


def _check_any(store: Store) -> None:
    numbers = [a for a in store.arrays.values() if a.variable.dtype is not None]
    if not store.arrays:
        raise UnsupportedLayout(f"The Zarr store {store.name} holds no arrays.")
    if not numbers:
        one = next(iter(store.arrays.values()))
        raise UnsupportedDtype(
            f"The Zarr store {store.name} holds no array of numbers that can be shown: "
            f"{one.variable.path!r} is {one.dtype_name}."
        )
    if not any(a.is_written for a in numbers):
        raise unwritten(numbers[0])


def _wanted(store: Store, parameters: Mapping[str, Any]) -> list[ZarrArray]:
    value = parameters.get("dataset")
    if value in (None, "", []):
        return []
    names = value.split(",") if isinstance(value, str) else list(value)
    result = []
    for name in (str(n).strip().strip("/") for n in names):
        found = store.arrays.get(name)
        if found is None or found.variable.dtype is None:
            known = [p for p, a in store.arrays.items() if a.variable.dtype is not None]
            raise InvalidOptions(
                f"The parameter dataset names {name!r}, which is no array of numbers here.",
                remedy=f"Choose one of: {', '.join(known[:_MAX_ALTERNATIVES])}.",
            )
        if not found.is_written:
            raise unwritten(found)
        result.append(found)
    return result


def _named_images(images: list[OmeImage], wanted: list[ZarrArray]) -> list[OmeImage]:
    """The images that are wanted at their highest resolution, if nothing else is wanted."""
    by_array = {image.array: image for image in images}
    named = [by_array[a.variable.path] for a in wanted if a.variable.path in by_array]
    return named if len(named) == len(wanted) else []


def _largest(store: Store) -> list[ZarrArray]:
    """The largest array, and those beside it that have its shape."""
    usable = [a for a in store.arrays.values() if a.variable.dtype is not None and a.is_written]
    main = max(usable, key=lambda a: (min(len(a.variable.shape), 2), _size_bytes(a)))
    beside = [
        a
        for a in usable
        if a is not main
        and a.variable.shape == main.variable.shape
        and a.variable.group == main.variable.group
    ]
    return [main, *beside]


def _size_bytes(array: ZarrArray) -> int:
    dtype = array.variable.dtype
    return array.variable.size * (dtype.itemsize if dtype is not None else 0)


def _plain(
    store: Store,
    arrays: list[ZarrArray],
    built: Built,
    parameters: Mapping[str, Any],
    rule: str,
) -> None:
    """One dataset for the arrays of each shape."""
    for shape in dict.fromkeys(a.variable.shape for a in arrays):
        group = [a.variable for a in arrays if a.variable.shape == shape]
        if not shape:
            raise UnsupportedLayout(f"The array {group[0].path!r} is a single value.")
        names = group[0].dims or tuple(f"axis{i}" for i in range(len(shape)))
        time = axis_indices(parameters.get("time_axis"), "time_axis", names)
        roles = assign_roles(shape, time=time)
        built.datasets.append(_plain_dataset(built, group, names, roles))
        if roles.time and not any(c.parameter == "time_axis" for c in built.choices):
            chosen = ", ".join(axis_labels(names)[a] for a in roles.time)
            why = "the last three axes are space, those before are time"
            why = "named by the parameter" if time else why
            built.choices.append(Choice("time_axis", chosen, why))
    paths = [a.variable.path for a in arrays]
    others = [p for p, a in store.arrays.items() if a.variable.dtype is not None and p not in paths]
    built.choices.insert(
        0, Choice("dataset", ", ".join(paths), rule, tuple(others[:_MAX_ALTERNATIVES]))
    )


def _plain_dataset(
    built: Built, group: list[Variable], names: tuple[str, ...], roles: AxisRoles
) -> DatasetSpec:
    taken = [d.name for d in built.datasets]
    name = output_name(group[0].name, taken) if taken else ""
    fields = []
    for variable in group:
        unique = [v.name for v in group].count(variable.name) == 1
        member = GridField(variable, roles, as_stored(variable))
        fields.append(add_field(built, name, member, variable.name if unique else variable.path))
    return DatasetSpec(
        name,
        roles.shape,
        tuple(Axis(names[a]) for a in roles.space),
        tuple(fields),
        roles.timesteps,
        metadata={"arrays": [v.path for v in group], "stored_shape": list(roles.stored)},
    )


def _is_named(store: Store) -> bool:
    """Whether every array of numbers names its dimensions."""
    numbers = [a.variable for a in store.arrays.values() if a.variable.dtype is not None]
    return all(v.dims or not v.shape for v in numbers)


def _as_variables(store: Store) -> Variables:
    by_path = {
        p: a.variable
        if a.variable.dims or not a.variable.shape
        else replace(a.variable, dims=tuple(f"{p}_axis{i}" for i in range(len(a.variable.shape))))
        for p, a in store.arrays.items()
    }
    return Variables(by_path, frozenset(), lambda path: load(store.arrays[path]), store.groups)


def _variables(store: Store, parameters: Mapping[str, Any], built: Built) -> None:
    store = _written(store, built)
    variables = _as_variables(store)
    found = grids_of(variables, parameters, store.name)
    for dataset, members in datasets_of(variables, found, lambda m: working_bytes(m, 0)):
        fields = []
        for spec, member in zip(dataset.fields, members, strict=True):
            built.part(spec.key, member)
            absent = built.absent_value(member) if spec.fill_value is None else spec.fill_value
            fields.append(replace(spec, fill_value=absent))
        built.datasets.append(replace(dataset, fields=tuple(fields)))
    built.choices += found.choices
    built.notes += found.notes


def _written(store: Store, built: Built) -> Store:
    """The store without the variables of which nothing was stored.

    Series and single values are kept: where all are 0, writers leave even these away.
    """
    broad = [a for a in store.arrays.values() if sum(n > 1 for n in a.variable.shape) >= 2]
    absent = [a for a in broad if a.variable.dtype is not None and not a.is_written]
    if absent and len(absent) == len([a for a in broad if a.variable.dtype is not None]):
        raise unwritten(absent[0])
    built.notes += [f"Left out: {unwritten(array).message}" for array in absent]
    gone = {array.variable.path for array in absent}
    return replace(store, arrays={p: a for p, a in store.arrays.items() if p not in gone})
