"""Boxes, slices and previews for the page and for programs: `cut_box`, `preview`."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box, Shape
from scientistcloud.refusals import BadRequest
from scientistcloud.streaming.answer import Answer
from scientistcloud.streaming.box_reader import BoxReader
from scientistcloud.streaming.colors import DEFAULT_PALETTE, Look, Scale, paint
from scientistcloud.streaming.description import fill_value, value_range
from scientistcloud.streaming.encode import (
    FORMATS,
    PICTURES,
    npy_bytes,
    picture_bytes,
    raw_bytes,
    tiff_bytes,
)
from scientistcloud.streaming.mod_visus import timestep_of
from scientistcloud.streaming.netcdf import netcdf_bytes
from scientistcloud.streaming.results import Result

_SCALES = ("linear", "log", "symlog")
MOST_PREVIEW_PIXELS = 2048


@dataclass(frozen=True, slots=True)
class BoxRequest:
    """What a box is asked for by: text as it came, and what is shown how.

    Attributes
    ----------
    box : str
        ``x1,x2,y1,y2[,z1,z2]``, half-open; empty for all.
    resolution : int, optional
        The finest by default.
    range : str
        ``low,high``; empty for what is stored.
    """

    field: str = ""
    time: str = ""
    box: str = ""
    resolution: int | None = None
    form: str = "raw"
    range: str = ""
    palette: str = DEFAULT_PALETTE
    scale: str = "linear"


def cut_box(result: Result, request: BoxRequest, boxes: BoxReader, *, immutable: bool) -> Answer:
    """The samples of a box in the form that was asked for.

    Raw samples are little-endian, x fastest, components interleaved.

    Raises
    ------
    BadRequest, BoxTooLarge
    """
    if request.form not in FORMATS:
        raise BadRequest(f"The format {request.form[:40]!r} is none of {', '.join(FORMATS)}.")
    field = field_of(result, request.field)
    timestep = timestep_of(result, request.time)
    box = parse_box(result, request.box)
    last = result.header.max_resolution
    resolution = last if request.resolution is None else request.resolution
    if not 0 <= resolution <= last:
        raise BadRequest(f"The resolution must be within 0 and {last}.")
    samples = boxes.read(result, field, timestep, box, resolution)
    if samples.size == 0:
        raise BadRequest(
            "No sample of this resolution lies in the box.",
            remedy="Ask for a larger box or a finer resolution.",
        )
    item, rank = result.header.fields[field], len(result.header.shape)
    grid = result.reader.samples_of(box, resolution)
    headers = {
        "x-dtype": item.dtype_text.partition("[")[0],
        "x-components": str(item.components),
        "x-shape": ",".join(str(n) for n in samples.shape),
        "x-start": ",".join(str(n) for n in reversed(grid.start)),
        "x-spacing": ",".join(str(n) for n in reversed(grid.step)),
        "x-resolution": str(resolution),
        "x-generation": result.generation,
    }
    if request.form == "netcdf":
        body = netcdf_bytes(result, field, samples, tuple(grid.start), tuple(grid.step))
    else:
        body = _encode(result, field, samples, rank, request)
    return Answer(body, FORMATS[request.form], headers, immutable, result.generation)


def preview(
    result: Result, request: BoxRequest, boxes: BoxReader, *, axis: int, at: int | None,
    pixels: int, immutable: bool,
) -> Answer:  # fmt: skip
    """A picture of one plane, the middle one by default, of at most so many pixels an edge.

    Parameters
    ----------
    axis : int
        That the plane is cut across, x first; passed over for pictures.
    """
    field = field_of(result, request.field)
    timestep = timestep_of(result, request.time)
    colors = plane_colors(result, field, timestep, boxes, axis, at, pixels, request)
    form = request.form if request.form in PICTURES else "png"
    return Answer(
        picture_bytes(colors, form), FORMATS[form], {"x-generation": result.generation},
        immutable, f"{result.generation}-{pixels}",
    )  # fmt: skip


def plane_colors(
    result: Result, field: int, timestep: int, boxes: BoxReader, axis: int, at: int | None,
    pixels: int, request: BoxRequest,
) -> NDArray[np.uint8]:  # fmt: skip
    """The colours of one plane at the finest resolution that is no larger than `pixels`."""
    header = result.header
    rank = len(header.shape)
    if not 1 <= pixels <= MOST_PREVIEW_PIXELS:
        raise BadRequest(f"A preview has 1 to {MOST_PREVIEW_PIXELS} pixels an edge.")
    if not 0 <= axis < max(rank, 3):
        raise BadRequest("There is no such axis.")
    box, across = header.box, rank - 1 - axis if rank > 2 else None
    stride = _stride(box.shape, across, pixels)
    lo, hi = list(box.lo), list(box.hi)
    if across is not None:
        place = box.lo[across] + box.shape[across] // 2 if at is None else at
        place = place // stride[across] * stride[across]
        if not box.lo[across] <= place < box.hi[across]:
            raise BadRequest("There is no such plane.")
        lo[across], hi[across] = place, place + 1
    samples = boxes.read_strided(result, field, timestep, Box(tuple(lo), tuple(hi)), stride)
    rows = _as_rows(samples, rank)
    return paint(rows, header.fields[field].components, look_of(result, field, request, rows))


def _stride(shape: Shape, across: int | None, pixels: int) -> Shape:
    longest = max(n for axis, n in enumerate(shape) if axis != across)
    stride = 1
    while math.ceil(longest / stride) > pixels:
        stride *= 2
    return (stride,) * len(shape)


def look_of(
    result: Result, field: int, request: BoxRequest, samples: NDArray[Any] | None = None
) -> Look:
    """How a field is shown: as asked for, else by what is stored; bytes of colour as they are."""
    item = result.header.fields[field]
    low, high = value_range(result, field) or _range_of(samples)
    if item.components >= 3 and item.dtype == np.uint8:
        low, high = 0.0, 255.0
    if request.range:
        try:
            low, high = (float(each) for each in request.range.split(","))
        except ValueError:
            raise BadRequest("The range must be two numbers with a comma between.") from None
    if request.scale not in _SCALES:
        raise BadRequest(f"The scale is none of {', '.join(_SCALES)}.")
    scale = cast(Scale, request.scale)
    return Look(low, high, request.palette, scale, fill_value(result, field))


def _range_of(samples: NDArray[Any] | None) -> tuple[float, float]:
    if samples is None:
        return 0.0, 1.0
    finite = samples[np.isfinite(samples)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _encode(
    result: Result, field: int, samples: NDArray[Any], rank: int, request: BoxRequest
) -> bytes:
    item = result.header.fields[field]
    if request.form == "raw":
        return raw_bytes(samples)
    if request.form == "npy":
        return npy_bytes(samples)
    if request.form == "tiff":
        return tiff_bytes(samples, item.components)
    rows = _as_rows(samples, rank)
    colors = paint(rows, item.components, look_of(result, field, request, rows))
    return picture_bytes(colors, request.form)


def _as_rows(samples: NDArray[Any], rank: int) -> NDArray[Any]:
    """Rows and columns (and components) of samples that lie in one plane."""
    flat = [axis for axis in range(rank) if samples.shape[axis] == 1]
    drop = tuple(flat[: max(0, rank - 2)])
    if rank - len(drop) > 2:
        raise BadRequest("A picture is of one plane: let the box be one sample thick.")
    rows = samples.squeeze(drop)
    return rows[np.newaxis] if rank == 1 else rows


def parse_box(result: Result, text: str) -> Box:
    """The box that ``x1,x2,y1,y2[,z1,z2]`` names, within the data; all where there is no text."""
    whole = result.header.box
    if not text:
        return whole
    try:
        numbers = [int(each) for each in text[:400].split(",")]
    except ValueError:
        numbers = []
    rank = len(whole.shape)
    if len(numbers) != 2 * rank or any(abs(each) > 1 << 62 for each in numbers):
        raise BadRequest(f"The box must be {2 * rank} whole numbers with commas between.")
    low, high = numbers[0::2], numbers[1::2]
    box = Box(tuple(reversed(low)), tuple(reversed(high))).intersect(whole)
    if box.is_empty:
        raise BadRequest("The box lies outside the data.")
    return box


def field_of(result: Result, name: str) -> int:
    """The index of a field by its name; the first where none is given."""
    if not name:
        return 0
    try:
        return result.header.field_index(name)
    except KeyError:
        names = ", ".join(each.name for each in result.header.fields[:50])
        raise BadRequest(f"There is no field {name[:80]!r}.", remedy=f"One of: {names}.") from None


def as_json(value: Mapping[str, Any], result: Result, *, immutable: bool) -> Answer:
    """An object as an answer; its ETag is of all of it, names that may change included."""
    body = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    etag = f"{result.generation}-{zlib.crc32(body):08x}"
    return Answer(body, "application/json", {}, immutable, etag)
