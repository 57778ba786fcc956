"""Imaris 5.5: sizes, extents, names of channels and times, which are attributes of text.

Arrays are padded to whole chunks; the size of the image is in ``DataSetInfo/Image`` (``X``, ``Y``,
``Z``), or beside each array (``ImageSizeX`` ...), and for the coarser resolutions only there.
``ExtMin0`` to ``ExtMax2`` are the edges of the image along x, y, z, in ``Unit``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from scientistcloud.grid import Shape
from scientistcloud.readers.arrays.axis_meanings import Meaning
from scientistcloud.readers.hdf5.catalogue import Catalogue, StoredArray
from scientistcloud.readers.hdf5.conventions import ToldAxis

_DATA = re.compile(r"^/DataSet/ResolutionLevel (\d+)/TimePoint (\d+)/Channel (\d+)/Data$")
_AXES = (("z", Meaning.Z, 2), ("y", Meaning.Y, 1), ("x", Meaning.X, 0))
_IMAGE = "/DataSetInfo/Image"


def words(value: Any) -> str:
    """A text of Imaris: an array with one character in each sample."""
    array = np.asarray(value).reshape(-1)
    if array.dtype.kind == "S" and array.size > 1:
        return b"".join(array.tolist()).decode("utf-8", "replace").strip()
    return str(array[0].decode() if array.dtype.kind == "S" else array[0]) if array.size else ""


def is_imaris(found: Catalogue) -> bool:
    return "ImarisVersion" in found.groups.get("/", {})


def without_padding(found: Catalogue) -> None:
    """Give the arrays of images in `found` the sizes that the images have."""
    if not is_imaris(found):
        return
    image = found.groups.get(_IMAGE, {})
    for path, array in found.arrays.items():
        match = _DATA.match(path)
        if match is None or len(array.shape) != 3:
            continue
        size = _size(found.groups.get(array.parent, {}), "ImageSize")
        if size is None and match[1] == "0":
            size = _size(image, "")
        if size is not None and all(n <= m for n, m in zip(size, array.shape, strict=True)):
            found.arrays[path] = replace(array, shape=size)


def imaris_axes(found: Catalogue, array: StoredArray) -> list[ToldAxis]:
    """The axes of an image; the samples lie in the middle of their voxels."""
    if not is_imaris(found) or _DATA.match(array.path) is None:
        return []
    image = found.groups.get(_IMAGE, {})
    units = words(image.get("Unit", "")) or None
    result = []
    for (name, meaning, number), length in zip(_AXES, array.shape, strict=True):
        low, high = _number(image, f"ExtMin{number}"), _number(image, f"ExtMax{number}")
        if low is None or high is None or not high > low:
            result.append(ToldAxis(name, meaning))
            continue
        step = (high - low) / length
        result.append(ToldAxis(name, meaning, step, low + step / 2, units))
    return result


def channel_name(found: Catalogue, path: str) -> str:
    """What the channel of the array `path` is called; empty where it has no name."""
    match = _DATA.match(path)
    if match is None or not is_imaris(found):
        return ""
    return words(found.groups.get(f"/DataSetInfo/Channel {match[3]}", {}).get("Name", ""))


def step_times(found: Catalogue, numbers: tuple[int, ...]) -> tuple[str, ...]:
    """When the timesteps of these numbers were taken; empty where not all are known."""
    info = found.groups.get("/DataSetInfo/TimeInfo", {}) if is_imaris(found) else {}
    told = [words(info.get(f"TimePoint{n + 1}", "")) for n in numbers]
    return tuple(t.replace(" ", "T", 1) for t in told) if told and all(told) else ()


def _size(attributes: Mapping[str, Any], prefix: str) -> Shape | None:
    numbers = [_number(attributes, f"{prefix}{letter}") for letter in "ZYX"]
    if any(n is None or n < 1 or n != int(n) for n in numbers):
        return None
    return tuple(int(n) for n in numbers if n is not None)


def _number(attributes: Mapping[str, Any], name: str) -> float | None:
    try:
        value = float(words(attributes[name]))
    except (KeyError, ValueError, UnicodeDecodeError):
        return None
    return value if np.isfinite(value) else None
