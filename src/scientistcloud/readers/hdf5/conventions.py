"""What conventions of HDF5 files say about the axes of an array, besides NeXus and scales.

- ``axistags`` (vigra, ilastik): a key and a resolution for each axis, as JSON.
- openPMD (``axisLabels``, ``gridSpacing``, ``gridGlobalOffset``, ``gridUnitSI``, ``dataOrder``) of
  a mesh record, https://github.com/openPMD/openPMD-standard, version 1.1.0.
- MATLAB 7.3 (``MATLAB_class``) writes its arrays with the axes reversed: the last stored axis is
  that of the rows, the one before that of the columns, before these come the pages; three pages
  are the colours of MATLAB's truecolor images.
- Velox (EMD of Thermo Fisher, ``Data/Image/<id>/Data``) keeps rows, columns, frames.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scientistcloud.readers.arrays.attributes import number, text, texts
from scientistcloud.readers.arrays.axis_meanings import Meaning
from scientistcloud.readers.hdf5.catalogue import Catalogue, StoredArray

_LETTERS = {
    "x": Meaning.X, "y": Meaning.Y, "z": Meaning.Z, "t": Meaning.TIME, "c": Meaning.CHANNEL,
}  # fmt: skip
_LONGER = 4
_VELOX = re.compile(r"^/Data/Image/[^/]+/Data$")


@dataclass(frozen=True, slots=True)
class ToldAxis:
    """One axis as a convention tells it; `spacing` and `origin` in `units`."""

    name: str
    meaning: Meaning = Meaning.UNKNOWN
    spacing: float | None = None
    origin: float | None = None
    units: str | None = None


def told_axes(found: Catalogue, array: StoredArray) -> tuple[ToldAxis, ...]:
    """The axes of `array`, one for each stored axis; empty where no convention tells them."""
    for told in (_axistags(array), _openpmd(found, array), _matlab(array), _velox(array)):
        if len(told) == len(array.shape):
            return tuple(told)
    return ()


def is_matlab(array: StoredArray) -> bool:
    return "MATLAB_class" in array.attributes


def _axistags(array: StoredArray) -> list[ToldAxis]:
    if "axistags" not in array.attributes:
        return []
    try:
        axes = json.loads(text(array.attributes["axistags"]))["axes"]
        keys = [str(axis["key"]) for axis in axes]
        sizes = [number(axis.get("resolution")) or None for axis in axes]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    if len(set(keys)) < len(keys):
        return []
    return [
        ToldAxis(key, _LETTERS.get(key, Meaning.UNKNOWN), size)
        for key, size in zip(keys, sizes, strict=True)
    ]


def _openpmd(found: Catalogue, array: StoredArray) -> list[ToldAxis]:
    """Of a mesh; the attributes of a vector's components are those of the group around them."""
    if "openPMD" not in found.groups.get("/", {}):
        return []
    about: Mapping[str, Any] = {**found.groups.get(array.parent, {}), **array.attributes}
    if "axisLabels" not in about:
        return []
    labels = list(texts(about["axisLabels"]))
    rank = len(labels)
    spacing, offset = (
        _values(about.get("gridSpacing"), rank),
        _values(about.get("gridGlobalOffset"), rank),
    )
    inside = _values(array.attributes.get("position"), rank)
    unit = number(about.get("gridUnitSI")) or 1.0
    is_round = text(about.get("geometry", "")).lower() == "thetamode"
    axes = []
    for i, label in enumerate(labels):
        step = spacing[i] * unit if spacing else None
        start = (offset[i] if offset else 0.0) * unit
        start += (inside[i] if inside else 0.0) * (step or 0.0)
        meaning = Meaning.UNKNOWN if is_round else _LETTERS.get(label, Meaning.UNKNOWN)
        axes.append(ToldAxis(label, meaning, step, start if step else None, "m"))
    if text(about.get("dataOrder", "C")).upper() == "F":
        axes.reverse()
    if is_round and len(array.shape) == rank + 1:
        axes.insert(0, ToldAxis("mode", Meaning.CHANNEL))
    return axes


def iteration_times(found: Catalogue, numbers: tuple[int, ...]) -> tuple[float, ...]:
    """When the iterations of openPMD with these numbers are, in seconds; empty where not told."""
    times = []
    for n in numbers if "openPMD" in found.groups.get("/", {}) else ():
        about = found.groups.get(f"/data/{n}", {})
        time, unit = number(about.get("time")), number(about.get("timeUnitSI"))
        if time is None:
            return ()
        times.append(time * (1.0 if unit is None else unit))
    return tuple(times)


def _values(value: Any, count: int) -> Sequence[float]:
    array = np.asarray(() if value is None else value).reshape(-1)
    if array.size != count or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        return ()
    return [float(v) for v in array]


def _velox(array: StoredArray) -> list[ToldAxis]:
    if not _VELOX.match(array.path) or len(array.shape) != 3:
        return []
    return [
        ToldAxis("y", Meaning.Y), ToldAxis("x", Meaning.X), ToldAxis("frame", Meaning.TIME)
    ]  # fmt: skip


def _matlab(array: StoredArray) -> list[ToldAxis]:
    rank = len(array.shape)
    if not is_matlab(array) or rank < 2:
        return []
    axes = [ToldAxis("column", Meaning.X), ToldAxis("row", Meaning.Y)]
    if rank == 2:
        return axes
    pages = array.shape[-3]
    is_colour = pages == 3 and min(array.shape[-2:]) > _LONGER
    third = ToldAxis("colour", Meaning.COLOUR) if is_colour else ToldAxis("page", Meaning.Z)
    return [*(ToldAxis(f"dim{rank - i}") for i in range(rank - 3)), third, *axes]
