"""Datasets of a Zarr store as they are put together, and where their samples come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from scientistcloud.errors import MissingMember
from scientistcloud.readers.arrays.attributes import json_value, text
from scientistcloud.readers.base import Choice, DatasetSpec, FieldSpec
from scientistcloud.readers.cf.grids import GridField
from scientistcloud.readers.cf.packing import Packing
from scientistcloud.readers.cf.source import CfPart, working_bytes
from scientistcloud.readers.cf.variables import Variable
from scientistcloud.readers.zarr.store import Store, ZarrArray, read


class Built:
    """Datasets, and how their fields are read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.datasets: list[DatasetSpec] = []
        self.parts: dict[str, tuple[CfPart, ...]] = {}
        self.choices: list[Choice] = []
        self.notes: list[str] = list(store.notes)

    def part(self, key: str, member: GridField) -> None:
        array = self._store.arrays[member.variable.path]
        if array.absence.is_partial:
            self.notes.append(array.absence.sentence(array.variable.path, array.fill_value))

        def stored(_: GridField, selection: tuple[slice, ...]) -> Any:
            return read(array, selection)

        self.parts[key] = (CfPart(member, stored),)

    def absent_value(self, member: GridField) -> float | int | None:
        """What stands for the chunks that are not there; None where all are, or it is unpacked."""
        array = self._store.arrays[member.variable.path]
        is_told = array.absence.is_partial and member.packing.is_plain
        return array.fill_value if is_told else None


def unwritten(array: ZarrArray) -> MissingMember:
    return MissingMember(
        f"None of the chunks of {array.variable.path!r} were uploaded, or ever written.",
        remedy="Upload the whole folder of the store, with all files below it.",
    )


def add_field(
    built: Built, dataset: str, member: GridField, name: str, channel: int | None = None
) -> FieldSpec:
    variable, roles = member.variable, member.roles
    key = f"{dataset}|{variable.path}|{'' if channel is None else channel}|{member.label}"
    built.part(key, member)
    component = roles.component
    attributes = {text(k): json_value(v) for k, v in variable.attributes.items()}
    return FieldSpec(
        key,
        name,
        member.packing.result,
        roles.grid_chunks(variable.chunks or (1,) * len(variable.shape)),
        variable.shape[component] if component is not None else 1,
        working_bytes(member, 0),
        variable.text("units") or None,
        built.absent_value(member),
        {"path": variable.path, **attributes},
    )


def as_stored(variable: Variable) -> Packing:
    dtype = variable.dtype if variable.dtype is not None else np.dtype("u1")
    return Packing(dtype, dtype)
