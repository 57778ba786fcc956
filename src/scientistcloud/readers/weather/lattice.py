"""The grid of a GRIB message: its lengths, the order of its samples, its axes.

Source: WMO Manual on Codes, FM 92 GRIB, code table 3.4 (scanning mode) and the templates of 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.readers.base import Axis
from scientistcloud.readers.weather.messages import Message

_SPHERES = {
    "regular_ll": ("latitude", "longitude"),
    "regular_gg": ("latitude", "longitude"),
    "rotated_ll": ("rotated_latitude", "rotated_longitude"),
    "rotated_gg": ("rotated_latitude", "rotated_longitude"),
}
_PLANES = frozenset({"lambert", "lambert_lam", "polar_stereographic", "mercator", "albers"})
_MOST_SAMPLES = 1 << 32


@dataclass(frozen=True, slots=True)
class Lattice:
    """A regular grid of `height` rows of `width` samples."""

    kind: str
    width: int
    height: int
    columns_first: bool
    serpentine: bool
    axes: tuple[Axis, Axis]

    def arranged(self, values: NDArray[Any]) -> NDArray[Any]:
        """Samples in stored order as rows and columns; the first stored one stays the first."""
        if self.columns_first:
            rows = values.reshape(self.width, self.height)
        else:
            rows = values.reshape(self.height, self.width)
        if self.serpentine:
            rows = rows.copy()
            rows[1::2] = rows[1::2, ::-1]
        return rows.T if self.columns_first else rows


def lattice_of(message: Message) -> Lattice | None:
    """The grid of a message; None where it is none of rows and columns."""
    kind = message.text("gridType")
    width = message.whole("Ni") or message.whole("Nx")
    height = message.whole("Nj") or message.whole("Ny")
    if kind not in _SPHERES and kind not in _PLANES:
        return None
    if not 0 < width < 1 << 24 or not 0 < height < 1 << 24 or width * height > _MOST_SAMPLES:
        return None
    return Lattice(
        kind,
        width,
        height,
        bool(message.whole("jPointsAreConsecutive")),
        bool(message.whole("alternativeRowScanning")),
        _axes(message, kind),
    )


def _axes(message: Message, kind: str) -> tuple[Axis, Axis]:
    """Axes y and x, in the direction that the samples are stored in."""
    back, up = message.whole("iScansNegatively"), message.whole("jScansPositively")
    if kind in _PLANES:
        dx, dy = message.number("DxInMetres"), message.number("DyInMetres")
        y, x = _signed(dy, not up), _signed(dx, bool(back))
        return Axis("y", y, None, "m" if y else None), Axis("x", x, None, "m" if x else None)
    names = _SPHERES[kind]
    dx = message.number("iDirectionIncrementInDegrees")
    dy = message.number("jDirectionIncrementInDegrees") if kind.endswith("_ll") else None
    y, x = _signed(dy, not up), _signed(dx, bool(back))
    first_y = message.number("latitudeOfFirstGridPointInDegrees")
    first_x = message.number("longitudeOfFirstGridPointInDegrees")
    return (
        Axis(names[0], y, first_y if y else None, "degree"),
        Axis(names[1], x, first_x if x else None, "degree"),
    )


def _signed(step: float | None, negative: bool) -> float | None:
    if step is None or not np.isfinite(step) or step <= 0:
        return None
    return -step if negative else step
