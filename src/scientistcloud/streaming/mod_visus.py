"""The protocol ``/mod_visus`` of OpenVisus: headers, boxes, blocks, points, lists.

Facts on clients (2.2.149 and the JavaScript viewer): every parameter may come escaped, empty pairs
occur, names of parameters beyond these are repeated in every request and mean nothing here.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box
from scientistcloud.idx.files.codecs import CODEC_MASK, ROW_MAJOR, ZIP
from scientistcloud.idx.files.stored import Payload
from scientistcloud.refusals import BadRequest, NotOffered, TooLarge
from scientistcloud.streaming.answer import Answer
from scientistcloud.streaming.box_reader import BoxReader
from scientistcloud.streaming.colors import Look, paint, palettes
from scientistcloud.streaming.description import value_range
from scientistcloud.streaming.encode import LZ4, RAW, ZLIB, compress, picture_bytes, raw_bytes
from scientistcloud.streaming.points import read_points
from scientistcloud.streaming.results import Result

# All headers stay under 4 kB, which every proxy lets pass; OpenVisus' client asks for 8 at a time.
_MOST_BLOCKS = 16
_MOST_POINTS = 1 << 24
_PICTURES = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg"}

Query = Mapping[str, str]


def answer_query(result: Result, query: Query, boxes: BoxReader) -> Answer:
    """Answer one request on a dataset.

    Raises
    ------
    BadRequest, TooLarge, NotOffered
    CorruptSource, StorageUnavailable
    """
    action = query.get("action") or "readdataset"
    handler = _ACTIONS.get(action)
    if handler is None:
        raise BadRequest(
            f"The action {action!r} is not known.", remedy="Use boxquery or blockquery."
        )
    return handler(result, query, boxes)


def list_datasets(entries: Sequence[tuple[str, str]], query: Query, base: str) -> Answer:
    """The datasets that the caller may view, as the viewers' lists have them.

    Parameters
    ----------
    entries : sequence of (str, str)
        Name and uuid of each.
    base : str
        The address of ``/mod_visus``.
    """
    named = [(name, f"{base}?dataset={uuid}") for name, uuid in entries]
    if query.get("format") == "json":
        children = [
            {"name": "dataset", "attributes": {"name": name, "url": url}, "childs": []}
            for name, url in named
        ]
        text = json.dumps({"name": "datasets", "attributes": {}, "childs": children})
        return Answer(text.encode(), "application/json")
    lines = [
        f'<dataset name="{html.escape(name)}" url="{html.escape(url)}" />' for name, url in named
    ]
    return Answer("\n".join(["<datasets>", *lines, "</datasets>", ""]).encode(), "text/xml")


def _read_dataset(result: Result, query: Query, boxes: BoxReader) -> Answer:
    return Answer(
        result.text,
        headers={"visus-typename": "IdxDataset", "visus-git-revision": ""},
        etag=result.generation,
    )


def _ping(result: Result, query: Query, boxes: BoxReader) -> Answer:
    return Answer(b"", headers={"block-query-support-aggregation": "1"})


def _box_query(result: Result, query: Query, boxes: BoxReader) -> Answer:
    field, timestep = _field(result, query), _timestep(result, query)
    numbers = _integers(query.get("box", ""))
    rank = len(result.header.shape)
    if len(numbers) < 2 * rank:
        raise BadRequest("The box needs two numbers for each axis.")
    low, high = numbers[0 : 2 * rank : 2], numbers[1 : 2 * rank : 2]
    box = Box(tuple(reversed(low)), tuple(each + 1 for each in reversed(high)))
    last = result.header.max_resolution
    resolution = _integer(query.get("toh", str(last)), "toh")
    if not 0 <= resolution <= last or any(h <= l for l, h in zip(box.lo, box.hi, strict=True)):
        raise BadRequest("The box is empty, or there is no such resolution.")
    samples = boxes.read_outside(result, field, timestep, box, resolution)
    if samples.size == 0:
        raise BadRequest("No sample of this resolution lies in the box.")
    return _array(result, field, samples, query)


def _array(result: Result, field: int, samples: NDArray[Any], query: Query) -> Answer:
    item = result.header.fields[field]
    shape = samples.shape[: len(result.header.shape)]
    wanted = query.get("compression", ZLIB)
    palette = query.get("palette", "")
    dtype = item.dtype_text
    if palette or wanted in _PICTURES:
        colors = paint(samples, item.components, _look(result, field, query, palette))
        if wanted in _PICTURES and _is_flat(shape):
            rows = colors.reshape(*_rows_and_columns(shape), 4)
            form = _PICTURES[wanted]
            body = picture_bytes(rows, form)
            return Answer(body, f"image/{form}", _headers("uint8[4]", shape, wanted))
        samples, dtype = colors, "uint8[4]"
    compression = wanted if wanted in (ZLIB, LZ4, RAW) else RAW
    body = compress(raw_bytes(samples), compression)
    return Answer(body, headers=_headers(dtype, shape, compression))


def _headers(
    dtype: str, shape: Sequence[int], compression: str, suffix: str = ""
) -> dict[str, str]:
    return {
        f"visus-dtype{suffix}": dtype,
        f"visus-nsamples{suffix}": " ".join(str(n) for n in reversed(shape)),
        f"visus-compression{suffix}": compression,
        f"visus-layout{suffix}": "",
    }


def _block_query(result: Result, query: Query, boxes: BoxReader) -> Answer:
    field, timestep = _field(result, query), _timestep(result, query)
    numbers = _block_numbers(result, query)
    boxes.require_small(result, field, (len(numbers), 1 << result.header.bits_per_block))
    bodies: list[bytes] = []
    headers: dict[str, str] = {}
    several = len(numbers) > 1
    for place, number in enumerate(numbers):
        body, compression = block_body(result, boxes, field, timestep, number)
        bodies.append(body)
        suffix = f"-{place}" if several else ""
        shape = result.reader.layout.level_of(number).nsamples
        dtype = result.header.fields[field].dtype_text
        headers |= _headers(dtype, shape, compression, suffix)
        if several:
            headers |= {f"status-{place}": "200", f"body-size-{place}": str(len(body))}
    if several:
        headers["response-compose-num"] = str(len(numbers))
    return Answer(b"".join(bodies), headers=headers, of_blocks=True)


def block_body(
    result: Result, boxes: BoxReader, field: int, timestep: int, number: int
) -> tuple[bytes, str]:
    """A block for a client, row-major, with the name of its compression.

    As it lies on disk where that is a zlib stream already; else made of its samples, which are
    kept with those of boxes.
    """
    (payload,) = result.reader.stored.payloads(timestep, field, [number])
    result.require_same()
    if payload.data is None:
        result.require_there()
        return _empty_block(result, field), ZLIB
    if _is_zip(payload):
        return payload.data, ZLIB
    return compress(raw_bytes(boxes.samples(result, field, timestep, payload)), ZLIB), ZLIB


def _is_zip(payload: Payload) -> bool:
    return payload.flags & ROW_MAJOR != 0 and payload.flags & CODEC_MASK == ZIP


def _empty_block(result: Result, field: int) -> bytes:
    item = result.header.fields[field]
    data = bytes([item.default_value & 0xFF]) * result.header.block_bytes(field)
    return compress(data, ZLIB)


def _block_numbers(result: Result, query: Query) -> list[int]:
    text = query.get("block")
    if text is not None:
        if len(text) > 32 * _MOST_BLOCKS:
            raise TooLarge(f"More than {_MOST_BLOCKS} blocks are asked for at once.")
        numbers = _integers(text)
    else:
        numbers = [_integer(query.get("from", ""), "from") >> result.header.bits_per_block]
    if not numbers or any(not 0 <= each < result.header.block_count for each in numbers):
        raise BadRequest("There is no such block.")
    if len(numbers) > _MOST_BLOCKS:
        raise TooLarge(f"More than {_MOST_BLOCKS} blocks are asked for at once.")
    return numbers


def _point_query(result: Result, query: Query, boxes: BoxReader) -> Answer:
    """Samples on a grid placed in the volume: the nearest one at or below each point.

    ``matrix`` maps the unit cell [0, 1) of `nsamples` into the logic space, row by row.
    """
    field, timestep = _field(result, query), _timestep(result, query)
    last = result.header.max_resolution
    resolution = min(last, max(0, _integer(query.get("toh", str(last)), "toh")))
    counts = _integers(query.get("nsamples", ""))
    matrix = _floats(query.get("matrix", ""))
    if len(counts) != 3 or len(matrix) != 16 or any(n < 1 for n in counts):
        raise BadRequest("A query of points needs nsamples (3 numbers) and matrix (16 numbers).")
    if math.prod(counts) > _MOST_POINTS:
        raise TooLarge(f"More than {_MOST_POINTS} points are asked for at once.")
    points = np.array(matrix).reshape(4, 4)
    found = read_points(boxes, result, field, timestep, resolution, tuple(counts[::-1]), points)
    item = result.header.fields[field]
    body = compress(raw_bytes(found), ZLIB)
    return Answer(body, headers=_headers(item.dtype_text, counts[::-1], ZLIB))


def _not_offered(result: Result, query: Query, boxes: BoxReader) -> Answer:
    raise NotOffered("The action info tells of the server's files; it is not offered.")


_ACTIONS: dict[str, Callable[[Result, Query, BoxReader], Answer]] = {
    "readdataset": _read_dataset,
    "read_dataset": _read_dataset,
    "boxquery": _box_query,
    "query": _box_query,
    "rangequery": _block_query,
    "blockquery": _block_query,
    "ping": _ping,
    "pointquery": _point_query,
    "info": _not_offered,
}


def _field(result: Result, query: Query) -> int:
    name = query.get("field", "")
    if not name:
        return 0
    if "=" in name or "(" in name:
        raise NotOffered("Scripts as fields are not offered; ask for a field by its name.")
    try:
        return result.header.field_index(name)
    except KeyError:
        names = ", ".join(each.name for each in result.header.fields[:50])
        raise BadRequest(f"There is no field {name[:80]!r}.", remedy=f"One of: {names}.") from None


def _timestep(result: Result, query: Query) -> int:
    return timestep_of(result, query.get("time", ""))


def timestep_of(result: Result, text: str) -> int:
    """The index of the timestep with this value of time; the first where none is given."""
    if not text:
        return 0
    try:
        value = float(text)
    except ValueError:
        raise BadRequest(f"The time {text[:40]!r} is no number.") from None
    index = 0
    for values in result.header.time_ranges:
        if value.is_integer() and int(value) in values:
            return index + values.index(int(value))
        index += len(values)
    raise BadRequest(f"There is no timestep {text[:40]}.")


def _look(result: Result, field: int, query: Query, palette: str) -> Look:
    low, high = value_range(result, field) or (0.0, 255.0)
    name = palette if palette in palettes() else "gray"
    bounds = [_float(query.get(key, "")) for key in ("palette_min", "palette_max")]
    item = result.header.fields[field]
    if item.components >= 3 and item.dtype.itemsize == 1:
        low, high = 0.0, 255.0
    return Look(
        bounds[0] if bounds[0] is not None else low,
        bounds[1] if bounds[1] is not None else high,
        name,
    )


def _is_flat(shape: Sequence[int]) -> bool:
    return sum(n > 1 for n in shape) <= 2


def _rows_and_columns(shape: Sequence[int]) -> tuple[int, int]:
    long = [n for n in shape if n > 1]
    long = [1] * (2 - len(long)) + long
    return long[0], long[1]


def _integers(text: str) -> list[int]:
    if not re.fullmatch(r"[-+0-9\s]*", text):
        raise BadRequest("Whole numbers with spaces between are needed.")
    return [_integer(word, "number") for word in text.split()]


def _integer(text: str, name: str) -> int:
    if not re.fullmatch(r"[-+]?[0-9]{1,19}", text.strip()):
        raise BadRequest(f"{name} is no usable number.")
    return int(text)


def _floats(text: str) -> list[float]:
    found = [_float(word) for word in text.split()[:32]]
    return [each for each in found if each is not None]


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
