"""Coordinates along an axis: spacing and origin where they are regular."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.readers.arrays.attributes import json_value
from scientistcloud.readers.base import Axis

MAX_COORDINATES = 1_000_000
"""Longer axes are not looked at: their coordinates stay in the source."""
_TOLERANCE = 1e-3


def axis_of(name: str, values: NDArray[Any] | None, length: int, units: str | None) -> Axis:
    """The axis whose samples lie at `values`.

    One value more than samples are the edges of bins: the samples lie between them. Values that
    are not regular (to a thousandth of a step, or what their type can hold) give no spacing.
    """
    spacing, origin = regular(values, length)
    return Axis(name, spacing, origin, units or None)


def regular(values: NDArray[Any] | None, length: int) -> tuple[float | None, float | None]:
    """``(spacing, origin)`` of regular coordinates; None for what is not known."""
    if values is None or values.ndim != 1 or values.dtype.kind not in "iuf":
        return None, None
    exact = values.astype(np.float64)
    if len(exact) == length + 1 and length > 0:
        exact = (exact[:-1] + exact[1:]) / 2
    if len(exact) != length or not np.isfinite(exact).all():
        return None, None
    if length == 1:
        return None, float(exact[0])
    step = (exact[-1] - exact[0]) / (length - 1)
    is_float = values.dtype.kind == "f"
    rounding = 4 * float(np.finfo(values.dtype).eps) * float(np.abs(exact).max()) if is_float else 0
    deviation = float(np.abs(exact - (exact[0] + step * np.arange(length))).max())
    if step == 0 or deviation > max(_TOLERANCE * abs(step), rounding):
        return None, None
    return float(step), float(exact[0])


def coordinates(values: NDArray[Any] | None, axis: Axis) -> dict[str, Any]:
    """What `Axis` cannot say of the coordinates, for the metadata: the values, first and last."""
    if values is None or values.size == 0:
        return {}
    about: dict[str, Any] = {
        "first": json_value(values.reshape(-1)[0]),
        "last": json_value(values.reshape(-1)[-1]),
        "regular": axis.spacing is not None,
    }
    if axis.spacing is None:
        about["values"] = json_value(values)
    return about
