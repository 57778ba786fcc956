"""EDF of the ESRF, and the ADSC and d*TREK images (``.img``) that are written like it.

A header of ``key = value ;`` between braces, then samples, read by position; EDF has as many frames
as fit into a file. Source: the ESRF data format (EDF) as SaxsKit and fabio document it; the header
of ADSC Quantum detectors; names of keys in any case.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.errors import CorruptSource, UnsupportedDtype, UnsupportedLayout
from scientistcloud.readers.arrays.attributes import json_attributes
from scientistcloud.readers.arrays.raw_array import RawArray, RawStack
from scientistcloud.readers.arrays.raw_grid import StoredAxis, Volume, make_volume
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Axis, Match, Selection, Source
from scientistcloud.readers.files.open_files import FilePool, handed_over

_HEADER_BYTES = 512
_MOST_HEADER_BYTES = 1 << 20
_MOST_FRAMES = 1 << 18
_START = re.compile(rb"\A\s*\{\s*(EDF_|HeaderID|Dim_1|ByteOrder|DataType|HEADER_BYTES)", re.I)
_END = re.compile(rb"\}\r?\n")
_TYPES = {
    "unsignedbyte": "u1", "unsignedchar": "u1", "signedbyte": "i1", "signedchar": "i1",
    "unsignedshortint": "u2", "unsignedshort": "u2", "signedshort": "i2", "shortint": "i2",
    "unsignedinteger": "u4", "unsignedint": "u4", "unsignedlong": "u4",
    "signedinteger": "i4", "signedint": "i4", "longint": "i4", "longinteger": "i4",
    "signedlong": "i4", "unsigned64": "u8", "signed64": "i8",
    "floatvalue": "f4", "float": "f4", "realvalue": "f4", "floatieee32": "f4",
    "doublevalue": "f8", "double": "f8", "floatieee64": "f8",
}  # fmt: skip


class EdfReader:
    """Recognises and opens EDF, ADSC and d*TREK images."""

    name = "edf"

    def match(self, path: Path, head: bytes) -> Match:
        return Match.CERTAIN if _START.match(head) else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        with handed_over(FilePool(selection.root)) as pool:
            volumes = [_volume(path, pool) for path in files]
            return open_volumes(volumes, "EDF", selection.parameters, pool)


READER = EdfReader()


@dataclass(frozen=True, slots=True)
class Frame:
    """One header, and where its samples lie; `lengths` x first."""

    header: Mapping[str, str]
    offset: int
    dtype: np.dtype[Any]
    lengths: tuple[int, ...]

    @property
    def data_bytes(self) -> int:
        return math.prod(self.lengths) * self.dtype.itemsize


def _volume(path: Path, pool: FilePool) -> Volume:
    name = pool.name(path)
    frames = _frames(path, pool)
    first = frames[0]
    if any((f.lengths, f.dtype) != (first.lengths, first.dtype) for f in frames):
        raise UnsupportedLayout(
            f"{name} holds frames of unlike size or type.", remedy="Upload a file for each kind."
        )
    step, axes = first.dtype.itemsize, []
    for i, length in enumerate(first.lengths):
        axes.append(StoredAxis(length, step, _axis(first.header, i)))
        step *= length
    distances = {b.offset - a.offset for a, b in itertools.pairwise(frames)}
    if len(frames) > 1:
        axes.append(StoredAxis(len(frames), max(distances), Axis("frame")))
    axes = axes[::-1]
    metadata = {"format": "EDF", "header": json_attributes(first.header.items())}
    metadata |= _varying(frames)
    if len(distances) < 2:
        return make_volume(path, name, first.offset, first.dtype, axes, metadata=metadata)
    if len(first.lengths) > 2:
        raise UnsupportedLayout(f"{name} holds volumes behind headers of unlike length.")
    one = make_volume(path, name, first.offset, first.dtype, axes[1:], metadata=metadata)
    part = one.readers["data"]
    assert isinstance(part, RawArray)
    parts = tuple(replace(part, offset=f.offset).as_slice() for f in frames)
    fields = tuple(replace(f, chunks=(1, *f.chunks)) for f in one.fields)
    return replace(
        one,
        shape=(len(frames), *one.shape),
        axes=(Axis("frame"), *one.axes),
        fields=fields,
        readers={"data": RawStack(parts)},
    )


def _frames(path: Path, pool: FilePool) -> list[Frame]:
    name, size, offset = pool.name(path), pool.size(path), 0
    frames: list[Frame] = []
    while offset < size:
        if frames and not pool.read(path, offset, min(64, size - offset)).lstrip().startswith(b"{"):
            break  # filled up behind the last frame
        if len(frames) == _MOST_FRAMES:
            raise UnsupportedLayout(f"{name} holds more than {_MOST_FRAMES:,} frames.")
        header, start = _header(path, pool, offset)
        frame = _frame(header, start, name)
        if not frame.data_bytes:
            raise CorruptSource(f"{name} has a frame of no samples.")
        frames.append(frame)
        if start + frame.data_bytes > size:
            raise CorruptSource(
                f"{name} is cut short: frame {len(frames)} needs {start + frame.data_bytes:,} "
                f"bytes, and it has {size:,}."
            )
        offset = start + max(frame.data_bytes, _stored_bytes(header, name))
        if "header_bytes" in header:
            break  # ADSC and d*TREK: one image
    return frames


def _header(path: Path, pool: FilePool, offset: int) -> tuple[dict[str, str], int]:
    """The entries of a header (keys in lower case), and where it ends."""
    limit = min(pool.size(path), offset + _MOST_HEADER_BYTES)
    data = b""
    while (end := _END.search(data)) is None:
        at = offset + len(data)
        if at >= limit:
            raise CorruptSource(f"{pool.name(path)} has a header without its end.")
        data += pool.read(path, at, min(max(4 * _HEADER_BYTES, len(data)), limit - at))
    header = _entries(data[: end.start()].decode("latin-1"))
    told = header.get("header_bytes")
    if told is not None:
        return header, offset + _whole(told, "HEADER_BYTES", pool.name(path))
    return header, offset + end.end()


def _entries(content: str) -> dict[str, str]:
    """What stands between the semicolons; without patterns, which blanks without end can stall."""
    entries: dict[str, str] = {}
    for part in content.replace("{", "\n").split(";"):
        key, sign, value = part.partition("=")
        name = key.strip().rpartition("\n")[2].strip().lower()
        if sign and 0 < len(name) <= 200:
            entries[name] = value.strip()
    return entries


def _frame(header: Mapping[str, str], offset: int, name: str) -> Frame:
    adsc = "size1" in header
    lengths: list[int] = []
    for i in range(1, 8):
        value = header.get(f"size{i}" if adsc else f"dim_{i}")
        if value is None:
            break
        lengths.append(_whole(value, f"Dim_{i}", name))
    if not lengths or math.prod(lengths) >= 1 << 48:
        raise CorruptSource(f"{name} has a header without valid sizes (Dim_1, Dim_2).")
    packing = header.get("compression", "none").strip().lower()
    if packing not in ("", "none", "nocompression", "raw", "uncompressed"):
        raise UnsupportedLayout(
            f"{name} holds compressed samples ({packing}).",
            remedy="Write it without compression, or as HDF5.",
        )
    kind = header.get("datatype") or header.get("data_type") or header.get("type") or ""
    plain = kind.lower().replace("_", "").replace(" ", "")
    if plain not in _TYPES:
        raise UnsupportedDtype(f"{name} holds samples of the type '{kind[:40]}'.")
    order = (header.get("byteorder") or header.get("byte_order") or "").lower()
    if np.dtype(_TYPES[plain]).itemsize > 1 and not order.startswith(
        ("low", "little", "high", "big")
    ):
        raise CorruptSource(f"{name} does not tell the order of its bytes (ByteOrder).")
    dtype = np.dtype((">" if order.startswith(("high", "big")) else "<") + _TYPES[plain])
    return Frame(header, offset, dtype, tuple(lengths))


def _stored_bytes(header: Mapping[str, str], name: str) -> int:
    """How much lies before the next frame, where the header tells it."""
    told = header.get("edf_binarysize") or header.get("size")
    return _whole(told, "Size", name) if told else 0


def _whole(value: str, key: str, name: str) -> int:
    try:
        number = int(value.split()[0])
    except (ValueError, IndexError):
        number = -1
    if not 0 <= number < 1 << 48:
        raise CorruptSource(f"{name} has a header without a valid {key}.")
    return number


def _axis(header: Mapping[str, str], index: int) -> Axis:
    """Pixels in metres by ``PSize`` of EDF, in millimetres by ``PIXEL_SIZE`` of ADSC."""
    name = "xyz"[index] if index < 3 else f"axis{index + 1}"
    for key, units in ((f"psize_{index + 1}", "m"), ("pixel_size", "mm")):
        try:
            size = float(header[key].split()[0])
        except (KeyError, ValueError, IndexError):
            continue
        if index < 2 and math.isfinite(size) and size > 0:
            return Axis(name, size, None, units)
    return Axis(name)


def _varying(frames: Sequence[Frame]) -> dict[str, Any]:
    """What differs from frame to frame (motors, counters, times)."""
    if len(frames) < 2:
        return {}
    first = frames[0].header
    keys = [k for k in first if any(f.header.get(k) != first[k] for f in frames)]
    return {"frames": json_attributes((k, [f.header.get(k, "") for f in frames]) for k in keys)}
