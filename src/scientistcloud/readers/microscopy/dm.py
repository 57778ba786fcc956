"""Gatan Digital Micrograph (``.dm3``, ``.dm4``) of electron microscopes, read by position.

Source of types and calibrations: C. Boothroyd's description. Sample i of a dimension lies at
``(i - Origin) * Scale``. The thumbnail, an image in colours, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.errors import CorruptSource, UnsupportedDtype, UnsupportedLayout
from scientistcloud.readers.arrays.attributes import json_value, text
from scientistcloud.readers.arrays.raw_grid import StoredAxis, Volume, make_volume
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Axis, Match, Selection, Source
from scientistcloud.readers.files.open_files import FilePool, handed_over
from scientistcloud.readers.microscopy.dm_tags import StoredArray, Tags, array_of, read_tags

_TYPES = {
    1: "i2", 2: "f4", 6: "u1", 7: "i4", 9: "i1", 10: "u2", 11: "u4", 12: "f8", 14: "u1",
    39: "i8", 40: "u8",
}  # fmt: skip
_COMPLEX = frozenset({3, 5, 13, 27, 28})
_COLORS = frozenset({8, 23})
_SUFFIXES = frozenset({".dm3", ".dm4"})
_UNITS = {"µm": "um", "μm": "um", "1/nm": "nm-1"}


class DmReader:
    """Recognises and opens DM3 and DM4 files."""

    name = "dm"

    def match(self, path: Path, head: bytes) -> Match:
        named = path.suffix.lower() in _SUFFIXES
        wide = head[:4] == b"\0\0\0\4"
        order = head[12:16] if wide else head[8:12]
        if head[:4] in (b"\0\0\0\3", b"\0\0\0\4") and order in (b"\0\0\0\0", b"\0\0\0\1"):
            begin = 16 if wide else 12
            plain = len(head) > begin + 2 and max(head[begin : begin + 2]) <= 1
            if plain and b"%%%%" in head:
                return Match.CERTAIN
        return Match.POSSIBLE if named else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        with handed_over(FilePool(selection.root)) as pool:
            volumes = [volume for path in files for volume in _volumes(path, pool)]
            return open_volumes(volumes, "Digital Micrograph", selection.parameters, pool)


READER = DmReader()


def _volumes(path: Path, pool: FilePool) -> list[Volume]:
    name = pool.name(path)
    images = read_tags(path, pool).get("ImageList")
    found = [i for i in images.values() if isinstance(i, dict)] if isinstance(images, dict) else []
    described = [i for i in found if isinstance(i.get("ImageData"), dict)]
    kept = [i for i in described if i["ImageData"].get("DataType") not in _COLORS]
    if not kept:
        raise UnsupportedLayout(f"{name} holds no image but its thumbnail.")
    volumes = [_volume(image, path, pool) for image in kept]
    if len(volumes) == 1:
        return volumes
    return [replace(v, name=f"{v.name}_{i + 1}") for i, v in enumerate(volumes)]


def _volume(image: Tags, path: Path, pool: FilePool) -> Volume:
    name, data = pool.name(path), image["ImageData"]
    code, stored = data.get("DataType"), array_of(data.get("Data"))
    if code in _COMPLEX:
        raise UnsupportedDtype(
            f"{name} holds complex numbers.", remedy="Export magnitude and phase."
        )
    if code not in _TYPES:
        raise UnsupportedDtype(f"{name} holds samples of the unknown type {code}.")
    lengths = _lengths(data, name)
    dtype = np.dtype(_TYPES[code])
    if stored is None:
        raise CorruptSource(f"{name} describes an image and does not hold it.")
    if stored.dtype.itemsize != dtype.itemsize or stored.count != math.prod(lengths):
        raise CorruptSource(
            f"{name} holds {stored.count:,} samples of {stored.dtype.itemsize} bytes, and "
            f"describes {math.prod(lengths):,} of {dtype.itemsize}."
        )
    calibrations = data.get("Calibrations")
    calibrations = calibrations if isinstance(calibrations, dict) else {}
    step, axes = dtype.itemsize, []
    for i, length in enumerate(lengths):
        axes.append(StoredAxis(length, step, _axis(calibrations, i)))
        step *= length
    dtype = dtype.newbyteorder(">" if stored.dtype.str[0] == ">" else "<")
    return make_volume(
        path, name, stored.offset, dtype, axes[::-1],
        metadata=_metadata(image, calibrations),
    )  # fmt: skip


def _lengths(data: Tags, name: str) -> list[int]:
    """Of the dimensions, the fastest first."""
    dimensions = data.get("Dimensions")
    lengths = list(dimensions.values()) if isinstance(dimensions, dict) else []
    if not 1 <= len(lengths) <= 8 or not all(isinstance(n, int) and n > 0 for n in lengths):
        raise CorruptSource(f"{name} describes an image without dimensions.")
    return lengths


def _axis(calibrations: Tags, index: int) -> Axis:
    name = "xyz"[index] if index < 3 else f"axis{index + 1}"
    dimensions = calibrations.get("Dimension")
    told = dimensions.get(str(index)) if isinstance(dimensions, dict) else None
    if not isinstance(told, dict):
        return Axis(name)
    scale, origin, units = (
        told.get("Scale"),
        told.get("Origin"),
        text(told.get("Units", "")).strip(),
    )
    if not isinstance(scale, float) or not math.isfinite(scale) or scale == 0 or not units:
        return Axis(name)
    begin = -origin * scale if isinstance(origin, float) and math.isfinite(origin) else None
    return Axis(name, _tidy(scale), _tidy(begin), _UNITS.get(units, units))


def _tidy(value: float | None) -> float | None:
    """A number that was stored in 32 bits, without the digits that these cannot hold."""
    return None if value is None else float(f"{value:.7g}")


def _metadata(image: Tags, calibrations: Tags) -> dict[str, Any]:
    return {
        "format": "Digital Micrograph",
        "name": text(image.get("Name", "")),
        "calibrations": _plain(calibrations),
        "tags": _plain(image.get("ImageTags", {})),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {text(k): _plain(v) for k, v in value.items()}
    if isinstance(value, StoredArray):
        return f"{value.count} values"
    return text(value) if isinstance(value, str) else json_value(value)
