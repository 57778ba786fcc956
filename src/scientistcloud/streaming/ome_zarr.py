"""Virtual OME-Zarr: a result as a store of Zarr, cut from its blocks when asked for.

Format 0.5 on Zarr 3 and 0.4 on Zarr 2 (https://ngff.openmicroscopy.org/0.5, /0.4). Samples are
taken, not averaged, so that sample 0 of every level lies at the same place: the translation is
the origin at every level.
"""

from __future__ import annotations

import json
import re
from typing import Any

from scientistcloud.grid import Shape
from scientistcloud.refusals import NotFound
from scientistcloud.streaming.answer import Answer
from scientistcloud.streaming.box_reader import BoxReader
from scientistcloud.streaming.description import axes, value_range
from scientistcloud.streaming.encode import ZLIB, compress, gzip, raw_bytes
from scientistcloud.streaming.pyramid import Pyramid, pyramids
from scientistcloud.streaming.results import Result

_COLORS = ("00FF66", "FF00FF", "00A2FF", "FF3B30", "FFD60A", "7DFFF0")
_RGB = ("FF0000", "00FF00", "0000FF", "FFFFFF")
_TEXT = "application/json"
_UNITS = {
    "µm": "micrometer", "um": "micrometer", "μm": "micrometer", "micron": "micrometer",
    "microns": "micrometer", "nm": "nanometer", "mm": "millimeter", "cm": "centimeter",
    "m": "meter", "km": "kilometer", "pm": "picometer", "Å": "angstrom", "angstrom": "angstrom",
    "inch": "inch", "in": "inch", "ft": "foot",
}  # fmt: skip
_FULL_UNITS = frozenset(_UNITS.values())


def answer_zarr(
    result: Result, path: str, version: int, boxes: BoxReader, *, title: str, immutable: bool
) -> Answer:
    """One key of the store.

    Parameters
    ----------
    version : int
        Of Zarr: 2 or 3.

    Raises
    ------
    NotFound
        The store has no such key.
    """
    found = pyramids(result)
    head, _, rest = path.partition("/")
    store = _Zarr3 if version == 3 else _Zarr2
    if len(found) > 1:
        if not rest and head in store.root_names:
            return _json(store.collection(head, len(found)), result, immutable)
        if not _is_index(head, len(found)):
            raise NotFound(f"The store has no key {path[:200]!r}.")
        pyramid, path = found[int(head)], rest
    else:
        pyramid = found[0]
    metadata = store.metadata(pyramid, path, title)
    if metadata is not None:
        return _json(metadata, result, immutable)
    level, index = store.parse_chunk(path)
    if not 0 <= level < pyramid.levels:
        raise NotFound(f"The store has no key {path[:200]!r}.")
    chunk = pyramid.read_chunk(boxes, level, index)
    if chunk is None:
        raise NotFound(f"The store has no key {path[:200]!r}.")
    data = raw_bytes(chunk)
    body = gzip(data) if version == 3 else compress(data, ZLIB)
    return Answer(body, immutable=immutable, etag=f"{result.generation}-{version}-{path}")


def _is_index(text: str, count: int) -> bool:
    """Whether the text is one of 0 to count - 1, as Python writes it."""
    return len(text) <= 4 and text.isascii() and text.isdecimal() and int(text) < count


class _Zarr3:
    """Keys of Zarr 3, with OME-Zarr 0.5 in the attributes."""

    root_names = ("zarr.json",)
    _CHUNK = re.compile(r"(\d{1,3})/c((?:/\d{1,12})+)", re.ASCII)

    @classmethod
    def metadata(cls, pyramid: Pyramid, path: str, title: str) -> dict[str, Any] | None:
        if path == "zarr.json":
            ome = {"version": "0.5", "multiscales": [multiscale(pyramid, title)]}
            return cls._group({"ome": ome | {"omero": omero(pyramid)}})
        level, _, name = path.partition("/")
        if name == "zarr.json" and _is_index(level, pyramid.levels):
            return cls._array(pyramid, int(level))
        return None

    @classmethod
    def collection(cls, name: str, count: int) -> dict[str, Any]:
        series = [str(index) for index in range(count)]
        return cls._group({"ome": {"version": "0.5", "bioformats2raw.layout": 3, "series": series}})

    @classmethod
    def parse_chunk(cls, path: str) -> tuple[int, Shape]:
        found = cls._CHUNK.fullmatch(path)
        if not found:
            raise NotFound(f"The store has no key {path[:200]!r}.")
        return int(found[1]), tuple(int(each) for each in found[2].split("/")[1:])

    @staticmethod
    def _group(attributes: dict[str, Any]) -> dict[str, Any]:
        return {"zarr_format": 3, "node_type": "group", "attributes": attributes}

    @staticmethod
    def _array(pyramid: Pyramid, level: int) -> dict[str, Any]:
        little: dict[str, Any] = {"name": "bytes"}
        if pyramid.dtype.itemsize > 1:
            little["configuration"] = {"endian": "little"}
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(pyramid.shape_at(level)),
            "data_type": pyramid.dtype.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": list(pyramid.chunks)},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0.0 if pyramid.dtype.kind == "f" else 0,
            "codecs": [little, {"name": "gzip", "configuration": {"level": 1}}],
            "dimension_names": [each["name"] for each in _axes(pyramid)],
            "attributes": {},
        }


