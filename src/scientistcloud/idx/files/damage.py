"""What is wrong with a published dataset, in words that say which data are lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from scientistcloud.grid import Box


@dataclass(frozen=True, slots=True)
class Damage:
    """One finding.

    Attributes
    ----------
    path : str
        The file, relative to the folder that was checked, with ``/``.
    message : str
        One sentence.
    field : str or None
        None where all fields are concerned.
    timestep : int or None
        None where all timesteps are concerned.
    box : Box or None
        In array order; samples within it are lost. None where no or all samples are concerned.
    """

    path: str
    message: str
    field: str | None = None
    timestep: int | None = None
    box: Box | None = None

    def below(self, folder: str) -> Damage:
        """The same finding as seen from a folder above, to which `folder` is relative."""
        if folder in ("", "."):
            return self
        path = f"{folder}/{self.path}"
        return replace(self, path=path, message=self.message.replace(self.path, path, 1))

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the box is x first, half-open, as ``[[x0, x1], [y0, y1], ...]``."""
        sides = None
        if self.box is not None:
            sides = [list(side) for side in zip(self.box.lo, self.box.hi, strict=True)][::-1]
        return {
            "path": self.path,
            "message": self.message,
            "field": self.field,
            "timestep": self.timestep,
            "box": sides,
        }


def describe_box(box: Box) -> str:
    """``x 0..9, y 0..4``: x first, both ends included."""
    sides = zip(reversed(box.lo), reversed(box.hi), "xyzuv", strict=False)
    return ", ".join(f"{axis} {lo}..{hi - 1}" for lo, hi, axis in sides)


def describe_region(field: str | None, timestep: int | None, box: Box | None) -> str:
    """``field 'a', timestep 3, x 0..9, y 0..4``."""
    parts = [] if field is None else [f"field '{field}'"]
    parts += [] if timestep is None else [f"timestep {timestep}"]
    parts += [] if box is None else [describe_box(box)]
    return ", ".join(parts) or "the whole dataset"


def hull(boxes: Sequence[Box]) -> Box | None:
    """The smallest box around `boxes`; None for none."""
    if not boxes:
        return None
    lo = tuple(map(min, zip(*(box.lo for box in boxes), strict=True)))
    hi = tuple(map(max, zip(*(box.hi for box in boxes), strict=True)))
    return Box(lo, hi)
