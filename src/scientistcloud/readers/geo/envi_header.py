"""Headers of ENVI: ``key = value`` lines, lists between braces.

Source: "ENVI Header Files" of the ENVI documentation; ``map info`` as there: the
reference pixel counts from 1 at the outer corner of the first pixel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scientistcloud.errors import CorruptSource, UnsupportedDtype, UnsupportedLayout
from scientistcloud.readers.base import Axis

MOST_HEADER_BYTES = 8 << 20
_MOST = 1 << 40
_TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX = frozenset({6, 9})


@dataclass(frozen=True, slots=True)
class EnviHeader:
    """An ENVI header understood; lengths in samples, `offset` in bytes."""

    width: int
    height: int
    bands: int
    offset: int
    dtype: np.dtype[Any]
    interleave: str
    entries: Mapping[str, str]

    def items(self, key: str) -> list[str]:
        """The members of a list between braces."""
        value = self.entries.get(key, "").strip()
        if not value.startswith("{"):
            return []
        return [item.strip() for item in value.strip("{} \n\r\t").split(",")]

    def numbers(self, key: str) -> list[float]:
        """The members of a list of finite numbers; empty where one is none."""
        try:
            numbers = [float(item) for item in self.items(key)]
        except ValueError:
            return []
        return numbers if all(map(math.isfinite, numbers)) else []

    @property
    def ignored(self) -> float | int | None:
        """``data ignore value``, where a sample can have it."""
        try:
            value = float(self.entries.get("data ignore value", ""))
        except ValueError:
            return None
        if not math.isfinite(value):
            return None
        if self.dtype.kind == "f":
            return value
        limits = np.iinfo(self.dtype)
        return int(value) if value.is_integer() and limits.min <= value <= limits.max else None


def parse_header(data: bytes, name: str) -> EnviHeader:
    """The header in `data`.

    Raises
    ------
    CorruptSource, UnsupportedDtype, UnsupportedLayout
        It makes no sense, or describes what cannot be shown.
    """
    content = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    entries = _entries(content.partition("\n")[2])
    code = _whole(entries, "data type", name)
    if code in _COMPLEX:
        raise UnsupportedDtype(
            f"{name} describes complex numbers.", remedy="Export magnitude and phase."
        )
    if code not in _TYPES:
        raise UnsupportedDtype(f"{name} describes samples of the unknown type {code}.")
    dtype = np.dtype(_TYPES[code])
    order = _whole(entries, "byte order", name, 0 if dtype.itemsize == 1 else None)
    if order not in (0, 1):
        raise CorruptSource(f"{name} has a byte order that is neither 0 nor 1.")
    if entries.get("file compression", "0") not in ("0", ""):
        raise UnsupportedLayout(f"{name} describes a compressed file.", remedy="Save it as it is.")
    interleave = entries.get("interleave", "bsq").lower()
    if interleave not in ("bsq", "bil", "bip"):
        raise UnsupportedLayout(f"{name} has the unknown interleave '{interleave[:20]}'.")
    width, height = _whole(entries, "samples", name), _whole(entries, "lines", name)
    bands = _whole(entries, "bands", name, 1)
    if min(width, height, bands) < 1 or width * height * bands > _MOST:
        raise CorruptSource(f"{name} describes {width} x {height} samples in {bands} bands.")
    offset = _whole(entries, "header offset", name, 0)
    if entries.get("major frame offsets", "").strip("{} 0,"):
        raise UnsupportedLayout(f"{name} describes gaps between frames (major frame offsets).")
    stored = dtype.newbyteorder(">" if order else "<")
    return EnviHeader(width, height, bands, offset, stored, interleave, entries)


def _entries(content: str) -> dict[str, str]:
    """Line by line, lists up to their brace; without patterns, which blanks can stall."""
    entries: dict[str, str] = {}
    key, parts = "", list[str]()
    for line in content.split("\n"):
        if parts:
            parts.append(line)
        else:
            key, sign, value = line.partition("=")
            if not sign or not 0 < len(key.strip()) <= 80:
                continue
            parts = [value.strip()]
        if not parts[0].startswith("{") or "}" in line:
            entries[key.strip().lower()] = "\n".join(parts).strip()
            parts = []
    return entries


def _whole(entries: Mapping[str, str], key: str, name: str, default: int | None = None) -> int:
    value = entries.get(key, "" if default is None else str(default))
    if not value.isdecimal() or len(value) > 15:
        raise CorruptSource(f"{name} has no valid '{key}'.")
    return int(value)


def place(header: EnviHeader) -> tuple[Axis, Axis]:
    """The axes y and x: centres of pixels where ``map info`` tells them and nothing is turned."""
    info = header.items("map info")
    try:
        column, row, east, north, dx, dy = (float(v) for v in info[1:7])
    except ValueError:
        return Axis("y"), Axis("x")
    turned = any("rotation" in i.lower() and not i.replace(" ", "").endswith("=0") for i in info)
    values = (column, row, east, north, dx, dy)
    if turned or not all(map(math.isfinite, values)) or dx <= 0 or dy <= 0:
        return Axis("y"), Axis("x")
    told = next((i.partition("=")[2].strip() for i in info if i.lower().startswith("units")), "")
    on_sphere = info[0].lower().startswith("geographic") or told.lower().startswith("deg")
    units = (
        "degree" if on_sphere else {"": None, "meters": "m", "metres": "m"}.get(told.lower(), told)
    )
    names = ("latitude", "longitude") if on_sphere else ("y", "x")
    return (
        Axis(names[0], -dy, north + (row - 1.5) * dy, units),
        Axis(names[1], dx, east - (column - 1.5) * dx, units),
    )
