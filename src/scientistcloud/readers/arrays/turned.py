"""Volumes whose axes the parameter ``axes`` names otherwise than their header does.

Its letters stand for the axes as `inspect` shows them without it, slowest first: time where there
is any, then those of the grid.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from scientistcloud.errors import InvalidOptions
from scientistcloud.readers.arrays.axis_letters import (
    PARAMETER,
    axes_choice,
    plan_of,
    told_letters,
)
from scientistcloud.readers.arrays.axis_roles import AxisRoles
from scientistcloud.readers.arrays.axis_rules import AxisPlan
from scientistcloud.readers.arrays.raw_array import BoxReader, RawArray
from scientistcloud.readers.arrays.raw_grid import Volume, axis_times
from scientistcloud.readers.base import Axis, FieldSpec


def turned(volume: Volume, wanted: object) -> Volume:
    """`volume` with the roles that `wanted`, the parameter ``axes``, gives its axes.

    Raises
    ------
    InvalidOptions
        It does not fit, or the samples are not read by their places.
    """
    has_time = volume.timesteps > 1
    axes = [*([Axis("t")] if has_time else []), *volume.axes]
    stored = (*([volume.timesteps] if has_time else []), *volume.shape)
    letters = told_letters(wanted, len(stored))
    if letters is None:
        return volume
    plan = plan_of(letters, [axis.name for axis in axes], stored)
    fields: list[FieldSpec] = []
    readers: dict[str, BoxReader] = {}
    for field in volume.fields:
        whole = volume.readers[field.key]
        if not isinstance(whole, RawArray):
            raise InvalidOptions(
                f"The parameter {PARAMETER} cannot turn {volume.name}: its samples do not lie in "
                "one piece."
            )
        for label, roles in plan.each_field():
            key = f"{field.key} {label}".strip()
            part = _turned(whole, roles, has_time=has_time)
            readers[key] = part
            name = f"{field.name} {label}".strip()
            chunks = (1,) * len(part.shape)
            fields.append(
                replace(field, key=key, name=name, chunks=chunks, components=part.components)
            )
    return replace(
        volume,
        shape=plan.roles.shape,
        axes=tuple(axes[axis] for axis in plan.roles.space),
        fields=tuple(fields),
        readers=readers,
        timesteps=plan.roles.timesteps,
        times=_times(volume, plan, axes, has_time=has_time),
        choices=(*volume.choices, axes_choice(plan)),
    )


def _times(
    volume: Volume, plan: AxisPlan, axes: list[Axis], *, has_time: bool
) -> tuple[float | str, ...]:
    """What the timesteps stand for: as before, or the coordinates of the axis that is now time."""
    if len(plan.roles.time) != 1:
        return ()
    (time,) = plan.roles.time
    if has_time and time == 0:
        return volume.times
    return axis_times(axes[time], plan.roles.timesteps)


def _turned(array: RawArray, roles: AxisRoles, *, has_time: bool) -> RawArray:
    strides = (*([array.time_stride] if has_time else []), *array.strides)
    for slow, fast in itertools.pairwise(roles.time):
        if strides[slow] != strides[fast] * roles.stored[fast]:
            raise InvalidOptions(
                f"The parameter {PARAMETER} makes axes time that do not lie side by side."
            )
    components, component_stride = array.components, array.component_stride
    if roles.component is not None:
        if components > 1:
            raise InvalidOptions(f"The parameter {PARAMETER} names a second axis of components.")
        components, component_stride = roles.stored[roles.component], strides[roles.component]
    return replace(
        array,
        offset=array.offset + sum(strides[axis] * i for axis, i in roles.fixed),
        shape=roles.shape,
        strides=tuple(strides[axis] for axis in roles.space),
        components=components,
        component_stride=component_stride,
        timesteps=roles.timesteps,
        time_stride=strides[roles.time[-1]] if roles.time else 0,
    )
