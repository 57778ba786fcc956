"""Pure integer geometry: boxes and tilings. Imports nothing of ours.

Everywhere in this project a *shape*, a *box* or an index is in **array order**: slowest axis
first, ``(z, y, x)``, as NumPy has it. Only what leaves the project (the ``.idx`` text, ``dims`` in
JSON) is in IDX order, x first; the conversion between the two is a reversal.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open box ``lo <= p < hi`` in array order; an axis may be empty."""

    lo: Shape
    hi: Shape

    def __post_init__(self) -> None:
        if len(self.lo) != len(self.hi):
            raise ValueError(f"a box needs two corners of one rank: {self.lo}, {self.hi}")

    @classmethod
    def of_shape(cls, shape: Shape) -> Box:
        """The box from the origin to `shape`."""
        return cls((0,) * len(shape), tuple(shape))

    @property
    def shape(self) -> Shape:
        return tuple(max(0, h - l) for l, h in zip(self.lo, self.hi, strict=True))

    @property
    def size(self) -> int:
        """Number of samples inside."""
        return math.prod(self.shape)

    @property
    def is_empty(self) -> bool:
        return any(h <= l for l, h in zip(self.lo, self.hi, strict=True))

    @property
    def slices(self) -> tuple[slice, ...]:
        """The slices that cut this box out of an array that starts at the origin."""
        return tuple(slice(l, h) for l, h in zip(self.lo, self.hi, strict=True))

    def intersect(self, other: Box) -> Box:
        """The common part; empty (``hi <= lo`` on an axis) where there is none."""
        return Box(
            tuple(map(max, self.lo, other.lo)),
            tuple(map(min, self.hi, other.hi)),
        )

    def contains(self, other: Box) -> bool:
        return other.is_empty or (
            all(a <= b for a, b in zip(self.lo, other.lo, strict=True))
            and all(a >= b for a, b in zip(self.hi, other.hi, strict=True))
        )

    def shift(self, offset: Shape) -> Box:
        """The box moved by `offset`."""
        return Box(
            tuple(l + o for l, o in zip(self.lo, offset, strict=True)),
            tuple(h + o for h, o in zip(self.hi, offset, strict=True)),
        )

    def relative_to(self, origin: Shape) -> Box:
        """The same box in the coordinates of an array whose first sample is at `origin`."""
        return self.shift(tuple(-o for o in origin))


def tile(box: Box, step: Shape) -> Iterator[Box]:
    """Cut `box` into disjoint boxes on the lattice of `step` (from the origin, not the box).

    They come in C order (last axis fastest), cover `box` exactly, and none is empty.
    """
    ranges = [
        range(l - l % s, h, s) if h > l else range(0)
        for l, h, s in zip(box.lo, box.hi, step, strict=True)
    ]
    for corner in itertools.product(*ranges):
        yield Box(corner, tuple(c + s for c, s in zip(corner, step, strict=True))).intersect(box)


def ceil_div(a: int, b: int) -> int:
    """``a / b`` rounded up, in integers."""
    return -(-a // b)


def next_power_of_two(n: int) -> int:
    """The smallest power of two that is at least `n` (1 for 0 and 1)."""
    return 1 << max(0, n - 1).bit_length()
