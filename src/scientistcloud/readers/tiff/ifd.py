"""The directories (IFDs) of a TIFF file, read by position: just enough to compare and find pages.

tifffile understands the first page of each kind; the thousands of pages that are like it need no
more than this. TIFF 6.0 section 2 and the BigTIFF design (libtiff) give the format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource
from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.tiff.pages import Segments

_TYPES = {
    1: "u1", 2: "S1", 3: "u2", 4: "u4", 5: "u8", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "u8",
    11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
_MAX_TAGS = 4096
_MAX_PAGES = 1 << 20
_FIRST_READ_BYTES = 4096

SUBFILE_TYPE, WIDTH, DESCRIPTION, SUB_IFDS = 254, 256, 270, 330
STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS = 273, 279, 324, 325
JPEG_TABLES = 347

# Tags that say how the samples of a page are stored and what they mean.
_LAYOUT_TAGS = (
    256, 257, 258, 259, 262, 266, 277, 278, 284, 317, 320, 322, 323, 332, 338, 339, 529, 530, 532,
    32996, 32997, 32998, 42113,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TiffHeader:
    """Byte order and width of offsets of a file, and where its first directory lies."""

    order: str
    is_big: bool
    first_offset: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag: its values' type and number, and their bytes or where these lie."""

    type: int
    count: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Directory:
    """One IFD.

    Attributes
    ----------
    offset, next_offset : int
        Where it lies, and where the next of the chain does (0 after the last).
    entries : Mapping
        By tag code.
    """

    offset: int
    next_offset: int
    entries: Mapping[int, Entry]


class TiffBytes:
    """One TIFF file, read by position through a `FilePool`.

    Parameters
    ----------
    header : TiffHeader, optional
        What is known of the file from before.

    Raises
    ------
    CorruptSource
        By the constructor and all methods: the file is no TIFF, or a part lies outside it.
    """

    def __init__(self, pool: FilePool, path: Path, header: TiffHeader | None = None) -> None:
        self._pool = pool
        self.path = path
        self.size = pool.size(path)
        self._start = b"" if header else pool.read(path, 0, min(self.size, _FIRST_READ_BYTES))
        self.header = header or self._parse_header()

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`."""
        if offset + size <= len(self._start):
            return self._start[offset : offset + size]
        return self._pool.read(self.path, offset, size)

    def directory(self, offset: int) -> Directory:
        """The IFD at `offset`."""
        order, is_big = self.header.order, self.header.is_big
        count_format, entry_size, link_format = ("Q", 20, "Q") if is_big else ("H", 12, "I")
        head_size = struct.calcsize("=" + count_format)
        (count,) = struct.unpack(order + count_format, self.read(offset, head_size))
        if count > _MAX_TAGS:
            raise self.corrupt(f"its directory at {offset} claims {count} tags")
        link_size = struct.calcsize("=" + link_format)
        start = offset + head_size
        # A file may end right after its last directory's entries, without the link.
        available = min(count * entry_size + link_size, self.size - start)
        data = self.read(start, available)
        if available < count * entry_size:
            raise self.corrupt(f"its directory at {offset} is cut short")
        entries = dict(_entries(data, count, order, is_big))
        link = data[count * entry_size :]
        following = struct.unpack(order + link_format, link)[0] if len(link) == link_size else 0
        return Directory(offset, following, entries)

    def values(self, directory: Directory, code: int) -> NDArray[Any] | None:
        """The values of a tag in their stored type (rationals as u8); None if it is not there."""
        entry = directory.entries.get(code)
        if entry is None or entry.type not in _TYPES:
            return None
        return np.frombuffer(self.raw(entry), self.header.order + _TYPES[entry.type])

    def raw(self, entry: Entry) -> bytes:
        """The bytes of a tag's values."""
        size = entry.count * int(_TYPES[entry.type][1])
        if size <= len(entry.raw):
            return entry.raw[:size]
        (offset,) = struct.unpack(
            self.header.order + ("Q" if self.header.is_big else "I"), entry.raw
        )
        if offset + size > self.size:
            raise self.corrupt(f"a tag's values at {offset} lie beyond its end")
        return self.read(offset, size)

    @property
    def first_offset(self) -> int:
        """Where the first directory lies."""
        if self.header.first_offset == 0:
            raise self.corrupt("it has no pages")
        return self.header.first_offset

    def chain(self) -> Iterator[Directory]:
        """The directories of the file's main chain, in order."""
        seen: set[int] = set()
        offset = self.first_offset
        while offset:
            if offset in seen:
                raise self.corrupt("its directories lead back to one another")
            if len(seen) == _MAX_PAGES:
                raise self.corrupt(f"it claims more than {_MAX_PAGES} pages")
            seen.add(offset)
            directory = self.directory(offset)
            yield directory
            offset = directory.next_offset

    def segments(self, directory: Directory) -> Segments:
        """Where the strips or tiles of a page lie."""
        tiled = TILE_OFFSETS in directory.entries
        offsets = self.values(directory, TILE_OFFSETS if tiled else STRIP_OFFSETS)
        counts = self.values(
            directory, TILE_COUNTS if TILE_COUNTS in directory.entries else STRIP_COUNTS
        )
        tables = directory.entries.get(JPEG_TABLES)
        if offsets is None or offsets.dtype.kind not in "ui":
            raise self.corrupt("a page does not say where its pixels lie")
        if counts is None or counts.dtype.kind not in "ui":
            counts = np.zeros(len(offsets), "i8")
        return Segments(
            offsets.astype("i8"), counts.astype("i8"), self.raw(tables) if tables else None
        )

    def integer(self, directory: Directory, code: int, default: int = 0) -> int:
        """The first value of an integer tag."""
        values = self.values(directory, code)
        return (
            int(values[0])
            if values is not None and values.dtype.kind in "ui" and len(values)
            else default
        )

    def text(self, directory: Directory, code: int) -> str:
        """The value of a text tag, or an empty string."""
        entry = directory.entries.get(code)
        if entry is None or entry.type not in (1, 2, 7):
            return ""
        return self.raw(entry).split(b"\0", 1)[0].decode("utf-8", "replace")

    def layout(self, directory: Directory) -> tuple[Any, ...]:
        """What pages must have in common to be decoded alike: a value that can be compared."""
        entries = directory.entries
        return (
            self.header.order,
            *((code, self.raw(entries[code])) for code in _LAYOUT_TAGS
              if code in entries and entries[code].type in _TYPES),
        )  # fmt: skip

    def corrupt(self, what: str) -> CorruptSource:
        return CorruptSource(f"{self._pool.name(self.path)} is damaged: {what}.")

    def _parse_header(self) -> TiffHeader:
        data = self._start[:16]
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        if order is None or len(data) < 8:
            raise self.corrupt("it does not begin like a TIFF file")
        (version,) = struct.unpack(order + "H", data[2:4])
        if version == 42:
            return TiffHeader(order, False, struct.unpack(order + "I", data[4:8])[0])
        if version != 43 or len(data) < 16:
            raise self.corrupt("it does not begin like a TIFF file")
        return TiffHeader(order, True, struct.unpack(order + "Q", data[8:16])[0])


def _entries(data: bytes, count: int, order: str, is_big: bool) -> list[tuple[int, Entry]]:
    layout = struct.Struct(order + ("HHQ8s" if is_big else "HHI4s"))
    found = []
    for i in range(count):
        code, kind, number, raw = layout.unpack_from(data, i * layout.size)
        found.append((code, Entry(kind, number, raw)))
    return found
