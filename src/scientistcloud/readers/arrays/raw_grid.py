"""From the axes that a header describes to a grid: space, time and components of a raw array.

1. The first three axes of space (as the format orders them, the fastest last) are the grid; an
   axis of space beyond them, and an axis that the format calls time, is time.
2. Axes of length 1 are dropped from space, so that a single slice is an image and not a volume.
3. Up to four components are one field; more become a field each, because viewers show up to four.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from scientistcloud.errors import CorruptSource, UnsupportedDtype, UnsupportedLayout
from scientistcloud.readers.arrays.axis_roles import MAX_TIMESTEPS
from scientistcloud.readers.arrays.raw_array import BoxReader, RawArray, RawStack, Scale
from scientistcloud.readers.arrays.time_units import in_seconds
from scientistcloud.readers.base import Axis, Choice, FieldSpec, Matrix

MAX_COMPONENTS = 4
MAX_FIELDS = 256

Role = Literal["space", "time", "component"]


@dataclass(frozen=True, slots=True)
class StoredAxis:
    """One axis of the array in the file; `stride` is in bytes."""

    length: int
    stride: int
    axis: Axis
    role: Role = "space"


@dataclass(frozen=True, slots=True)
class Volume:
    """One file understood: fields on one grid, not yet arranged with other files.

    Attributes
    ----------
    name : str
        The name of the file, relative to the upload, without its suffix.
    readers : Mapping
        For each `FieldSpec.key` where its samples come from.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[Axis, ...]
    fields: tuple[FieldSpec, ...]
    readers: Mapping[str, BoxReader]
    inputs: tuple[Path, ...]
    timesteps: int = 1
    times: tuple[float | str, ...] = ()
    time_units: str | None = None
    matrix: Matrix = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()


def sample_dtype(stored: np.dtype[Any], scale: Scale | None, name: str) -> np.dtype[Any]:
    """The type of the samples that `Source.read` gives for a stored type.

    Raises
    ------
    UnsupportedDtype
        Complex numbers, long doubles and whatever else viewers cannot show.
    """
    if stored.kind == "c":
        raise UnsupportedDtype(
            f"{name} holds complex numbers.",
            remedy="Export magnitude and phase, or real and imaginary part, as separate data.",
        )
    if stored.kind == "b":
        return np.dtype("u1")
    if stored.kind not in "iuf" or stored.itemsize > 8:
        raise UnsupportedDtype(f"{name} holds samples of the type {stored}.")
    return scale.dtype_of(stored) if scale is not None else stored.newbyteorder("=")


def make_volume(
    path: Path,
    name: str,
    offset: int,
    dtype: np.dtype[Any],
    stored: Sequence[StoredAxis],
    *,
    scale: Scale | None = None,
    flip_sign: bool = False,
    units: str | None = None,
    fill_value: float | int | None = None,
    metadata: Mapping[str, Any] | None = None,
    choices: tuple[Choice, ...] = (),
    notes: tuple[str, ...] = (),
    matrix: Matrix = (),
) -> Volume:
    """The volume of an array whose `stored` axes come slowest first, as its format orders them.

    `name` is that of the file, relative to the upload; `matrix` is from indices along all axes of
    space (x first) to positions.

    Raises
    ------
    UnsupportedDtype, UnsupportedLayout, CorruptSource
        The samples or the axes cannot be shown, or an axis is empty.
    """
    if any(a.length < 1 for a in stored):
        raise CorruptSource(f"{name} describes an array with an axis of length 0.")
    stored = [replace(a, axis=_finite(a.axis)) for a in stored]
    space, times = _space_and_time([a for a in stored if a.role != "component"], name)
    every = [a for a in stored if a.role == "space"][::-1]
    values: tuple[float | str, ...] = ()
    time_units = None
    if scale is not None and scale.is_identity:
        scale = None
    array = RawArray(
        path,
        offset,
        np.dtype("u1") if dtype.kind == "b" else dtype,
        tuple(a.length for a in space),
        tuple(a.stride for a in space),
        *_linear([a for a in stored if a.role == "component" and a.length > 1], name),
        *_linear(times, name),
        scale=scale,
        flip_sign=flip_sign,
    )
    if array.timesteps > MAX_TIMESTEPS:
        raise UnsupportedLayout(f"{name} would become {array.timesteps:,} timesteps.")
    if len(times) == 1:
        axis = times[0].axis
        values, time_units = in_seconds(axis_times(axis, array.timesteps), axis.units)
    field = _field(array, sample_dtype(dtype, scale, name), units, fill_value)
    fields = split_components(field, array, name)
    return Volume(
        PurePosixPath(name).with_suffix("").as_posix(),
        array.shape,
        tuple(a.axis for a in space),
        tuple(spec for spec, _ in fields),
        {spec.key: part for spec, part in fields},
        (path,),
        array.timesteps,
        values,
        time_units,
        matrix_of(matrix, [every.index(a) for a in space[::-1]]),
        dict(metadata or {}),
        choices,
        notes,
    )


