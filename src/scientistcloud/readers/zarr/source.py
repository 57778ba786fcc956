"""Zarr stores as sources: images of OME, variables of CF, or plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scientistcloud.errors import InvalidOptions, UnsupportedDtype, UnsupportedLayout
from scientistcloud.readers.arrays.axis_letters import PARAMETER as AXES
from scientistcloud.readers.arrays.axis_letters import (
    axes_choice,
    check_used,
    plan_of,
    told_letters,
)
from scientistcloud.readers.arrays.axis_meanings import (
    Meaning,
    NamedAxis,
    consistent,
    meaning_of,
)
from scientistcloud.readers.arrays.axis_roles import axis_indices, axis_labels
from scientistcloud.readers.arrays.axis_rules import AxisPlan, decide
from scientistcloud.readers.arrays.text_bytes import could_be_text, is_text, lines_of
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
from scientistcloud.readers.zarr.store import Store, ZarrArray, load, open_store, read

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
    check_used(selection.parameters.get(AXES), built.choices)
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
    """The largest array, and those beside it that have its shape; text is none."""
    usable = [a for a in store.arrays.values() if a.variable.dtype is not None and a.is_written]
    by_size = sorted(usable, key=lambda a: (-min(len(a.variable.shape), 2), -_size_bytes(a)))
    main = next((a for a in by_size if not _is_text(a)), None)
    if main is None:
        raise UnsupportedDtype(f"The Zarr store {store.name} holds nothing but text.")
    beside = [
        a
        for a in usable
        if a is not main
        and a.variable.shape == main.variable.shape
        and a.variable.group == main.variable.group
        and not _is_text(a)
    ]
    return [main, *beside]


_MOST_LOOKED_AT_BYTES = 64 << 20


def _is_text(array: ZarrArray) -> bool:
    """Whether bytes are text (JSON, a log), by a look at some of them."""
    variable = array.variable
    if variable.dtype is None or not could_be_text(variable.dtype) or variable.size < 2:
        return False
    if variable.chunk_bytes > _MOST_LOOKED_AT_BYTES:
        return False  # one chunk would be decoded as a whole
    blocks = [read(array, line) for line in lines_of(variable.shape)]
    return any(is_text(block, is_whole=block.size == variable.size) for block in blocks)


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
        plan, choices = _plan(group[0], parameters)
        built.datasets.append(_plain_dataset(built, group, plan))
        known = {c.parameter for c in built.choices}
        built.choices += [c for c in choices if c.parameter not in known]
    paths = [a.variable.path for a in arrays]
    others = [p for p, a in store.arrays.items() if a.variable.dtype is not None and p not in paths]
    built.choices.insert(
        0, Choice("dataset", ", ".join(paths), rule, tuple(others[:_MAX_ALTERNATIVES]))
    )


def _plan(variable: Variable, parameters: Mapping[str, Any]) -> tuple[AxisPlan, list[Choice]]:
    """The roles of the axes of a plain array."""
    shape = variable.shape
    names = variable.dims or tuple(f"axis{i}" for i in range(len(shape)))
    letters = told_letters(parameters.get(AXES), len(shape))
    if letters is not None:
        plan = plan_of(letters, names, shape)
        return plan, [axes_choice(plan)]
    time = axis_indices(parameters.get("time_axis"), "time_axis", names)
    axes = consistent([NamedAxis(n, k, meaning_of(n)) for n, k in zip(names, shape, strict=True)])
    if time or parameters.get("time_axis") == "none":
        meanings = [Meaning.TIME if i in time else Meaning.UNKNOWN for i in range(len(shape))]
        axes = [replace(a, meaning=m) for a, m in zip(axes, meanings, strict=True)]
    plan = decide(axes, least=1 if time else 2)
    choices = [axes_choice(plan)] if sum(n > 1 for n in shape) > 2 or plan.rules else []
    if plan.roles.time:
        chosen = ", ".join(axis_labels(names)[a] for a in plan.roles.time)
        why = "named by the parameter" if time else f"the axes of {variable.path!r}: {plan.rule}"
        choices.insert(0, Choice("time_axis", chosen, why))
    return plan, choices


def _plain_dataset(built: Built, group: list[Variable], plan: AxisPlan) -> DatasetSpec:
    taken = [d.name for d in built.datasets]
    name = output_name(group[0].name, taken) if taken else ""
    fields = []
    for variable in group:
        unique = [v.name for v in group].count(variable.name) == 1
        title = variable.name if unique else variable.path
        for label, roles in plan.each_field():
            member = GridField(variable, roles, as_stored(variable), label)
            fields.append(add_field(built, name, member, f"{title} {label}".strip()))
    return DatasetSpec(
        name,
        plan.roles.shape,
        tuple(Axis(plan.names[a]) for a in plan.roles.space),
        tuple(fields),
        plan.roles.timesteps,
        metadata={"arrays": [v.path for v in group], "stored_shape": list(plan.roles.stored)},
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
