"""Datasets, fields and metadata made from the chosen arrays of one HDF5 file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scientistcloud.readers.arrays.attributes import json_value, number, text
from scientistcloud.readers.arrays.axis_roles import AxisRoles
from scientistcloud.readers.arrays.time_units import in_seconds
from scientistcloud.readers.base import Choice, DatasetSpec, FieldSpec
from scientistcloud.readers.files.output_names import output_name
from scientistcloud.readers.hdf5.bigdataviewer import setup_of
from scientistcloud.readers.hdf5.catalogue import Catalogue, StoredArray
from scientistcloud.readers.hdf5.choice import (
    NEXUS_4D_ROLES,
    Chosen,
    find_array,
    path_list,
)
from scientistcloud.readers.hdf5.conventions import iteration_times
from scientistcloud.readers.hdf5.files import Hdf5Files, translated
from scientistcloud.readers.hdf5.grids import Grid, field_attributes, grids_of
from scientistcloud.readers.hdf5.imaris import channel_name, step_times
from scientistcloud.readers.hdf5.minc import scaling_note
from scientistcloud.readers.hdf5.source import StoredField
from scientistcloud.readers.hdf5.types import Member, left_out
from scientistcloud.readers.hdf5.written import absence_of, fill_value

_MAX_ROLE_VALUES = 1_000_000


@dataclass(frozen=True)
class Opened:
    """One HDF5 file, catalogued, and what was chosen of it."""

    file: Path
    found: Catalogue
    chosen: list[Chosen]
    choices: tuple[Choice, ...]


@dataclass
class Built:
    """Datasets as they are put together."""

    datasets: list[DatasetSpec] = field(default_factory=list)
    fields: dict[str, StoredField] = field(default_factory=dict)
    choices: list[Choice] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [dataset.name for dataset in self.datasets]


def build(
    files: Hdf5Files, opened: Opened, parameters: Mapping[str, Any], built: Built, name: str = ""
) -> None:
    """Add the datasets of one file to `built`; the first is called `name`."""
    built.choices += opened.choices
    roles = nexus_4d_roles(files, opened.found, parameters)
    for chosen in opened.chosen:
        grids, choices = grids_of(files, opened.found, chosen, parameters)
        built.choices += choices
        for grid in grids:
            own = _name_of(chosen.arrays[0], grid)
            wanted = name if name and chosen is opened.chosen[0] and grid is grids[0] else own
            unique = output_name(wanted, built.names) if built.datasets else ""
            _add(files, built, opened, chosen, grid, unique, roles)


def _name_of(array: StoredArray, grid: Grid) -> str:
    """A name for a further output: of its array, or of its group where that says nothing."""
    plain = array.name if array.name.lower() not in ("data", "value", "signal") else ""
    parts = (plain or array.parent.strip("/").replace("/", "_"), grid.label)
    return "_".join(part for part in parts if part)


def _add(
    files: Hdf5Files,
    built: Built,
    opened: Opened,
    chosen: Chosen,
    grid: Grid,
    name: str,
    roles: Mapping[str, Any],
) -> None:
    specs = []
    for array in chosen.arrays:
        missing = left_out(array.dtype) if array.dtype.names else []
        if missing:
            built.notes.append(f"Of {array.path}, no numbers: {', '.join(missing)}.")
        scaled = scaling_note(opened.found, array)
        built.notes += [scaled] if scaled else []
        unwritten = _unwritten(files, array, chosen, built)
        for member in array.members:
            if member.vector and grid.roles.component is not None:
                continue
            for label, field_roles in grid.plan.each_field():
                key = f"{name}|{array.path}|{member.name}" + (f"|{label}" if label else "")
                stored = _stored(array, member, field_roles, chosen)
                built.fields[key] = stored
                spec = _field(key, array, member, stored, chosen)
                spec = replace(spec, name=_told_name(opened.found, array, spec.name))
                if label:
                    is_alone = len(chosen.arrays) == 1 and len(array.members) == 1
                    spec = replace(spec, name=label if is_alone else f"{spec.name} {label}")
                if spec.fill_value is None and unwritten is not None:
                    spec = replace(spec, fill_value=_exact(unwritten, member.dtype))
                specs.append(spec)
    metadata: dict[str, Any] = {
        "arrays": [text(array.path) for array in chosen.arrays],
        "file": text(opened.file.name),
        "stored_shape": list(grid.roles.stored),
        "coordinates": grid.about(),
        "filters": list(chosen.arrays[0].storage.filters if chosen.arrays[0].storage else ()),
    }
    if roles:
        metadata["4d_nexus"] = {"volume": text(chosen.arrays[0].path), **roles}
    times, time_units = in_seconds(_times(opened.found, grid, chosen), grid.time_units())
    built.datasets.append(
        DatasetSpec(
            name,
            grid.roles.shape,
            grid.grid_axes(),
            _with_unique_names(tuple(specs)),
            grid.roles.timesteps * max(1, len(chosen.step_times)),
            times,
            metadata,
            time_units,
        )
    )


def _told_name(found: Catalogue, array: StoredArray, name: str) -> str:
    """The name that the instrument gives a channel or a setup; else `name`."""
    setup = setup_of(found, array.path)
    return channel_name(found, array.path) or (setup.name if setup is not None else name)


def _unwritten(
    files: Hdf5Files, array: StoredArray, chosen: Chosen, built: Built
) -> float | int | None:
    """The fill value, where some of the array was never written; which is told."""
    missing = absence_of(files, chosen.places(array), array.shape)
    if missing is None:
        return None
    fill = fill_value(files.dataset(array.place))
    built.notes.append(missing.sentence(text(array.path), fill))
    return fill


def _times(found: Catalogue, grid: Grid, chosen: Chosen) -> tuple[float | str, ...]:
    if not chosen.step_times:
        return grid.times()
    told = step_times(found, chosen.step_times) or iteration_times(found, chosen.step_times)
    if grid.roles.timesteps == 1 and told:
        return told
    return tuple(float(t) for t in chosen.step_times) if grid.roles.timesteps == 1 else ()


def _stored(array: StoredArray, member: Member, roles: AxisRoles, chosen: Chosen) -> StoredField:
    chunks = array.storage.chunks if array.storage is not None else None
    chunk_bytes = math.prod(chunks) * array.dtype.itemsize if chunks else 0
    return StoredField(chosen.places(array), roles, member, chunk_bytes)


def _field(
    key: str, array: StoredArray, member: Member, stored: StoredField, chosen: Chosen
) -> FieldSpec:
    rank = len(array.shape)
    chunks = array.storage.chunks if array.storage is not None and array.storage.chunks else ()
    padded = ((1,) * (rank - len(chunks)) + tuple(chunks))[:rank]
    component = stored.roles.component
    attributes = array.attributes
    name = array.name
    if member.name:
        name = f"{array.name}.{member.name}" if len(chosen.arrays) > 1 else member.name
    fill = number(attributes.get("_FillValue", attributes.get("missing_value")))
    return FieldSpec(
        key,
        text(name),
        member.dtype,
        stored.roles.grid_chunks(padded),
        member.components if component is None else array.shape[component],
        stored.working_bytes,
        text(attributes["units"]).strip() or None if "units" in attributes else None,
        _exact(fill, member.dtype),
        {"path": text(array.path), **field_attributes(array)},
    )


def _exact(fill: float | int | None, dtype: np.dtype[Any]) -> float | int | None:
    """A fill value as a value of `dtype`; None where it is none."""
    if fill is None or dtype.kind == "f":
        return fill
    limits = np.iinfo(dtype)
    return int(fill) if float(fill).is_integer() and limits.min <= fill <= limits.max else None


def _with_unique_names(fields: tuple[FieldSpec, ...]) -> tuple[FieldSpec, ...]:
    """The fields, with their whole paths for names where short names would be equal."""
    names = [f.name for f in fields]
    return tuple(
        replace(f, name=str(f.attributes["path"]).strip("/")) if names.count(f.name) > 1 else f
        for f in fields
    )


def nexus_4d_roles(
    files: Hdf5Files, found: Catalogue, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """What the parameters ``Xs, Ys, presample, postsample`` name, for the metadata.

    Raises
    ------
    InvalidOptions
        One of them names nothing that is in the file.
    """
    result: dict[str, Any] = {}
    for role in NEXUS_4D_ROLES:
        arrays = [find_array(found, p, role) for p in path_list(parameters.get(role), role, found)]
        if arrays:
            result[role] = [_role(files, array) for array in arrays]
    return result


def _role(files: Hdf5Files, array: StoredArray) -> dict[str, Any]:
    about: dict[str, Any] = {"path": text(array.path), "shape": list(array.shape)}
    if "units" in array.attributes:
        about["units"] = text(array.attributes["units"])
    if array.problem is None and array.members and 0 < array.size <= _MAX_ROLE_VALUES:
        with translated(f"{array.path!r} of {files.name_of(array.place.file)}"):
            values = np.asarray(h5py.Dataset(files.dataset(array.place))[...])
        about["values"] = json_value(values.reshape(-1))
    return about
