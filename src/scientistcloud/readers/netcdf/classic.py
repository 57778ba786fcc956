"""The header of a classic NetCDF file, as far as it tells how long the file must be.

The library reads zeros beyond the end of a file that is cut short. The layout is that of the
"NetCDF Classic Format Specification" (CDF-1, CDF-2 with 64-bit offsets, CDF-5).
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scientistcloud.errors import CorruptSource
from scientistcloud.readers.arrays.attributes import text
from scientistcloud.readers.files.listing import open_regular

MAGICS = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
_MAX_NAMES = 1_000_000
_MAX_HEADER_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class _Variable:
    begin: int
    size_bytes: int
    is_record: bool


def check_length(path: Path) -> None:
    """Raise CorruptSource where a classic file is shorter than its header says."""
    fd = open_regular(path)
    with os.fdopen(fd, "rb") as file:
        size_bytes = os.fstat(fd).st_size
        try:
            needed = _Header(file, size_bytes).needed_bytes()
        except (struct.error, KeyError, IndexError, OverflowError, ValueError) as error:
            raise CorruptSource(
                f"The header of {text(path.name)} is damaged or cut short."
            ) from error
    if size_bytes < needed:
        raise CorruptSource(
            f"{text(path.name)} is cut short: it should have at least {needed} bytes, "
            f"and has {size_bytes}."
        )


class _Header:
    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self._limit = min(size_bytes, _MAX_HEADER_BYTES)
        version = file.read(4)[3]
        self._count = ">Q" if version == 5 else ">I"
        self._offset = ">I" if version == 1 else ">Q"
        self._streaming = (1 << (64 if version == 5 else 32)) - 1

    def needed_bytes(self) -> int:
        """The smallest length of a file with this header; padding at its end may be missing."""
        records = self._number(self._count)
        dims = self._dimensions()
        self._attributes()
        variables = self._variables(dims)
        fixed = [v.begin + v.size_bytes for v in variables if not v.is_record]
        grown = [v for v in variables if v.is_record]
        ends = [0, *fixed]
        if grown and records not in (0, self._streaming):
            # A single record variable is not padded to four bytes.
            only = len(grown) == 1
            record = sum(v.size_bytes if only else -(-v.size_bytes // 4) * 4 for v in grown)
            ends += [v.begin + (records - 1) * record + v.size_bytes for v in grown]
        return max(ends)

    def _dimensions(self) -> list[int]:
        lengths = []
        for _ in range(self._list(_DIMENSION)):
            self._name()
            lengths.append(self._number(self._count))
        return lengths

    def _attributes(self) -> None:
        for _ in range(self._list(_ATTRIBUTE)):
            self._name()
            kind = self._number(">I")
            self._skip(self._number(self._count) * _TYPE_BYTES[kind])

    def _variables(self, dims: list[int]) -> list[_Variable]:
        result = []
        for _ in range(self._list(_VARIABLE)):
            self._name()
            ids = [self._number(self._count) for _ in range(self._bounded(self._count))]
            self._attributes()
            kind = self._number(">I")
            self._number(self._count)
            begin = self._number(self._offset)
            lengths = [dims[i] for i in ids]
            is_record = bool(lengths) and lengths[0] == 0
            samples = math.prod(lengths[1:] if is_record else lengths)
            result.append(_Variable(begin, samples * _TYPE_BYTES[kind], is_record))
        return result

    def _list(self, tag: int) -> int:
        found, count = self._number(">I"), self._bounded(self._count)
        if found not in (tag, 0) or (found == 0 and count):
            raise ValueError("not a list of the classic format")
        return count

    def _bounded(self, form: str) -> int:
        count = self._number(form)
        if count > _MAX_NAMES:
            raise ValueError("an unreasonable number of names")
        return count

    def _name(self) -> None:
        self._skip(self._number(self._count))

    def _number(self, form: str) -> int:
        value: int = struct.unpack(form, self._file.read(struct.calcsize(form)))[0]
        return value

    def _skip(self, count: int) -> None:
        target = self._file.tell() + -(-count // 4) * 4
        if target > self._limit:
            raise ValueError("the header goes on beyond the end of the file")
        self._file.seek(target)
