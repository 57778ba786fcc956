"""What a TIFF says about its pixels beside their values: spacing, place, units, attributes.

Spacing comes, in this order, from OME-XML, from the georeference, from ImageJ's description, and
from the resolution tags where these hold a measured value: those in inches that only state a
printing resolution are passed over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scientistcloud.readers.base import Axis, Matrix
from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.tiff.gdal import Band, bands_of, scaling_note
from scientistcloud.readers.tiff.geo import GeoReference, read_georeference
from scientistcloud.readers.tiff.keyframe import tifffile_open, translated
from scientistcloud.readers.tiff.palette import colour_list
from scientistcloud.readers.tiff.series import Series

_MAX_TEXT = 1_000_000
_PRINTING_DPI = frozenset({1, 72, 75, 90, 96, 100, 120, 144, 150, 180, 200, 240, 300, 350, 360,
                           400, 600, 720, 1200, 2400})  # fmt: skip
_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}
_INCH, _CENTIMETRE = 2, 3
_NODATA = 42113
_BULKY = frozenset({273, 279, 324, 325, 288, 289, 320, 347, 34675, 50838, 50839, 34377})
_MICROMETRE = frozenset({"um", "µm", "\u03bcm", "micron", "microns"})
_ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})")

Steps = dict[str, tuple[float, str | None]]
"""Step and unit by axis: X, Y, Z."""


@dataclass(frozen=True)
class Description:
    """What is known of a series.

    Attributes
    ----------
    axes : tuple of Axis
        For z, y and x.
    channels : tuple of str
        Names of channels, where the file has them.
    interval_seconds : float or None
        Between timesteps.
    bands : tuple of Band
        What GDAL says of the samples of a pixel; empty where it says nothing.
    """

    axes: tuple[Axis, Axis, Axis] = (Axis("z"), Axis("y"), Axis("x"))
    metadata: Mapping[str, Any] = field(default_factory=dict)
    fill_value: float | int | None = None
    channels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    interval_seconds: float | None = None
    matrix: Matrix = ()
    bands: tuple[Band, ...] = ()


def describe_tiff(pool: FilePool, series: Series) -> Description:
    """Read the tags of the first page of the file of `series`."""
    with tifffile_open(pool, series.path) as tif, translated(pool, series.path):
        page = tif.pages.first
        imagej = tif.imagej_metadata if tif.is_imagej else None
        geo = read_georeference(page)
        tags = {t.name: jsonable(t.value) for t in page.tags if t.code not in _BULKY}
        metadata: dict[str, Any] = {"tiff": tags}
        if imagej:
            metadata["imagej"] = jsonable({k: v for k, v in imagej.items() if k != "LUTs"})
        colours = colour_list(page)
        if colours is not None:
            metadata["palette"] = colours
        if geo.metadata:
            metadata["geo"] = jsonable(geo.metadata)
        bands = bands_of(page, series.keyframe.bands)
        orientation = page.tags.valueof(274, 1)
        return Description(
            _axes(series, page, imagej, geo),
            metadata,
            _fill_value(page),
            _channels(imagej),
            _notes(orientation, geo, bands),
            _interval(series, imagej),
            geo.matrix,
            bands,
        )


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
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return int(value)
    return None if value is None else str(value)[:_MAX_TEXT]


def _axes(
    series: Series, page: Any, imagej: Mapping[str, Any] | None, geo: GeoReference
) -> tuple[Axis, Axis, Axis]:
    if geo.x is not None and geo.y is not None:
        return (Axis("z"), geo.y, geo.x)
    steps: Steps = {axis: series.spacing[axis] for axis in "XYZ" if axis in series.spacing}
    steps = steps or _imagej_steps(page, imagej) or _resolution_steps(page)
    z, y, x = (
        Axis(axis.lower(), *_origin(steps[axis])) if axis in steps else Axis(axis.lower())
        for axis in "ZYX"
    )
    return (z, y, x)


def _origin(step: tuple[float, str | None]) -> tuple[float, float, str | None]:
    """Spacing, origin and units of an axis that begins at 0."""
    return (step[0], 0.0, step[1])


def _imagej_steps(page: Any, imagej: Mapping[str, Any] | None) -> Steps:
    """ImageJ's scale: resolution tags in pixels a unit, and ``spacing``, all in ``unit``."""
    if not imagej:
        return {}
    # ImageJ writes letters beyond ASCII as \\u00B5.
    unit = _ESCAPED.sub(lambda m: chr(int(m[1], 16)), str(imagej.get("unit") or "")).strip()
    if not unit or unit == "pixel":
        return {}
    steps: Steps = {}
    unit = "µm" if unit in _MICROMETRE else unit
    for axis, code in (("X", 282), ("Y", 283)):
        per_unit = _rational(page, code)
        if per_unit:
            steps[axis] = (1 / per_unit, unit)
    spacing = imagej.get("spacing")
    if isinstance(spacing, (int, float)) and math.isfinite(spacing) and spacing != 0:
        steps["Z"] = (abs(float(spacing)), unit)
    return steps


def _resolution_steps(page: Any) -> Steps:
    unit = page.tags.valueof(296, _INCH)
    x, y = _rational(page, 282), _rational(page, 283)
    if unit not in (_INCH, _CENTIMETRE) or not x or not y:
        return {}
    if unit == _INCH and round(x, 3) in _PRINTING_DPI:
        return {}
    length = 2.54 if unit == _INCH else 1.0
    if round(x * 2.54, 2) in _PRINTING_DPI:
        return {}
    return {"X": (length / x, "cm"), "Y": (length / y, "cm")}


def _interval(series: Series, imagej: Mapping[str, Any] | None) -> float | None:
    """OME's time increment in seconds, or ImageJ's frame interval."""
    value, unit = series.spacing.get("T", (None, "s"))
    if value is None and imagej:
        value = imagej.get("finterval")
    scale = _SECONDS.get(unit)
    if not isinstance(value, (int, float)) or scale is None or not math.isfinite(value):
        return None
    return float(value) * scale if value > 0 else None


def _rational(page: Any, code: int) -> float:
    value = page.tags.valueof(code)
    try:
        result = float(value[0]) / float(value[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return 0.0
    return result if math.isfinite(result) and 0 < result < 1e12 else 0.0


def _fill_value(page: Any) -> float | int | None:
    """GDAL's nodata value, if the samples can have it."""
    if page.tags.valueof(_NODATA) is None or page.dtype is None:
        return None
    try:
        value = float(str(page.tags.valueof(_NODATA)).strip("\0 "))
    except ValueError:
        return None
    if page.dtype.kind == "f":
        return value
    whole = value.is_integer() and page.dtype.kind in "iu"
    limits = np.iinfo(page.dtype) if whole else None
    return int(value) if limits and limits.min <= value <= limits.max else None


def _channels(imagej: Mapping[str, Any] | None) -> tuple[str, ...]:
    """ImageJ keeps names in the labels of the slices, the channel before the first line's end."""
    count = int((imagej or {}).get("channels", 1))
    labels = (imagej or {}).get("Labels")
    if count < 2 or not isinstance(labels, (list, tuple)) or len(labels) != count:
        return ()
    return tuple(str(label).strip() for label in labels)


def _notes(orientation: Any, geo: GeoReference, bands: Sequence[Band]) -> tuple[str, ...]:
    notes = list(geo.notes)
    if scaling_note(bands):
        notes.append(scaling_note(bands))
    if orientation not in (1, None):
        notes.append(
            f"The TIFF says that its first row and column lie elsewhere (Orientation "
            f"{jsonable(orientation)}); the rows are kept in the order of the file."
        )
    return tuple(notes)
