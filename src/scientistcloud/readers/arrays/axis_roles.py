"""How a stored array of any rank becomes timesteps of a grid, once its axes have their roles.

Which axis has which role is decided in `arrays.axis_rules`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import InvalidOptions
from scientistcloud.grid import Box, Shape, ceil_div

MAX_TIMESTEPS = 1_000_000
"""More leading positions than that are no time that anybody steps through."""


@dataclass(frozen=True, slots=True)
class AxisRoles:
    """How a stored array of any rank becomes timesteps of a grid.

    Attributes
    ----------
    stored : Shape
        The shape of the array as it is stored.
    space : tuple of int
        The stored axes that are the axes of the grid, in array order (z, y, x).
    time : tuple of int
        The stored axes that the timesteps run through, the last fastest.
    component : int or None
        The stored axis that holds the components of a sample.
    fixed : tuple of (int, int)
        Stored axes of which one position alone is meant: (axis, position).
    """

    stored: Shape
    space: tuple[int, ...]
    time: tuple[int, ...] = ()
    component: int | None = None
    fixed: tuple[tuple[int, int], ...] = ()

    @property
    def shape(self) -> Shape:
        """The shape of the grid."""
        return tuple(self.stored[axis] for axis in self.space)

    @property
    def timesteps(self) -> int:
        return math.prod(self.stored[axis] for axis in self.time)

    @property
    def is_direct(self) -> bool:
        """Whether a box comes out of the store in the order in which it is wanted."""
        order = [*self.space, *([] if self.component is None else [self.component])]
        return order == sorted(order)

    def positions(self, timestep: int) -> tuple[int, ...]:
        """The position along each axis of `time` that `timestep` stands for."""
        lengths = tuple(self.stored[axis] for axis in self.time)
        return tuple(int(i) for i in np.unravel_index(timestep, lengths)) if lengths else ()

    def selection(self, timestep: int, box: Box) -> tuple[slice, ...]:
        """The slices of the stored array that hold `box` of the grid at `timestep`."""
        slices = [slice(0, n) for n in self.stored]
        for axis, (lo, hi) in zip(self.space, zip(box.lo, box.hi, strict=True), strict=True):
            slices[axis] = slice(lo, hi)
        at = zip(self.time, self.positions(timestep), strict=True)
        for axis, position in itertools.chain(at, self.fixed):
            slices[axis] = slice(position, position + 1)
        return tuple(slices)

    def oriented(self, block: NDArray[Any]) -> NDArray[Any]:
        """A view of `block` (of the stored rank, as `selection` cut it) in the order of the grid.

        Its axes are those of the grid, and the components where there are several.
        """
        order = [*self.space, *([] if self.component is None else [self.component])]
        rest = [axis for axis in range(len(self.stored)) if axis not in order]
        turned = block.transpose([*rest, *order])
        return turned.reshape(turned.shape[len(rest) :])

    def grid_chunks(self, chunks: Sequence[int]) -> Shape:
        """The chunk of the grid, from that of the stored array."""
        return tuple(max(1, min(chunks[axis], self.stored[axis])) for axis in self.space)


def axis_labels(names: Sequence[str]) -> list[str]:
    """How parameters name the axes: by name where that is unique, else by position."""
    plain = [name for name in names if name.isidentifier()]
    return [n if plain.count(n) == 1 else str(i) for i, n in enumerate(names)]


def axis_indices(value: Any, parameter: str, names: Sequence[str]) -> list[int]:
    """The axes that a parameter names: a name, a position from 0, or several with commas.

    Raises
    ------
    InvalidOptions
        It names an axis that is not there.
    """
    if value is None or value in ("", "none"):
        return []
    labels = axis_labels(names)
    result = []
    for item in value.split(",") if isinstance(value, str) else [value]:
        label = str(item).strip()
        if label in labels:
            result.append(labels.index(label))
        elif label.isdecimal() and int(label) < len(names):
            result.append(int(label))
        else:
            raise InvalidOptions(
                f"The parameter {parameter}={value!r} names no axis.",
                remedy=f"Choose one of {', '.join(labels)}, or a number up to {len(names) - 1}.",
            )
    return sorted(set(result))


def pieces(box: Box, chunks: Shape, sample_bytes: int, limit_bytes: int) -> Iterator[Box]:
    """Cut `box` into parts of at most `limit_bytes`, or of one chunk where that is larger.

    The parts lie on the lattice of `chunks` (from the origin), so that no chunk is decoded twice.
    """
    step = list(chunks)
    for axis in reversed(range(len(step))):
        extent = box.hi[axis] - box.lo[axis]
        room = limit_bytes // max(1, sample_bytes * math.prod(step))
        step[axis] *= max(1, min(room, ceil_div(extent, step[axis])))
    ranges = [range(lo - lo % s, hi, s) for lo, hi, s in zip(box.lo, box.hi, step, strict=True)]
    for corner in itertools.product(*ranges):
        upper = tuple(c + s for c, s in zip(corner, step, strict=True))
        yield Box(tuple(corner), upper).intersect(box)
