"""Where the grid of a dataset lies in space: ``(physic_box)``, ``(logic_to_physic)``, units.

OpenVisus takes a ``(physic_box)`` that ascends along every axis, and silently replaces others. It
takes ``(logic_to_physic)`` where there is no box: a matrix by rows, from logic coordinates (x
first, and a 1 behind) to physical ones, which can run downwards, turn and shear.

``(axis_units)`` is our own: one word for each axis, x first; ``-`` where the unit is not known,
``index`` where the axis has no coordinates and the box counts samples.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from scientistcloud.errors import CorruptSource
from scientistcloud.grid import Box
from scientistcloud.idx.headers.field import parse_number

Matrix = tuple[tuple[float, ...], ...]
Pairs = tuple[tuple[float, float], ...]

UNKNOWN, INDEX = "-", "index"
_TURNED = 1e-9


def axis_place(
    axis: int, box: Box, physic_box: Pairs, matrix: Matrix, units: Sequence[str]
) -> tuple[float, float] | None:
    """``(first, spacing)`` of the samples along an axis (array order); None where not known.

    Along the axes of a grid that is turned or sheared there are distances from its first sample.
    """
    rank = len(box.lo)
    if units and units[axis] == INDEX:
        return None
    if physic_box:
        low, high = physic_box[axis]
        return low, (high - low) / box.shape[axis]
    if not matrix:
        return None
    column = rank - 1 - axis
    if is_diagonal(matrix):
        spacing = matrix[column][column]
        return matrix[column][rank] + spacing * box.lo[axis], spacing
    return 0.0, math.hypot(*(row[column] for row in matrix[:rank]))


def is_diagonal(matrix: Matrix) -> bool:
    """Whether every axis runs along its own coordinate, in either direction."""
    rank = len(matrix) - 1
    lengths = [math.hypot(*(row[i] for row in matrix[:rank])) for i in range(rank)]
    return all(
        abs(matrix[row][column]) <= _TURNED * lengths[column]
        for row in range(rank)
        for column in range(rank)
        if row != column
    )


def diagonal(places: Sequence[tuple[float, float]]) -> Matrix:
    """The matrix of axes that each have ``(origin, spacing)``, x first."""
    rank = len(places)
    rows = [
        (*(places[i][1] if i == j else 0.0 for j in range(rank)), places[i][0]) for i in range(rank)
    ]
    return (*rows, (*(0.0 for _ in range(rank)), 1.0))


def parse_box(text: str, ndim: int) -> Pairs:
    """A ``(physic_box)``, in array order; empty where there is none."""
    words = text[:2000].split()
    if len(words) < 2 * ndim:
        return ()
    numbers = [parse_number(word, "physic_box") for word in words[: 2 * ndim]]
    return tuple(reversed(list(zip(numbers[0::2], numbers[1::2], strict=True))))


def parse_matrix(text: str, ndim: int) -> Matrix:
    """A ``(logic_to_physic)``; empty where there is none that fits."""
    words = re.split(r"[\s,]+", text[:4000].strip())
    size = ndim + 1
    if len(words) != size * size:
        return ()
    numbers = [parse_number(word, "logic_to_physic") for word in words]
    if not all(map(math.isfinite, numbers)):
        raise CorruptSource("The IDX header has no usable (logic_to_physic).")
    return tuple(tuple(numbers[i : i + size]) for i in range(0, size * size, size))


def parse_units(text: str, ndim: int) -> tuple[str, ...]:
    """``(axis_units)`` in array order; empty where there are none that fit."""
    words = text[:2000].split()
    return tuple(reversed(words)) if len(words) == ndim else ()


def format_place(physic_box: Pairs, matrix: Matrix, units: Sequence[str]) -> dict[str, str]:
    """The parts of the header's text; a box that does not ascend is left out."""
    parts = {}
    if matrix:
        parts["logic_to_physic"] = " ".join(f"{v!r}" for row in matrix for v in row)
    elif physic_box and all(
        lo < hi and math.isfinite(lo) and math.isfinite(hi) for lo, hi in physic_box
    ):
        parts["physic_box"] = " ".join(f"{lo!r} {hi!r}" for lo, hi in reversed(physic_box))
    if units and parts:
        parts["axis_units"] = " ".join(unit_word(unit) for unit in reversed(units))
    return parts


def unit_word(text: str | None) -> str:
    """A unit as one word."""
    return "_".join((text or "").split()) or UNKNOWN
