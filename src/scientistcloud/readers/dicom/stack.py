"""How the slices of a series stand to each other in space. Pure decisions.

1. Slices at even distances have a spacing.
2. Slices that are missing among slices at even distances, up to a quarter of them, stay empty: the
   grid keeps its spacing and everything else its place.
3. Other distances cannot be said by a grid: it gets the mean spacing, which keeps its extent, and
   the positions of all slices are in the metadata.
4. Slices that move within their plane by the same amount from one to the next (gantry tilt) make a
   sheared grid, which a matrix can say; those that move otherwise are told.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scientistcloud.readers.dicom.placement import Vector, moved, normal_of

_UNEVEN = 0.01
_EMPTY_SHARE = 4
_SHIFT = 0.05
"""Shifts within the plane of less than this share of a pixel are rounding."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The slices of a grid.

    Attributes
    ----------
    spacing : float or None
        Along the normal, in mm; None for a single slice.
    step : Vector
        From one slice to the next, in mm.
    filled : tuple of int
        For each slice of the grid the index of the place that it is from; -1 where none is.
    """

    spacing: float | None
    step: Vector
    filled: tuple[int, ...]
    notes: tuple[str, ...] = ()


def stack_of(
    places: Sequence[Vector],
    orientation: tuple[float, ...],
    pixel: float,
    label: str,
    *,
    may_fill: bool,
) -> Stack:
    """How slices at `places` (ascending along the normal) make a grid.

    Parameters
    ----------
    pixel : float
        The smaller distance of two pixels of a slice, in mm.
    may_fill : bool
        Whether missing slices may stay empty; else the gap is closed up, and told.
    """
    normal = normal_of(orientation)
    distances = [_along(place, normal) for place in places]
    if len(places) == 1:
        return Stack(None, normal, (0,))
    filled, notes = _filled(distances, label, may_fill)
    spacing = _spacing(distances, filled)
    step, more = _step(places, distances, orientation, pixel, label)
    return Stack(spacing, moved((0, 0, 0), step, spacing), filled, notes + more)


def _along(place: Vector, direction: Sequence[float]) -> float:
    return math.fsum(p * d for p, d in zip(place, direction, strict=True))


def _spacing(distances: list[float], filled: tuple[int, ...]) -> float:
    steps = [b - a for a, b in itertools.pairwise(distances)]
    usual = statistics.median(steps)
    if all(abs(step - usual) <= _UNEVEN * usual for step in steps):
        return usual
    kept = _multiples(steps)
    if kept is not None and len(filled) == len(distances):
        return kept[0]
    return (distances[-1] - distances[0]) / (len(filled) - 1)


def _multiples(steps: list[float]) -> tuple[float, list[int]] | None:
    """The step of which all are whole multiples, few of them more than one; and how many."""
    room = max(1, (len(steps) + 1) // _EMPTY_SHARE)
    for base in (statistics.median(steps), min(steps)):
        counts = [max(1, round(step / base)) for step in steps]
        fits = all(
            abs(step - n * base) <= _UNEVEN * n * base
            for step, n in zip(steps, counts, strict=True)
        )
        if fits and sum(counts) - len(counts) <= room:
            return base, counts
    return None


def _filled(
    distances: list[float], label: str, may_fill: bool
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Which slice of the grid is from which place, and what there is to tell."""
    steps = [b - a for a, b in itertools.pairwise(distances)]
    known = _multiples(steps)
    present = tuple(range(len(distances)))
    if known is None:
        mean = (distances[-1] - distances[0]) / len(steps)
        return present, (
            f"{label}: the slices are not evenly placed ({min(steps):.4g} to {max(steps):.4g} mm), "
            f"which a grid cannot say: it has the mean spacing, {mean:.4g} mm. Where each slice "
            "lies is in the metadata (slice_positions).",
        )
    base, counts = known
    missing = sum(counts) - len(counts)
    if not missing:
        return present, ()
    behind = [str(i + 1) for i, n in enumerate(counts) if n > 1]
    where = ", ".join(behind[:6]) + (", ..." if len(behind) > 6 else "")
    about = f"{label}: {missing} slice(s) of {base:.4g} mm are missing behind number {where}"
    if not may_fill:
        return present, (f"{about}; the gap was closed up, so that what follows lies too near.",)
    filled = [0]
    for i, n in enumerate(counts):
        filled += [-1] * (n - 1) + [i + 1]
    return tuple(filled), (f"{about}; they stay empty, so that all others keep their place.",)


def _step(
    places: Sequence[Vector],
    distances: list[float],
    orientation: tuple[float, ...],
    pixel: float,
    label: str,
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """From slice to slice, for each mm along the normal."""
    extent = distances[-1] - distances[0]
    step, notes, apart = normal_of(orientation), (), 0.0
    drift = []
    for direction in (orientation[:3], orientation[3:]):
        shifts = [_along(p, direction) - _along(places[0], direction) for p in places]
        rate = shifts[-1] / extent
        uneven = max(
            abs(s - rate * (d - distances[0])) for s, d in zip(shifts, distances, strict=True)
        )
        apart = max(apart, uneven)
        drift.append(rate)
    tolerance = max(_SHIFT * pixel, 1e-3)
    if math.hypot(*drift) * extent > tolerance:
        step = moved(moved(step, orientation[:3], drift[0]), orientation[3:], drift[1])
        angle = math.degrees(math.atan(math.hypot(*drift)))
        notes += (
            f"{label}: the slices are sheared by {angle:.3g} degrees (gantry tilt), which the "
            "matrix of the header (logic_to_physic) says; the samples are not moved.",
        )  # type: ignore[assignment]
    if apart > tolerance:
        notes += (
            f"{label}: the slices are shifted against each other within their plane by up to "
            f"{apart:.4g} mm, which a grid cannot say. Where each slice lies is in the metadata "
            "(slice_positions).",
        )  # type: ignore[assignment]
    return step, notes
