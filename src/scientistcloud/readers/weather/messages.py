"""Messages of GRIB 1 and 2: where they lie, and what each says of itself, by eccodes.

Source: WMO Manual on Codes, FM 92 GRIB; names of keys as eccodes has them. eccodes is used under a
lock: nothing tells how it was built.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource, UnsupportedLayout
from scientistcloud.readers.files.libraries import load_library
from scientistcloud.readers.files.open_files import FilePool

_MAGIC, _END = b"GRIB", b"7777"
_SEARCH_BYTES = 1 << 16
_MOST_GAP_BYTES = 1 << 20
_MOST_MESSAGES = 1 << 20
_MISSING = float(np.finfo("f4").max)
_LOCK = threading.Lock()

KEYS = (
    "edition", "paramId", "shortName", "name", "units", "typeOfLevel", "level", "stepType",
    "stepRange", "stepUnits", "dataDate", "dataTime", "validityDate", "validityTime", "number",
    "gridType", "Ni", "Nj", "Nx", "Ny", "iScansNegatively", "jScansPositively",
    "jPointsAreConsecutive", "alternativeRowScanning", "latitudeOfFirstGridPointInDegrees",
    "longitudeOfFirstGridPointInDegrees", "iDirectionIncrementInDegrees",
    "jDirectionIncrementInDegrees", "DxInMetres", "DyInMetres", "bitsPerValue", "packingType",
    "binaryScaleFactor", "decimalScaleFactor", "referenceValue", "precision", "md5GridSection",
    "centre", "dataType", "bitmapPresent",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """One message: where it lies, in bytes, and its keys."""

    path: Path
    offset: int
    size: int
    keys: dict[str, Any]

    def whole(self, key: str, default: int = 0) -> int:
        value = self.keys.get(key)
        return value if isinstance(value, int) else default

    def number(self, key: str) -> float | None:
        value = self.keys.get(key)
        return float(value) if isinstance(value, int | float) else None

    def text(self, key: str) -> str:
        return str(self.keys.get(key) or "")


def read_messages(path: Path, pool: FilePool) -> list[Message]:
    """All messages of a file, their samples unread.

    Raises
    ------
    MissingLibrary
        eccodes is not installed.
    CorruptSource, UnsupportedLayout
        The file is cut short, or a message is none that eccodes understands.
    """
    eccodes = load_library("eccodes", "climate", "GRIB")
    messages: list[Message] = []
    for offset, size in _places(path, pool):
        if len(messages) == _MOST_MESSAGES:
            raise UnsupportedLayout(f"{pool.name(path)} holds too many messages.")
        with _decoded(eccodes, path, pool, offset, size) as handle:
            messages.append(Message(path, offset, size, _keys(eccodes, handle)))
    if not messages:
        raise CorruptSource(f"{pool.name(path)} holds no whole GRIB message.")
    return messages


def values_of(message: Message, pool: FilePool, count: int) -> NDArray[Any]:
    """The `count` samples of a message as float64, in stored order; NaN where there is none."""
    eccodes = load_library("eccodes", "climate", "GRIB")
    with _decoded(eccodes, message.path, pool, message.offset, message.size) as handle:
        eccodes.codes_set(handle, "missingValue", _MISSING)
        values: NDArray[Any] = eccodes.codes_get_values(handle)
    if values.size != count:
        raise CorruptSource(
            f"{pool.name(message.path)}: the message at {message.offset:,} has {values.size:,} "
            f"samples, and its grid {count:,}."
        )
    if message.whole("bitmapPresent") or message.text("packingType").startswith("grid_complex"):
        values[values == _MISSING] = np.nan
    return values


@contextmanager
def _decoded(eccodes: Any, path: Path, pool: FilePool, offset: int, size: int) -> Iterator[Any]:
    data = pool.read(path, offset, size)
    with _LOCK:
        handle = None
        try:
            handle = eccodes.codes_new_from_message(data)
            yield handle
        except eccodes.CodesInternalError as error:
            raise CorruptSource(
                f"{pool.name(path)}: the message at {offset:,} cannot be decoded."
            ) from error
        finally:
            if handle is not None:
                eccodes.codes_release(handle)


def _keys(eccodes: Any, handle: Any) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for key in KEYS:
        try:
            keys[key] = eccodes.codes_get(handle, key)
        except eccodes.CodesInternalError:
            continue  # of another edition or grid
    return keys


def _places(path: Path, pool: FilePool) -> Iterator[tuple[int, int]]:
    """Offset and size of each message; what lies between them (headers of bulletins) is skipped."""
    name, total, offset = pool.name(path), pool.size(path), 0
    while offset < total:
        data = pool.read(path, offset, min(_SEARCH_BYTES, total - offset))
        found, searched = data.find(_MAGIC), 0
        while found < 0 and searched < _MOST_GAP_BYTES and offset + len(data) < total:
            offset, searched = offset + len(data) - 3, searched + len(data)
            data = pool.read(path, offset, min(_SEARCH_BYTES, total - offset))
            found = data.find(_MAGIC)
        if found < 0:
            if len(data) + searched > _MOST_GAP_BYTES:
                raise CorruptSource(f"{name} holds other data behind its messages, at {offset:,}.")
            return
        offset += found
        size = _size(path, pool, offset, total)
        yield offset, size
        offset += size


def _size(path: Path, pool: FilePool, offset: int, total: int) -> int:
    name = pool.name(path)
    if offset + 16 > total:
        raise CorruptSource(f"{name} is cut short: a message does not end in it.")
    head = pool.read(path, offset, 16)
    if head[7] == 2:
        size = int.from_bytes(head[8:16], "big")
    elif head[7] == 1:
        size = int.from_bytes(head[4:7], "big")
        if size & 0x800000:
            raise UnsupportedLayout(
                f"{name} holds a message of GRIB 1 beyond 8 MiB.",
                remedy="Convert it to GRIB 2 (grib_set -s edition=2).",
            )
    else:
        raise CorruptSource(f"{name} holds a message of the unknown edition {head[7]}.")
    if size < 20 or offset + size > total:
        raise CorruptSource(f"{name} is cut short: a message does not end in it.")
    if pool.read(path, offset + size - 4, 4) != _END:
        raise CorruptSource(f"{name} is damaged: the message at {offset:,} has no end.")
    if head[7] == 2:
        _check_single(path, pool, offset, size)
    return size


def _check_single(path: Path, pool: FilePool, offset: int, size: int) -> None:
    """One field in a message of GRIB 2: the same sections may come again for another."""
    at, fields = offset + 16, 0
    while at + 5 <= offset + size - 4:
        head = pool.read(path, at, 5)
        length = int.from_bytes(head[:4], "big")
        if length < 5:
            raise CorruptSource(f"{pool.name(path)} is damaged: a section has no length.")
        fields += head[4] == 7
        at += length
    if fields != 1:
        raise UnsupportedLayout(
            f"{pool.name(path)} holds messages of {fields} fields.",
            remedy="Split them: grib_copy -M, or wgrib2 IN -grib OUT.",
        )
