"""A dataset as lazy arrays of Dask in an `xarray.Dataset`."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from scientistcloud.grid import Box
from scientistcloud.idx.geometry.bitmask import Bitmask
from scientistcloud.idx.geometry.blocks import BlockLayout
from scientistcloud.idx.geometry.query import samples_inside
from scientistcloud.idx.times import Times
from scientistcloud.library.samples import Samples

_NAMES = ("z", "y", "x")


def lazy_dataset(
    samples: Samples, location: str, resolution: int, times: Times | None = None
) -> xr.Dataset:
    """Variables of (time, z, y, x[, component]) at a resolution, a chunk a block."""
    header = samples.header
    rank = len(header.shape)
    names = header.axis_names if len(set(header.axis_names)) == rank else _NAMES[-rank:]
    variables = {}
    for index, item in enumerate(header.fields):
        array = _lazy_field(samples, index, resolution)
        dims = [*names, *(["component"] if item.components > 1 else [])]
        variables[item.name] = xr.Variable(["time", *dims], array)
    found = xr.Dataset(variables, attrs={"source": location})
    grid = samples_inside(
        BlockLayout(Bitmask(header.bits), header.bits_per_block), header.box, resolution
    )
    for axis, name in enumerate(names):
        place = header.axis_place(axis)
        if place is not None:
            places = grid.start[axis] + grid.step[axis] * np.arange(grid.shape[axis])
            values = place[0] + (places - header.box.lo[axis]) * place[1]
            unit = header.axis_unit(axis)
            attributes = {"units": unit} if unit else {}
            found = found.assign_coords({name: xr.Variable((name,), values, attributes)})
    if times is not None:
        attributes = {"units": times.units} if times.units else {}
        found = found.assign_coords({"time": xr.Variable(("time",), times.values, attributes)})
    return found if header.timesteps > 1 else found.squeeze("time")


def _lazy_field(samples: Samples, index: int, resolution: int) -> Any:
    header = samples.header
    item = header.fields[index]
    layout = BlockLayout(Bitmask(header.bits), header.bits_per_block)
    grid = samples_inside(layout, header.box, resolution)
    chunks = tuple(min(n, b) for n, b in zip(grid.shape, samples.brick(), strict=True))

    def read(block_info: Any = None) -> NDArray[Any]:
        place = block_info[None]["array-location"]
        time, space = place[0][0], place[1 : 1 + len(header.shape)]
        lo = tuple(s + a * d for s, d, (a, _) in zip(grid.start, grid.step, space, strict=True))
        hi = tuple(
            s + (b - 1) * d + 1 for s, d, (_, b) in zip(grid.start, grid.step, space, strict=True)
        )
        return samples.read(index, time, Box(lo, hi), resolution)[np.newaxis]

    components = () if item.components == 1 else (item.components,)
    lengths = [_split(n, c) for n, c in zip(grid.shape, chunks, strict=True)]
    return da.map_blocks(  # type: ignore[no-untyped-call]
        read,
        chunks=((1,) * header.timesteps, *lengths, *((c,) for c in components)),
        dtype=item.dtype,
        meta=np.empty((0,) * (1 + len(lengths) + len(components)), item.dtype),
    )


def _split(length: int, chunk: int) -> tuple[int, ...]:
    whole, rest = divmod(length, chunk)
    return (chunk,) * whole + ((rest,) if rest else ())
