"""Chunks of an array that were declared and never stored: how many, and where.

Libraries read such chunks as the fill value, without a word. So what is absent is told, with its
share and its place, and the fill value counts as no data (the range of values leaves it out).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Shape, ceil_div

MAX_CHUNKS = 2_000_000
"""Of arrays with more chunks it is only looked up whether there are any."""


@dataclass(frozen=True, slots=True)
class Absence:
    """The chunks of one array that are not there.

    Attributes
    ----------
    expected, found : int
        Numbers of chunks; `found` are those that are stored, each counted once.
    place : tuple of (int, int)
        The box, in samples of the stored array, that holds all that are absent; empty where not
        known.
    """

    expected: int
    found: int
    place: tuple[tuple[int, int], ...] = ()

    @property
    def is_partial(self) -> bool:
        return 0 < self.found < self.expected

    @property
    def is_whole(self) -> bool:
        """Whether nothing was stored at all."""
        return self.found == 0 < self.expected

    def sentence(self, name: str, fill: object) -> str:
        """What is told of array `name`, whose absent chunks read as `fill`."""
        share = 100 * (1 - self.found / self.expected)
        percent = f"{share:.0f}" if 1 <= share <= 99 else f"{share:.2g}"
        where = ", ".join(f"{lo}:{hi}" for lo, hi in self.place)
        inside = f", all within [{where}]" if where else ""
        return (
            f"{percent} % of {name!r} was never stored ({self.expected - self.found} of "
            f"{self.expected} chunks are not there{inside}); these samples hold the fill value "
            f"{fill}, which counts as no data."
        )


def absence(shape: Shape, chunks: Shape, stored: Iterable[tuple[int, ...]]) -> Absence:
    """What is absent of an array of `shape`, of which the chunks at the positions `stored` exist.

    Parameters
    ----------
    shape, chunks : Shape
        In samples.
    stored : iterable of tuple of int
        Positions of chunks on their lattice; those outside of the array are not counted.
    """
    counts = tuple(ceil_div(n, c) for n, c in zip(shape, chunks, strict=True))
    expected = int(np.prod(counts, dtype=object)) if counts else 1
    if expected > MAX_CHUNKS:
        some = sum(1 for _ in itertools.islice(stored, 1))
        return Absence(expected, expected if some else 0)
    there = np.zeros(counts, np.bool_)
    for position in stored:
        if all(0 <= i < n for i, n in zip(position, counts, strict=True)):
            there[position] = True
    found = int(there.sum())
    place = _box_of(~there, shape, chunks) if 0 < found < expected else ()
    return Absence(expected, found, place)


def _box_of(absent: NDArray[np.bool_], shape: Shape, chunks: Shape) -> tuple[tuple[int, int], ...]:
    result = []
    for axis, (n, c) in enumerate(zip(shape, chunks, strict=True)):
        others = tuple(i for i in range(absent.ndim) if i != axis)
        positions = np.flatnonzero(absent.any(axis=others))
        result.append((int(positions[0]) * c, min(n, (int(positions[-1]) + 1) * c)))
    return tuple(result)
