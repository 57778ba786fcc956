"""The tree of tags of Gatan's DM3 and DM4: names, numbers, text, and where arrays lie.

Source: the description of the format by C. Boothroyd ("How to decipher Digital Micrograph DM3 and
DM4 files"). The tree itself is big-endian, values are in the order that the head of the file tells.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.errors import CorruptSource
from scientistcloud.readers.files.open_files import FilePool

_BUFFER_BYTES = 1 << 16
_MOST_TAGS = 1 << 20
_MOST_DEPTH = 64
_MOST_TEXT = 1 << 14
_DIRECTORY, _DATA = 20, 21
_STRUCT, _STRING, _ARRAY = 15, 18, 20
_CODES = {
    2: "i2", 3: "i4", 4: "u2", 5: "u4", 6: "f4", 7: "f8", 8: "u1", 9: "i1", 10: "u1",
    11: "i8", 12: "u8",
}  # fmt: skip

Tags = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array that was not read: where it lies, in bytes; its type as stored."""

    offset: int
    count: int
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return self.count * self.dtype.itemsize


def read_tags(path: Path, pool: FilePool) -> Tags:
    """The tree; members without a name are called by their number.

    Raises
    ------
    CorruptSource
        The file is cut short or damaged.
    """
    return _Parser(path, pool).parse()


class _Parser:
    """Goes through the file once, over arrays without reading them."""

    def __init__(self, path: Path, pool: FilePool) -> None:
        self._path, self._pool, self._size = path, pool, pool.size(path)
        self._at, self._tags = 0, 0
        self._buffer, self._begin = b"", 0
        self._wide, self._order = False, "<"

    def parse(self) -> Tags:
        version = self._unpack(">I")
        if version not in (3, 4):
            raise self._damaged()
        self._wide = version == 4
        self._count()
        self._order = "<" if self._unpack(">I") == 1 else ">"
        return self._directory(0)

    def _damaged(self) -> CorruptSource:
        return CorruptSource(
            f"{self._pool.name(self._path)} is cut short or damaged: its tags do not fit."
        )

    def _take(self, size: int) -> bytes:
        if size < 0 or self._at + size > self._size:
            raise self._damaged()
        place = self._at - self._begin
        if place < 0 or place + size > len(self._buffer):
            length = min(max(size, _BUFFER_BYTES), self._size - self._at)
            self._buffer, self._begin = self._pool.read(self._path, self._at, length), self._at
            place = 0
        self._at += size
        return self._buffer[place : place + size]

    def _unpack(self, form: str) -> int:
        return int(struct.unpack(form, self._take(struct.calcsize(form)))[0])

    def _count(self) -> int:
        return self._unpack(">Q" if self._wide else ">I")

    def _directory(self, depth: int) -> Tags:
        if depth > _MOST_DEPTH:
            raise self._damaged()
        self._take(2)  # sorted, open
        tags: Tags = {}
        for number in range(self._count()):
            self._tags += 1
            if self._tags > _MOST_TAGS:
                raise self._damaged()
            kind, length = self._unpack(">B"), self._unpack(">H")
            name = self._take(length).decode("latin-1") or str(number)
            if self._wide:
                self._count()  # bytes of what follows
            while name in tags:
                name += "'"
            if kind == _DIRECTORY:
                tags[name] = self._directory(depth + 1)
            elif kind == _DATA:
                tags[name] = self._value()
            else:
                raise self._damaged()
        return tags

    def _value(self) -> Any:
        if self._take(4) != b"%%%%":
            raise self._damaged()
        count = self._count()
        if not 1 <= count <= 4096:
            raise self._damaged()
        info = [self._count() for _ in range(count)]
        if info[0] == _STRUCT:
            return self._numbers(self._members(info[1:]))
        if info[0] == _STRING:
            return self._text(StoredArray(self._at, info[-1], np.dtype("<u2")))
        if info[0] == _ARRAY:
            return self._array(info[1:])
        return self._numbers([self._type(info[0])])[0]

    def _type(self, code: int) -> np.dtype[Any]:
        if code not in _CODES:
            raise self._damaged()
        dtype: np.dtype[Any] = np.dtype(self._order + _CODES[code])
        return dtype

    def _members(self, info: list[int]) -> list[np.dtype[Any]]:
        """The types of a struct: a length of name, how many, and two words for each."""
        if len(info) < 2 or len(info) < 2 + 2 * info[1]:
            raise self._damaged()
        return [self._type(info[3 + 2 * i]) for i in range(info[1])]

    def _numbers(self, types: list[np.dtype[Any]]) -> list[Any]:
        return [np.frombuffer(self._take(t.itemsize), t)[0].item() for t in types]

    def _array(self, info: list[int]) -> Any:
        if len(info) < 2:
            raise self._damaged()
        if info[0] == _STRUCT:
            types = self._members(info[1:-1])
            record = np.dtype([(f"f{i}", t) for i, t in enumerate(types)])
            stored = StoredArray(self._at, info[-1], record)
        elif info[0] == _ARRAY:
            raise self._damaged()  # arrays of arrays: never seen in images
        else:
            stored = StoredArray(self._at, info[-1], self._type(info[0]))
        if stored.dtype.kind == "u" and stored.dtype.itemsize == 2 and stored.count <= _MOST_TEXT:
            return self._text(stored)
        self._skip(stored)
        return stored

    def _skip(self, stored: StoredArray) -> None:
        self._at += stored.size
        if self._at > self._size:
            raise self._damaged()

    def _text(self, stored: StoredArray) -> Any:
        """Text is an array of 16 bits, and so are small images: those who ask have the array."""
        if stored.count > _MOST_TEXT:
            self._skip(stored)
            return stored
        data = self._take(stored.size)
        order = "utf-16-be" if self._order == ">" else "utf-16-le"
        return _Text(data.decode(order, "replace"), stored)


class _Text(str):
    """Text that knows where it lies, as it may be samples of 16 bits."""

    stored: StoredArray

    def __new__(cls, value: str, stored: StoredArray) -> _Text:
        made = super().__new__(cls, value)
        made.stored = stored
        return made


def array_of(value: Any) -> StoredArray | None:
    """The array behind a tag, also where it looked like text."""
    if isinstance(value, StoredArray):
        return value
    return value.stored if isinstance(value, _Text) else None
