"""Names that tell a place in a grid of datasets, channels, times and depths."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scientistcloud.errors import MissingMember
from scientistcloud.readers.names.natural import natural_key, stem
from scientistcloud.readers.names.roles import ROLES, match_convention

_WORDS = {"d": "place (a dataset each)", "c": "channel", "t": "time", "z": "depth"}
_MOST_LOOKED_AT = 1 << 20


@dataclass(frozen=True)
class NameGrid:
    """Where each name belongs.

    Attributes
    ----------
    axes : Mapping
        For some of d, c, t and z: the place of each name along it, as text.
    levels : Mapping
        For the same: the places in their order.
    """

    names: tuple[str, ...]
    axes: Mapping[str, tuple[str, ...]]
    levels: Mapping[str, tuple[str, ...]]

    @property
    def rule(self) -> str:
        """What the names say, in a sentence."""
        said = [_WORDS[axis] for axis in ROLES if axis in self.axes]
        return f"the names tell {' and '.join(filter(None, [', '.join(said[:-1]), said[-1]]))}"

    def count(self, axis: str) -> int:
        return len(self.levels.get(axis, ("",)))

    def ordered(self) -> tuple[str, ...]:
        """The names in the order dataset, channel, time, depth.

        Raises
        ------
        MissingMember
            They do not fill the grid.
        """
        columns = [self.axes.get(axis, ("",) * len(self.names)) for axis in ROLES]
        place = dict(zip(zip(*columns, strict=True), self.names, strict=True))
        levels = [self.levels.get(axis, ("",)) for axis in ROLES]
        count = math.prod(map(len, levels))
        if count != len(place) or len(place) != len(self.names):
            points = itertools.islice(itertools.product(*levels), _MOST_LOOKED_AT)
            raise MissingMember(
                self._missing_message(count, next((p for p in points if p not in place), None)),
                remedy="Upload the missing files too, or say what the files are with the parameter "
                "'arrangement' (depth, time or fields: all in the order of their names).",
            )
        return tuple(place[point] for point in itertools.product(*levels))

    def _missing_message(self, count: int, missing: Sequence[str] | None) -> str:
        sizes = " x ".join(str(self.count(axis)) for axis in ROLES if axis in self.axes)
        if missing is None or count <= len(self.names):
            return f"The names span {sizes} images, but several files have the same place."
        where = ", ".join(
            f"{axis}={value}"
            for axis, value in zip(ROLES, missing, strict=True)
            if axis in self.axes
        )
        return (
            f"The names span {sizes} images, but {count - len(self.names)} are missing, "
            f"for instance the one with {where}."
        )


def grid_of(names: Sequence[str], axes: Mapping[str, Sequence[str]]) -> NameGrid:
    """The grid of these places, each axis in natural order."""
    kept = {axis: tuple(texts) for axis, texts in axes.items() if len(set(texts)) > 1}
    levels = {axis: tuple(sorted(set(texts), key=natural_key)) for axis, texts in kept.items()}
    return NameGrid(tuple(names), kept, levels)


def conventional_grid(names: Sequence[str]) -> NameGrid | None:
    """The grid that names of an instrument's convention tell; None of other names."""
    axes = match_convention([stem(name) for name in names])
    return grid_of(names, axes) if axes else None
