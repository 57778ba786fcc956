"""Whether images can be slices of one volume: they must be alike in size and type of sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scientistcloud.errors import AmbiguousFormat, UnlikeSlices
from scientistcloud.grid import Shape
from scientistcloud.readers.names.arrangement import Arrangement

_MAX_NAMED = 6


@dataclass(frozen=True, slots=True)
class ImageKind:
    """What an image is to a stack.

    Attributes
    ----------
    shape : Shape
        (depth, rows, columns).
    components : int
        Of one field.
    bands : int
        How many fields its samples make.
    """

    shape: Shape
    dtype: np.dtype[np.generic]
    components: int = 1
    bands: int = 1

    def __str__(self) -> str:
        depth, height, width = self.shape
        samples = self.components * self.bands
        deep = f" x {depth}" if depth > 1 else ""
        return f"{width} x {height}{deep} {self.dtype}" + (f"[{samples}]" if samples > 1 else "")


def check_alike(kinds: Mapping[str, ImageKind], *, sizes: bool = True) -> None:
    """All images must be of one kind (where `sizes` is false, whatever their size).

    Parameters
    ----------
    kinds : Mapping
        By name of file.

    Raises
    ------
    UnlikeSlices
        It names the odd one.
    """
    groups: dict[object, list[str]] = {}
    for name, kind in kinds.items():
        key = (kind.dtype, kind.components, kind.bands, kind.shape if sizes else None)
        groups.setdefault(key, []).append(name)
    if len(groups) <= 1:
        return
    odd = min(reversed(groups.values()), key=len)
    usual = max((names for names in groups.values() if names is not odd), key=len)
    raise UnlikeSlices(
        f"{odd[0]} is {kinds[odd[0]]}, unlike {usual[0]}, which is {kinds[usual[0]]}."
    )


def check_arranged(kinds: Mapping[str, ImageKind], arranged: Arrangement) -> None:
    """Slices of a field must be alike; fields must be of one size.

    Raises
    ------
    UnlikeSlices, AmbiguousFormat
    """
    if len(arranged.fields) == 1:
        check_alike(kinds)
        return
    if len({kind.shape for kind in kinds.values()}) > 1:
        described = [f"{name} ({kind})" for name, kind in kinds.items()]
        more = " and others" if len(described) > _MAX_NAMED else ""
        raise AmbiguousFormat(
            "The images differ in name and size, so they seem unrelated: "
            f"{', '.join(described[:_MAX_NAMED])}{more}.",
            remedy="Upload each as a dataset of its own, or name one with the parameter 'files' "
            f"(for instance files={arranged.names[0]}).",
        )
    per_field = len(arranged.names) // len(arranged.fields)
    for first in range(0, len(arranged.names), per_field):
        check_alike({n: kinds[n] for n in arranged.names[first : first + per_field]})
