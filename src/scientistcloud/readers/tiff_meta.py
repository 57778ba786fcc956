"""What a TIFF says about its pixels beside their values: spacing, place, units, attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scientistcloud.readers.base import Axis
from scientistcloud.readers.files import FilePool
from scientistcloud.readers.tiff_keyframe import tifffile_open, translated
from scientistcloud.readers.tiff_series import Series

_MAX_TEXT = 20_000


@dataclass(frozen=True)
class Description:
    """What is known of a series.

    Attributes
    ----------
    axes : tuple of Axis
        For z, y and x.
    """

    axes: tuple[Axis, Axis, Axis] = (Axis("z"), Axis("y"), Axis("x"))
    metadata: Mapping[str, Any] = field(default_factory=dict)
    fill_value: float | int | None = None
    channels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def describe_tiff(pool: FilePool, series: Series) -> Description:
    """Read the tags of the first page of the file of `series`."""
    with tifffile_open(pool, series.path) as tif, translated(pool, series.path):
        page = tif.pages.first
        return Description(metadata={"tiff": {t.name: jsonable(t.value) for t in page.tags
                                              if t.code not in _BULKY}})  # fmt: skip


_BULKY = frozenset({273, 279, 324, 325, 320, 347, 34675, 50838, 50839})


def jsonable(value: Any) -> Any:
    """A value as JSON can hold it; bytes as text where they are, else their number."""
    if isinstance(value, bytes):
        text = value.rstrip(b"\0")
        return text.decode() if text.isascii() and len(text) < _MAX_TEXT else f"{len(value)} bytes"
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist()) if value.size <= 64 else f"array of shape {value.shape}"
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(v) for v in value] if len(value) <= 256 else f"{len(value)} values"
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, bool | int | str) or value is None:
        return value[:_MAX_TEXT] if isinstance(value, str) else value
    return str(value)[:_MAX_TEXT]
