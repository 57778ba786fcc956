"""What GDAL writes about the bands of a GeoTIFF: descriptions, units, scale and offset.

The tag ``GDAL_METADATA`` (42112) is XML: an ``Item`` of a ``sample`` and a ``role``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

_TAG = 42112
_MAX_BYTES = 4 << 20
_MAX_BANDS = 65_536


@dataclass(frozen=True, slots=True)
class Band:
    """One band: ``value = stored * scale + offset``, in `units`; the samples stay as stored."""

    name: str = ""
    units: str = ""
    scale: float = 1.0
    offset: float = 0.0

    @property
    def is_scaled(self) -> bool:
        return self.scale != 1.0 or self.offset != 0.0

    @property
    def attributes(self) -> dict[str, Any]:
        """As attributes of the field."""
        scaling = {"scale_factor": self.scale, "add_offset": self.offset}
        return {
            **(scaling if self.is_scaled else {}),
            **({"units": self.units} if self.units else {}),
        }


def bands_of(page: Any, count: int) -> tuple[Band, ...]:
    """The `count` bands of a tifffile page; empty where nothing is told of any."""
    text = page.tags.valueof(_TAG)
    if not isinstance(text, str) or len(text) > _MAX_BYTES or re.search(r"<!\s*\w", text):
        return ()
    try:
        root = ElementTree.fromstring(text.strip("\0 \n"))
    except (ElementTree.ParseError, ValueError):
        return ()
    told: dict[int, dict[str, str]] = {}
    for item in root.iter("Item"):
        sample, role = item.get("sample", ""), item.get("role", "").lower()
        if role and sample.isdecimal() and int(sample) < min(count, _MAX_BANDS):
            told.setdefault(int(sample), {})[role] = (item.text or "").strip()
    return tuple(_band(told.get(i, {})) for i in range(count)) if told else ()


def scaling_note(bands: Sequence[Band]) -> str:
    """A sentence about bands that are scaled; empty where none is."""
    scaled = [(i, band) for i, band in enumerate(bands) if band.is_scaled]
    if not scaled:
        return ""
    each = ", ".join(
        f"band {i + 1}: x {band.scale:.12g} {band.offset:+.12g} {band.units}".rstrip()
        for i, band in scaled[:4]
    )
    more = f" and {len(scaled) - 4} more" if len(scaled) > 4 else ""
    return (
        f"The values are kept as stored; GDAL's scale and offset go with the fields ({each}{more})."
    )


def _band(told: dict[str, str]) -> Band:
    return Band(
        told.get("description", ""),
        told.get("unittype", ""),
        _number(told.get("scale"), 1.0),
        _number(told.get("offset"), 0.0),
    )


def _number(text: str | None, default: float) -> float:
    try:
        value = float(text) if text else default
    except ValueError:
        return default
    return value if math.isfinite(value) else default
