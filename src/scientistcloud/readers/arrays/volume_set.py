"""Several files of volumes become one source: timesteps, slices, fields or further datasets.

Rules, where the parameter ``arrangement`` does not say ``timesteps`` (``time``), ``slices``
(``depth``), ``fields`` or ``datasets``:

1. Files on one grid whose names differ only in their numbers are a series: images become slices
   of a stack, volumes become timesteps. Their order is the natural order of the names.
2. Files on one grid whose names differ in words are the fields of one dataset.
3. Files on unlike grids become datasets of their own; the largest is the main one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scientistcloud.errors import InvalidOptions, UnlikeSlices
from scientistcloud.readers.arrays.axis_letters import PARAMETER as AXES
from scientistcloud.readers.arrays.axis_letters import check_used
from scientistcloud.readers.arrays.raw_array import BoxReader, RawSource, RawStack, StackPart
from scientistcloud.readers.arrays.raw_grid import MAX_FIELDS, Volume
from scientistcloud.readers.arrays.turned import turned
from scientistcloud.readers.base import Axis, Choice, DatasetSpec, FieldSpec, SourceSpec
from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.files.output_names import output_name
from scientistcloud.readers.files.scratch_pool import ScratchPool

_PARAMETER = "arrangement"
_WAYS = ("timesteps", "slices", "fields", "datasets")
_SPELLINGS = {"time": "timesteps", "depth": "slices"}
"""What the same is called for files of one image (`sequence`)."""
_NUMBER = re.compile(r"\d+")

Part = tuple[DatasetSpec, dict[str, BoxReader]]


def open_volumes(
    volumes: Sequence[Volume],
    format_name: str,
    parameters: Mapping[str, Any],
    pool: FilePool,
    unless_told: tuple[str, str] | None = None,
) -> RawSource:
    """Arrange `volumes` by the rules above; the source closes `pool`.

    Parameters
    ----------
    unless_told : (str, str), optional
        The way, and the rule that it follows, of a format whose volumes do not go by their names.

    Raises
    ------
    InvalidOptions, UnlikeSlices
        The parameter ``arrangement`` asks for what these files cannot be.
    """
    if format_name != "NumPy archive":  # whose arrays have their axes by name already
        volumes = [turned(v, parameters.get(AXES)) for v in volumes]
        check_used(parameters.get(AXES), (c for v in volumes for c in v.choices))
    volumes = _renamed(volumes)
    way, rule = _choose(volumes, parameters.get(_PARAMETER))
    if unless_told is not None and parameters.get(_PARAMETER) is None:
        way, rule = unless_told
    if way == "datasets":
        parts = _datasets(volumes)
    elif way == "fields":
        parts = [_fields(volumes)]
    else:
        parts = [_series(volumes, in_time=way == "timesteps")]
    choices = tuple(dict.fromkeys(c for v in volumes for c in v.choices))
    if len(volumes) > 1:
        choices = (Choice(_PARAMETER, way, rule, _others(volumes, way)), *choices)
    spec = SourceSpec(
        format_name,
        tuple(dataset for dataset, _ in parts),
        tuple(path for v in volumes for path in v.inputs),
        choices,
        (*dict.fromkeys(n for v in volumes for n in v.notes), *_pool_notes(pool)),
        dict(volumes[0].metadata),
    )
    return RawSource(spec, {k: r for _, readers in parts for k, r in readers.items()}, pool)


def _pool_notes(pool: FilePool) -> tuple[str, ...]:
    return pool.notes if isinstance(pool, ScratchPool) else ()


def _renamed(volumes: Sequence[Volume]) -> list[Volume]:
    """The volumes under names that tell them apart: without their folders where that does."""
    short = [v.name.rpartition("/")[2] for v in volumes]
    if len(set(short)) < len(short):
        short = [v.name for v in volumes]
    names: dict[str, None] = {}
    for name in short:
        unique, number = name, 2
        while unique in names:
            unique, number = f"{name}_{number}", number + 1
        names[unique] = None
    return [replace(v, name=name) for v, name in zip(volumes, names, strict=True)]


def _others(volumes: Sequence[Volume], way: str) -> tuple[str, ...]:
    """The other ways that these files can be arranged in."""
    if len({(v.shape, v.timesteps) for v in volumes}) > 1:
        return ()
    can_be = {"datasets", "fields"}
    if len({_sample(v) for v in volumes}) == 1:
        can_be |= {"timesteps", "slices"} if len(volumes[0].shape) <= 2 else {"timesteps"}
    return tuple(w for w in _WAYS if w in can_be and w != way)


def _choose(volumes: Sequence[Volume], wanted: object) -> tuple[str, str]:
    if isinstance(wanted, str):
        wanted = _SPELLINGS.get(wanted, wanted)
    if wanted is not None and wanted not in _WAYS:
        raise InvalidOptions(
            f"The parameter arrangement={wanted!r} is none of: {', '.join(_WAYS)}."
        )
    if len(volumes) == 1:
        return "datasets", "a single file"
    if wanted is not None:
        if wanted in ("timesteps", "slices", "fields"):
            _check_one_grid(volumes, str(wanted))
        return str(wanted), "the parameter arrangement"
    if len({_grid(v) for v in volumes}) > 1:
        return "datasets", "files on unlike grids are datasets of their own"
    single = all(v.timesteps == 1 for v in volumes)
    wordings = {_NUMBER.sub("#", v.name).casefold() for v in volumes}
    if single and len(wordings) == 1 and len({_sample(v) for v in volumes}) == 1:
        if len(volumes[0].shape) <= 2:
            return "slices", "images of one grid, numbered in their names, are slices"
        return "timesteps", "volumes of one grid, numbered in their names, are timesteps"
    if sum(len(v.fields) for v in volumes) > MAX_FIELDS:
        return "datasets", f"more than {MAX_FIELDS} fields would be too many for one dataset"
    return "fields", "files on one grid are fields of one dataset"


def _grid(volume: Volume) -> tuple[Any, ...]:
    places = tuple(
        None if value is None else float(f"{value:.5g}")
        for axis in volume.axes
        for value in (axis.spacing, axis.origin)
    )
    turn = tuple(float(f"{v:.5g}") for row in volume.matrix for v in row)
    return volume.shape, volume.timesteps, places, turn


def _sample(volume: Volume) -> tuple[Any, ...]:
    return tuple((f.key, f.dtype, f.components) for f in volume.fields)


def _check_one_grid(volumes: Sequence[Volume], way: str) -> None:
    for volume in volumes[1:]:
        if volume.shape != volumes[0].shape or volume.timesteps != volumes[0].timesteps:
            raise UnlikeSlices(
                f"{volume.name} and {volumes[0].name} differ in shape and cannot be {way} of one "
                "dataset."
            )
        if way != "fields" and _sample(volume) != _sample(volumes[0]):
            raise UnlikeSlices(f"{volume.name} and {volumes[0].name} differ in type of sample.")


def _dataset(volume: Volume, name: str, prefix: str) -> Part:
    fields = tuple(replace(f, key=prefix + f.key) for f in volume.fields)
    spec = DatasetSpec(
        name,
        volume.shape,
        volume.axes,
        fields,
        volume.timesteps,
        volume.times,
        volume.metadata,
        volume.time_units,
        volume.matrix,
    )
    return spec, {prefix + key: reader for key, reader in volume.readers.items()}


def _datasets(volumes: Sequence[Volume]) -> list[Part]:
    main = max(
        range(len(volumes)), key=lambda i: (_dataset(volumes[i], "", "")[0].samples_bytes, -i)
    )
    order = [main, *(i for i in range(len(volumes)) if i != main)]
    parts: list[Part] = []
    for i in order:
        name = output_name(volumes[i].name, [d.name for d, _ in parts]) if parts else ""
        parts.append(_dataset(volumes[i], name, f"{i}:"))
    return parts


def _fields(volumes: Sequence[Volume]) -> Part:
    spec, readers = _dataset(volumes[0], "", "0:")
    fields: list[FieldSpec] = []
    for i, volume in enumerate(volumes):
        part, more = _dataset(volume, "", f"{i}:")
        readers |= more
        alone = len(part.fields) == 1
        fields += [
            replace(f, name=volume.name if alone else f"{volume.name} {f.name}")
            for f in part.fields
        ]
    metadata = {v.name: dict(v.metadata) for v in volumes}
    return replace(spec, fields=tuple(fields), metadata=metadata), readers


def _series(volumes: Sequence[Volume], *, in_time: bool) -> Part:
    spec, _ = _dataset(volumes[0], "", "0:")
    readers: dict[str, BoxReader] = {}
    for f, first in zip(spec.fields, volumes[0].fields, strict=True):
        arrays = [v.readers[first.key] for v in volumes]
        parts = tuple(a for a in arrays if isinstance(a, StackPart))
        if len(parts) != len(arrays):
            raise InvalidOptions("Data that lie in several files each cannot be put into a series.")
        if not in_time:
            parts = tuple(p.as_slice() for p in parts)
        readers[f.key] = RawStack(parts, in_time)
    if in_time:
        steps = len(volumes) * spec.timesteps
        return replace(spec, timesteps=steps, times=(), time_units=None), readers
    if len(spec.shape) > 2:
        raise InvalidOptions("Only images, not volumes, can become slices of a stack.")
    fields = tuple(replace(f, chunks=(1, *f.chunks)) for f in spec.fields)
    axes = (Axis("z"), *spec.axes)
    shape = (len(volumes), *spec.shape)
    return replace(spec, shape=shape, axes=axes, fields=fields, matrix=()), readers
