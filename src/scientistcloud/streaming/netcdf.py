"""Samples of a box as a NetCDF-4 file: with coordinates, units and fill value."""

from __future__ import annotations

import re
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Shape
from scientistcloud.streaming.description import axes, field_facts, fill_value
from scientistcloud.streaming.results import Result


def netcdf_bytes(
    result: Result, field: int, samples: NDArray[Any], start: Shape, step: Shape
) -> bytes:
    """A file with one variable over its axes.

    Parameters
    ----------
    samples : ndarray
        In array order, a last axis of components where there are several. float16, which NetCDF
        does not know, becomes float32: the same values.
    start, step : Shape
        Which samples of the finest grid these are, in array order.
    """
    item = result.header.fields[field]
    if samples.dtype == np.float16:
        samples = samples.astype(np.float32)
    described = axes(result)[::-1]
    names = _names([str(axis["name"]) for axis in described], item.name)
    file = netCDF4.Dataset("box.nc", "w", memory=max(1 << 16, samples.nbytes))
    try:
        for axis, name in enumerate(names):
            file.createDimension(name, samples.shape[axis])
            _add_axis(file, name, described[axis], start[axis], step[axis])
        dims = (*names, "component") if item.components > 1 else tuple(names)
        if item.components > 1:
            file.createDimension("component", item.components)
        fill = fill_value(result, field)
        variable = file.createVariable(
            _plain(item.name), samples.dtype, dims, compression="zlib", complevel=1,
            fill_value=None if fill is None else samples.dtype.type(fill),
        )  # fmt: skip
        variable.set_auto_maskandscale(False)
        units = field_facts(result, field).get("units")
        if isinstance(units, str) and units:
            variable.units = units
        variable[:] = samples
    except BaseException:
        file.close()
        raise
    return bytes(file.close())


def _add_axis(file: Any, name: str, axis: dict[str, Any], start: int, step: int) -> None:
    """Where the samples lie, in the units of the axis; their numbers where nothing is known."""
    variable = file.createVariable(name, "f8", (name,))
    places = start + step * np.arange(file.dimensions[name].size)
    spacing = axis["spacing"]
    variable[:] = places if spacing is None else (axis["origin"] or 0.0) + places * spacing
    if spacing is not None and axis["units"]:
        variable.units = axis["units"]


def _names(names: list[str], field: str) -> list[str]:
    """Names of dimensions, none twice and none that of the field."""
    found: list[str] = []
    for each in map(_plain, names):
        name = each
        while name in found or name in (_plain(field), "component"):
            name += "_"
        found.append(name)
    return found


def _plain(name: str) -> str:
    text = re.sub(r"[^\w.+@-]", "_", name, flags=re.ASCII)[:200]
    return text if re.match(r"[A-Za-z_]", text) else f"_{text}"
