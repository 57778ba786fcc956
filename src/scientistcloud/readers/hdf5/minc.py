"""MINC 2: the axes of an image, and the scaling of its slices, which is told and not applied.

``dimorder`` of the image names its axes, slowest first; ``dimensions/<name>`` has ``start``,
``step`` and ``units``. ``image-min`` and ``image-max`` beside the image say for each slice which
real values the ends of ``valid_range`` stand for.
"""

from __future__ import annotations

from typing import Any

from scientistcloud.readers.arrays.attributes import number, text, texts
from scientistcloud.readers.arrays.axis_meanings import meaning_of
from scientistcloud.readers.hdf5.catalogue import Catalogue, StoredArray
from scientistcloud.readers.hdf5.conventions import ToldAxis

_ROOT = "/minc-2.0"


def is_minc(found: Catalogue, array: StoredArray) -> bool:
    return array.path.startswith(f"{_ROOT}/image/")


def minc_axes(found: Catalogue, array: StoredArray) -> list[ToldAxis]:
    """The axes by ``dimorder``; empty where it does not fit the array."""
    if not is_minc(found, array):
        return []
    names = texts(array.attributes.get("dimorder", ""))
    return [_axis(found, name) for name in names] if len(names) == len(array.shape) else []


def scaling_note(found: Catalogue, array: StoredArray) -> str:
    """A sentence about the scaling of an image; empty where it has none."""
    ends = [found.array(f"{array.parent}/{name}") for name in ("image-min", "image-max")]
    if not is_minc(found, array) or None in ends or array.dtype.kind == "f":
        return ""
    return (
        f"MINC scales {array.path!r} slice by slice (image-min and image-max beside it for the "
        "ends of valid_range): that is not applied, the values are as stored."
    )


def _axis(found: Catalogue, name: str) -> ToldAxis:
    about: dict[str, Any] = {}
    dimension = found.array(f"{_ROOT}/dimensions/{name}")
    if dimension is not None:
        about = dimension.attributes
    step, start = number(about.get("step")), number(about.get("start"))
    units = text(about["units"]).strip() if "units" in about else ""
    origin = start if step else None
    return ToldAxis(name, meaning_of(name), step or None, origin, units or None)
