"""GeoTIFF: where on Earth the pixels lie (OGC 19-008r4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scientistcloud.readers.base import Axis, Matrix

_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION = 33550, 33922, 34264
_PIXEL_IS_POINT = 2
_UNITS = {9001: "m", 9002: "ft", 9003: "US survey foot", 9102: "degree", 9101: "radian"}


@dataclass(frozen=True)
class GeoReference:
    """The place of a raster.

    Attributes
    ----------
    x, y : Axis or None
        Coordinates of the centres of pixels; None where the raster is turned or has no place.
    metadata : Mapping
        CRS (``epsg``, ``crs``), the affine ``geotransform`` of GDAL (corner of the first pixel)
        and all keys.
    """

    x: Axis | None = None
    y: Axis | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    matrix: Matrix = ()


def read_georeference(page: Any) -> GeoReference:
    """The georeference of a tifffile page; empty where it has none."""
    keys = dict(page.geotiff_tags or {}) if page.is_geotiff else {}
    transform = _geotransform(page, keys)
    if not keys and transform is None:
        return GeoReference()
    metadata: dict[str, Any] = {"keys": {k: str(v) if _is_enum(v) else v for k, v in keys.items()}}
    epsg = _epsg(keys)
    if epsg:
        metadata["epsg"] = epsg
        metadata["crs"] = f"EPSG:{epsg}"
    citation = keys.get("GTCitationGeoKey") or keys.get("GeogCitationGeoKey")
    if citation:
        metadata["citation"] = str(citation)
    if transform is None:
        return GeoReference(metadata=metadata, notes=("The georeference has no place.",))
    metadata["geotransform"] = list(transform)
    x0, dx, x_turn, y0, y_turn, dy = transform
    if x_turn or y_turn:
        note = "The raster is turned against its coordinates: see geotransform in the metadata."
        matrix = (
            (dx, x_turn, x0 + (dx + x_turn) / 2),
            (y_turn, dy, y0 + (y_turn + dy) / 2),
            (0.0, 0.0, 1.0),
        )
        return GeoReference(metadata=metadata, notes=(note,), matrix=matrix)
    names, units = _axis_names(keys)
    return GeoReference(
        Axis(names[0], dx, x0 + dx / 2, units),
        Axis(names[1], dy, y0 + dy / 2, units),
        metadata,
    )


def _geotransform(page: Any, keys: Mapping[str, Any]) -> tuple[float, ...] | None:
    """GDAL's six numbers: x = t0 + t1 * column + t2 * row; y = t3 + t4 * column + t5 * row."""
    matrix = page.tags.valueof(_TRANSFORMATION)
    scale, ties = page.tags.valueof(_PIXEL_SCALE), page.tags.valueof(_TIE_POINTS)
    try:
        if matrix is not None and len(matrix) == 16:
            numbers = [float(matrix[i]) for i in (3, 0, 1, 7, 4, 5)]
        elif scale is not None and ties is not None and len(ties) == 6:
            column, row, _, x, y, _ = map(float, ties)
            dx, dy = float(scale[0]), -float(scale[1])
            numbers = [x - column * dx, dx, 0.0, y - row * dy, 0.0, dy]
        else:
            return None
    except (TypeError, ValueError, IndexError):
        return None
    if int(keys.get("GTRasterTypeGeoKey", 1)) == _PIXEL_IS_POINT:
        # The tie point is then the centre of a pixel.
        numbers[0] -= (numbers[1] + numbers[2]) / 2
        numbers[3] -= (numbers[4] + numbers[5]) / 2
    if not all(map(math.isfinite, numbers)) or numbers[1] == 0 or numbers[5] == 0:
        return None
    return tuple(numbers)


def _epsg(keys: Mapping[str, Any]) -> int | None:
    for name in ("ProjectedCSTypeGeoKey", "GeographicTypeGeoKey"):
        try:
            code = int(keys[name])
        except (KeyError, TypeError, ValueError):
            continue
        if 0 < code < 32767:
            return code
    return None


def _axis_names(keys: Mapping[str, Any]) -> tuple[tuple[str, str], str | None]:
    """Names of x and y, and their unit."""
    try:
        model = int(keys.get("GTModelTypeGeoKey", 0))
    except (TypeError, ValueError):
        model = 0
    if model == 2:
        return ("longitude", "latitude"), "degree"
    try:
        unit = _UNITS.get(int(keys.get("ProjLinearUnitsGeoKey", 9001)))
    except (TypeError, ValueError):
        unit = None
    return ("x", "y"), unit if model == 1 else None


def _is_enum(value: Any) -> bool:
    return hasattr(value, "name") and hasattr(value, "value")