class _Zarr2:
    """Keys of Zarr 2, with OME-Zarr 0.4 in ``.zattrs``."""

    root_names = (".zgroup", ".zattrs")
    _CHUNK = re.compile(r"(\d{1,3})/((?:\d{1,12}/)*\d{1,12})", re.ASCII)

    @classmethod
    def metadata(cls, pyramid: Pyramid, path: str, title: str) -> dict[str, Any] | None:
        if path == ".zgroup":
            return {"zarr_format": 2}
        if path == ".zattrs":
            scales = [multiscale(pyramid, title) | {"version": "0.4"}]
            return {"multiscales": scales, "omero": omero(pyramid)}
        level, _, name = path.partition("/")
        if not _is_index(level, pyramid.levels):
            return None
        if name == ".zarray":
            return cls._array(pyramid, int(level))
        if name == ".zattrs":
            return {"_ARRAY_DIMENSIONS": [each["name"] for each in _axes(pyramid)]}
        return None

    @classmethod
    def collection(cls, name: str, count: int) -> dict[str, Any]:
        return {"zarr_format": 2} if name == ".zgroup" else {"bioformats2raw.layout": 3}

    @classmethod
    def parse_chunk(cls, path: str) -> tuple[int, Shape]:
        found = cls._CHUNK.fullmatch(path)
        if not found:
            raise NotFound(f"The store has no key {path[:200]!r}.")
        return int(found[1]), tuple(int(each) for each in found[2].split("/"))

    @staticmethod
    def _array(pyramid: Pyramid, level: int) -> dict[str, Any]:
        return {
            "zarr_format": 2,
            "shape": list(pyramid.shape_at(level)),
            "chunks": list(pyramid.chunks),
            "dtype": pyramid.dtype.str,
            "fill_value": 0.0 if pyramid.dtype.kind == "f" else 0,
            "order": "C",
            "compressor": {"id": "zlib", "level": 1},
            "filters": None,
            "dimension_separator": "/",
        }


def multiscale(pyramid: Pyramid, title: str) -> dict[str, Any]:
    """The entry of ``multiscales``: axes, and scale and translation of each level."""
    placed = axes(pyramid.result)[::-1]
    leading = len(pyramid.shape_at(0)) - len(placed)
    spacing = [each["spacing"] or 1.0 for each in placed]
    origin = [each["origin"] or 0.0 for each in placed]
    datasets = []
    for level in range(pyramid.levels):
        scale = [1.0] * leading + [each * 2.0**level for each in spacing]
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if any(origin):
            shift = [0.0] * leading + origin
            transforms.append({"type": "translation", "translation": shift})
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    return {
        "name": title,
        "axes": _axes(pyramid),
        "datasets": datasets,
        "type": "stride",
        "metadata": {"description": "Level n holds every 2^n-th sample along each axis of space."},
    }


def omero(pyramid: Pyramid) -> dict[str, Any]:
    """Names, colours and windows of the channels, from the ranges that are stored."""
    is_color = len(pyramid.channels) in (3, 4) and len({c.field for c in pyramid.channels}) == 1
    colors = _RGB if is_color else _COLORS
    channels = []
    for index, channel in enumerate(pyramid.channels):
        low, high = value_range(pyramid.result, channel.field) or (0.0, 1.0)
        if is_color and pyramid.dtype.itemsize == 1:
            low, high = 0.0, 255.0
        single = len(pyramid.channels) == 1
        channels.append(
            {
                "label": channel.name,
                "color": "FFFFFF" if single else colors[index % len(colors)],
                "active": True,
                "coefficient": 1,
                "family": "linear",
                "inverted": False,
                "window": {"min": low, "max": high, "start": low, "end": high},
            }
        )
    depth = pyramid.space[0] // 2 if len(pyramid.space) == 3 else 0
    model = "color" if is_color or len(channels) > 1 else "greyscale"
    return {"channels": channels, "rdefs": {"defaultT": 0, "defaultZ": depth, "model": model}}


def _axes(pyramid: Pyramid) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    if pyramid.has_time:
        found.append({"name": "t", "type": "time"})
    if pyramid.has_channels:
        found.append({"name": "c", "type": "channel"})
    names = "zyx"[-len(pyramid.space) :]
    for name, axis in zip(names, axes(pyramid.result)[::-1], strict=True):
        entry = {"name": name, "type": "space"}
        unit = _unit(axis["units"])
        found.append(entry | ({"unit": unit} if unit else {}))
    return found


def _unit(text: str | None) -> str | None:
    if not text:
        return None
    return text if text in _FULL_UNITS else _UNITS.get(text)


def _json(value: dict[str, Any], result: Result, immutable: bool) -> Answer:
    return Answer(
        json.dumps(value, ensure_ascii=False).encode(), _TEXT, immutable=immutable,
        etag=result.generation,
    )  # fmt: skip