def matrix_of(matrix: Matrix, axes: Sequence[int]) -> Matrix:
    """The part of a matrix for some of its axes; empty where that alone would be wrong."""
    size = len(matrix) - 1
    if size < 1 or any(a >= size for a in axes) or not np.isfinite(matrix).all():
        return ()
    if sorted(axes) != list(range(size)):
        square = np.array(matrix)[:size, :size]
        if np.abs(square - np.diag(np.diag(square))).max() > 0:
            return ()
    kept = [*axes, size]
    return tuple(tuple(float(matrix[row][column]) for column in kept) for row in kept)


def _field(
    array: RawArray, dtype: np.dtype[Any], units: str | None, fill_value: float | int | None
) -> FieldSpec:
    return FieldSpec(
        "data",
        "data",
        dtype,
        (1,) * len(array.shape),
        working_bytes=array.working_bytes,
        units=units,
        fill_value=fill_value,
    )


def _finite(axis: Axis) -> Axis:
    """The axis without a spacing or origin that no number can stand for."""
    spacing, origin = axis.spacing, axis.origin
    return replace(
        axis,
        spacing=spacing if spacing and math.isfinite(spacing) else None,
        origin=origin if origin is not None and math.isfinite(origin) else None,
    )


def _space_and_time(
    axes: Sequence[StoredAxis], name: str
) -> tuple[list[StoredAxis], list[StoredAxis]]:
    space = [a for a in axes if a.role == "space"]
    times = [a for a in axes if a.role == "time"]
    if not space:
        raise UnsupportedLayout(f"{name} has no axis of space.")
    times = [a for a in (*space[:-3], *times) if a.length > 1]
    space = space[-3:]
    kept = [a for a in space if a.length > 1]
    return kept or space[-2:], times


def _linear(axes: Sequence[StoredAxis], name: str) -> tuple[int, int]:
    """Number of positions and stride of one or several axes run through as one."""
    if not axes:
        return 1, 0
    for slow, fast in itertools.pairwise(axes):
        if slow.stride != fast.stride * fast.length:
            raise UnsupportedLayout(
                f"{name} has several axes of time that do not lie side by side."
            )
    return math.prod(a.length for a in axes), axes[-1].stride


def split_components(
    spec: FieldSpec, array: RawArray, name: str
) -> list[tuple[FieldSpec, RawArray]]:
    """One field of up to four components, or a field for each of more."""
    if array.components > MAX_FIELDS:
        raise UnsupportedLayout(f"{name} has {array.components:,} components at each sample.")
    if array.components <= MAX_COMPONENTS:
        return [(replace(spec, components=array.components), array)]
    return [
        (
            replace(spec, key=f"{spec.key}_{i}", name=f"{spec.name}_{i}"),
            replace(array, components=1, offset=array.offset + i * array.component_stride),
        )
        for i in range(array.components)
    ]


def axis_times(axis: Axis, timesteps: int) -> tuple[float, ...]:
    """What each timestep stands for, where the axis tells."""
    if axis.spacing is None:
        return ()
    times = tuple((axis.origin or 0.0) + i * axis.spacing for i in range(timesteps))
    return times if math.isfinite(times[-1]) else ()


def spread_over_files(
    volume: Volume, places: Sequence[tuple[Path, int]], *, in_time: bool
) -> Volume:
    """`volume`, whose samples lie in several files: equal shares of its slowest axis.

    Parameters
    ----------
    places : sequence of (Path, int)
        Each file and the offset of its samples; `volume` was made for the first.
    in_time : bool
        Whether that axis is time; else it is the first of the grid.
    """
    readers: dict[str, BoxReader] = {}
    for key, whole in volume.readers.items():
        assert isinstance(whole, RawArray)
        share = (
            replace(whole, timesteps=whole.timesteps // len(places))
            if in_time
            else replace(whole, shape=(whole.shape[0] // len(places), *whole.shape[1:]))
        )
        shift = whole.offset - places[0][1]
        parts = tuple(replace(share, path=path, offset=start + shift) for path, start in places)
        readers[key] = RawStack(parts, in_time)
    return replace(volume, readers=readers)
