"""Images of Leica as volumes: channels, dimensions and what they measure.

Source: ``DimID`` of ``DimensionDescription`` as liffile (BSD-3) documents it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from scientistcloud.errors import CorruptSource, UnsupportedLayout
from scientistcloud.readers.arrays.attributes import json_attributes, text
from scientistcloud.readers.arrays.axis_roles import MAX_TIMESTEPS
from scientistcloud.readers.arrays.raw_array import BoxReader, RawArray
from scientistcloud.readers.arrays.raw_grid import MAX_FIELDS, Volume, axis_times
from scientistcloud.readers.arrays.time_units import in_seconds
from scientistcloud.readers.base import Axis, FieldSpec
from scientistcloud.readers.microscopy.lif_file import Block, LifImage

_X, _Y, _Z, _T, _EMISSION, _EXCITATION, _TILE = 1, 2, 3, 4, 5, 9, 10
_NAMES = {
    _X: "x", _Y: "y", _Z: "z", _T: "time", _EMISSION: "emission", 6: "rotation",
    7: "xt", 8: "slice", _EXCITATION: "excitation", _TILE: "tile", 11: "loop",
}  # fmt: skip
_MOST_TILES = 64
_UNITS = {"": None, "m": "m", "s": "s"}


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension of an image; `stride` in bytes, origin and spacing in `units`."""

    kind: int
    length: int
    stride: int
    axis: Axis


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel; `offset` in bytes from the first sample."""

    name: str
    offset: int
    dtype: np.dtype[Any]
    units: str | None
    color: int


def read_volumes(found: LifImage, path: Path, file: str) -> Iterator[Volume]:
    """The image; tiles of a mosaic (which are not joined) one by one.

    Raises
    ------
    CorruptSource, UnsupportedLayout
        It does not fit into its block of memory, or has too many positions for fields.
    """
    where = f"{file}: {found.name[:80]}"
    dimensions = [
        _dimension(e, where) for e in _some(found.image, "Dimensions/DimensionDescription")
    ]
    channels = _channels(found.image, where)
    if not channels or not dimensions:
        raise CorruptSource(f"{where} has no channels or dimensions.")
    _check(dimensions, channels, found.block, where)
    tiles = [d for d in dimensions if d.kind == _TILE and d.length > 1]
    count = tiles[0].length if tiles else 1
    if count > _MOST_TILES:
        raise UnsupportedLayout(
            f"{where} is a mosaic of {count:,} tiles, which are not joined.",
            remedy="Merge it in LAS X (mosaic merge), and upload the merged image.",
        )
    for i in range(count):
        offset = found.block.offset + (i * tiles[0].stride if tiles else 0)
        name = f"{found.name}_tile{i + 1}" if tiles else found.name
        notes = (f"{where} is a mosaic of {count} tiles, which were not joined.",) if tiles else ()
        yield _volume(found, name, path, offset, dimensions, channels, where, notes)


def _some(image: Element, path: str) -> list[Element]:
    return image.findall(f"ImageDescription/{path}")


def _number(element: Element, key: str, where: str) -> int:
    value = element.get(key, "")
    if not value.isdecimal() or len(value) > 15:
        raise CorruptSource(f"{where} has a description without a valid {key}.")
    return int(value)


def _dimension(element: Element, where: str) -> Dimension:
    kind, length = _number(element, "DimID", where), _number(element, "NumberOfElements", where)
    stride = _number(element, "BytesInc", where)
    if length < 1 or (length > 1 and stride < 1):
        raise CorruptSource(f"{where} has a dimension of no length.")
    try:
        origin, extent = float(element.get("Origin", "")), float(element.get("Length", ""))
    except ValueError:
        origin = extent = math.nan
    known = math.isfinite(origin) and math.isfinite(extent) and length > 1 and extent != 0
    spacing = extent / (length - 1) if known else None
    units = element.get("Unit", "").strip()
    axis = Axis(
        _NAMES.get(kind, f"dimension{kind}"),
        spacing,
        origin if spacing is not None else None,
        _UNITS.get(units, text(units)) if spacing is not None else None,
    )
    return Dimension(kind, length, stride, axis)


def _channels(image: Element, where: str) -> list[Channel]:
    channels: list[Channel] = []
    names: set[str] = set()
    for i, element in enumerate(_some(image, "Channels/ChannelDescription")):
        bits, floating = _number(element, "Resolution", where), element.get("DataType") == "1"
        if not 1 <= bits <= 64 or (floating and bits not in (16, 32, 64)):
            raise UnsupportedLayout(f"{where} has samples of {bits} bits.")
        size = next(n for n in (1, 2, 4, 8) if 8 * n >= bits)
        dtype = np.dtype(f"<{'f' if floating else 'u'}{size}")
        name = text(element.get("LUTName", "")).strip() or "channel"
        if name in names or name == "channel":
            name = f"{name}_{i}"
        names.add(name)
        color = int(element.get("ChannelTag", "0") in ("1", "2", "3"))
        units = text(element.get("Unit", "")).strip() or None
        channels.append(Channel(name, _number(element, "BytesInc", where), dtype, units, color))
    return channels


def _check(
    dimensions: Sequence[Dimension], channels: Sequence[Channel], block: Block, where: str
) -> None:
    last = sum((d.length - 1) * d.stride for d in dimensions)
    if any(last + c.offset + c.dtype.itemsize > block.size for c in channels):
        raise CorruptSource(f"{where} needs more than the {block.size:,} bytes of its memory.")
    if len({d.kind for d in dimensions}) < len(dimensions):
        raise UnsupportedLayout(f"{where} names a dimension twice.")


def _volume(
    found: LifImage, name: str, path: Path, offset: int, dimensions: Sequence[Dimension],
    channels: Sequence[Channel], where: str, notes: tuple[str, ...],
) -> Volume:  # fmt: skip
    long = {d.kind: d for d in dimensions if d.length > 1 and d.kind != _TILE}
    time = long.pop(_T, None)
    grid = [long.pop(kind) for kind in (_Z, _Y, _X) if kind in long]
    if len(grid) < 3 and len(long) == 1:  # wavelengths of one image are an axis
        grid = [long.popitem()[1], *grid]
    if not grid:
        grid = [next((d for d in dimensions if d.kind == _X), dimensions[0])]
    timesteps = time.length if time is not None else 1
    positions = math.prod(d.length for d in long.values())
    if positions * len(channels) > MAX_FIELDS or timesteps > MAX_TIMESTEPS:
        raise UnsupportedLayout(f"{where} would become {positions * len(channels):,} fields.")
    fields: list[FieldSpec] = []
    readers: dict[str, BoxReader] = {}
    rgb = _is_color(channels)
    for channel in channels[:1] if rgb else channels:
        for place in itertools.product(*(range(d.length) for d in long.values())):
            shift = sum(i * d.stride for i, d in zip(place, long.values(), strict=True))
            key = "_".join(("rgb" if rgb else channel.name, *map(str, place)))
            array = RawArray(
                path, offset + channel.offset + shift, channel.dtype,
                tuple(d.length for d in grid), tuple(d.stride for d in grid),
                3 if rgb else 1, channel.dtype.itemsize if rgb else 0,
                timesteps, time.stride if time is not None else 0,
            )  # fmt: skip
            readers[key] = array
            fields.append(_field(key, array, channel, place, list(long.values())))
    axis = time.axis if time is not None else Axis("time")
    times, time_units = in_seconds(axis_times(axis, timesteps), axis.units)
    return Volume(
        name,
        tuple(d.length for d in grid),
        tuple(d.axis for d in grid),
        tuple(fields),
        readers,
        (path,),
        timesteps,
        times,
        time_units=time_units,
        metadata=_metadata(found),
        notes=notes,
    )


def _is_color(channels: Sequence[Channel]) -> bool:
    """Red, green and blue beside each other."""
    if len(channels) != 3 or not all(c.color for c in channels):
        return False
    step = channels[0].dtype.itemsize
    return [c.offset for c in channels] == [0, step, 2 * step] and len(
        {c.dtype for c in channels}
    ) == 1


def _field(
    key: str, array: RawArray, channel: Channel, place: Sequence[int], others: Sequence[Dimension]
) -> FieldSpec:
    attributes: dict[str, Any] = {"channel": channel.name}
    for index, dimension in zip(place, others, strict=True):
        axis = dimension.axis
        if axis.spacing is not None:
            attributes[axis.name] = (axis.origin or 0.0) + index * axis.spacing
            attributes[f"{axis.name}_units"] = axis.units
    return FieldSpec(
        key, key, channel.dtype.newbyteorder("="), (1,) * len(array.shape), array.components,
        array.working_bytes, channel.units, attributes=attributes,
    )  # fmt: skip


def _metadata(found: LifImage) -> dict[str, Any]:
    """Channels, dimensions, the stamps of time and the settings of the microscope."""
    settings = {
        f"{e.tag}": json_attributes(e.attrib.items())
        for e in found.image.iter()
        if e.tag.endswith("SettingDefinition") and len(e.attrib) > 3
    }
    stamps = found.image.find("TimeStampList")
    channels = _some(found.image, "Channels/ChannelDescription")
    dimensions = _some(found.image, "Dimensions/DimensionDescription")
    return {
        "format": "LIF",
        "image": text(found.name),
        "channels": [json_attributes(e.attrib.items()) for e in channels],
        "dimensions": [json_attributes(e.attrib.items()) for e in dimensions],
        "time_stamps": text(stamps.text or "") if stamps is not None else "",
        "settings": settings,
    }  # fmt: skip
