"""Names that tell a place in a grid of channels, times and depths.

Either a label stands before each number that varies (``z001_ch00``, ``t01_z003``: z, t, c, ch or
w), or the names are those of Micro-Manager, ``img_<time>_<channel>_<slice>``.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scientistcloud.errors import MissingMember
from scientistcloud.readers.files.numbered_names import NUMBER, natural_key, stem, varying_numbers

_LABEL = re.compile(r"(?:^|[^a-z])(z|t|c|w|ch|slice|time|frame|channel|wave|plane)[ _=.-]?$", re.I)
_AXIS_OF_LABEL = {
    "z": "z", "slice": "z", "plane": "z",
    "t": "t", "time": "t", "frame": "t",
    "c": "c", "ch": "c", "channel": "c", "w": "c", "wave": "c",
}  # fmt: skip
_MICRO_MANAGER = re.compile(r"(?:^|/)img_(?P<t>\d{9})_(?P<c>.+)_(?P<z>\d{3,})$")
_WORDS = {"c": "channel", "t": "time", "z": "depth"}


@dataclass(frozen=True)
class NameGrid:
    """Where each name belongs.

    Attributes
    ----------
    axes : Mapping
        For some of c, t and z: the place of each name along it.
    """

    names: tuple[str, ...]
    axes: Mapping[str, tuple[str, ...]]

    @property
    def rule(self) -> str:
        """What the names say, in a sentence."""
        said = ", ".join(f"{axis} is {_WORDS[axis]}" for axis in self.axes)
        return f"the names tell a place in a grid: {said}"

    def levels(self, axis: str) -> list[str]:
        """The places along an axis, in natural order."""
        return sorted(set(self.axes.get(axis, ("",))), key=natural_key)

    def ordered(self) -> tuple[str, ...]:
        """The names in the order channel, time, depth.

        Raises
        ------
        MissingMember
            They do not fill the grid.
        """
        columns = [self.axes.get(axis, ("",) * len(self.names)) for axis in "ctz"]
        place = dict(zip(zip(*columns, strict=True), self.names, strict=True))
        levels = [self.levels(axis) for axis in "ctz"]
        count = math.prod(map(len, levels))
        if count != len(place) or len(place) != len(self.names):
            missing = next((p for p in itertools.product(*levels) if p not in place), None)
            raise MissingMember(self._missing_message(count, missing))
        return tuple(place[point] for point in itertools.product(*levels))

    def _missing_message(self, count: int, missing: Sequence[str] | None) -> str:
        sizes = " x ".join(str(len(self.levels(axis))) for axis in "ctz" if axis in self.axes)
        if missing is None:
            return f"The names span {sizes} images, but several files have the same place."
        where = ", ".join(
            f"{axis}={value}"
            for axis, value in zip("ctz", missing, strict=True)
            if axis in self.axes
        )
        return (
            f"The names span {sizes} images, but {count - len(self.names)} are missing, "
            f"for instance the one with {where}."
        )


def read_grid(names: Sequence[str]) -> NameGrid | None:
    """The grid that the names tell; None where they tell none."""
    return _micro_manager(names) or _labelled(names)


def _micro_manager(names: Sequence[str]) -> NameGrid | None:
    found = [_MICRO_MANAGER.search(stem(name)) for name in names]
    if not all(found):
        return None
    axes = {axis: tuple(match[axis] for match in found if match) for axis in "ctz"}
    return NameGrid(tuple(names), {a: v for a, v in axes.items() if len(set(v)) > 1})


def _labelled(names: Sequence[str]) -> NameGrid | None:
    varying = varying_numbers(names)
    if not varying or len({NUMBER.sub("#", stem(name)).casefold() for name in names}) > 1:
        return None
    text = stem(names[0])
    found = list(NUMBER.finditer(text))
    axes = {}
    for i, values in varying.items():
        label = _LABEL.search(text[: found[i].start()])
        if not label:
            return None
        axis = _AXIS_OF_LABEL[label[1].lower()]
        if axis in axes:
            return None
        axes[axis] = tuple(str(value) for value in values)
    return NameGrid(tuple(names), axes)
