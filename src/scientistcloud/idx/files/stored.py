"""The stored bytes of blocks: which file holds a block, and its payload as it lies there."""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scientistcloud.errors import CorruptSource, SpecialFile, StorageUnavailable
from scientistcloud.idx.files import codecs
from scientistcloud.idx.files.blockfile import (
    ENTRY_BYTES,
    Entry,
    arco_file_name,
    block_file_name,
    entry_position,
    time_name,
)
from scientistcloud.idx.files.codecs import flag_of_compression
from scientistcloud.idx.headers.header import HZ_ORDER, IdxHeader

_PAGE_ENTRIES = 512
"""Table entries read at a time."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A stored block: its bytes (None where it is missing) and the flags that say how."""

    number: int
    data: bytes | None
    flags: int = 0


class StoredBlocks:
    """Reads payloads of a dataset. Holds no open file; several threads may share it.

    Parameters
    ----------
    header : IdxHeader
    base : Path
        The folder that the header's template is relative to.
    name : str
        The header's file name without ``.idx``: an ARCO dataset's blocks lie in the folder of
        that name.
    """

    def __init__(self, header: IdxHeader, base: Path, name: str) -> None:
        self.header = header
        self.base = base
        self.name = name

    def first_in_file(self, number: int) -> int:
        """The number of the first block of the file that holds block `number`."""
        return number if self.header.arco else number - number % self.header.blocks_per_file

    def file_name(self, timestep: int, field: int, number: int) -> str:
        """The file of a block, relative to `base`, with ``/``."""
        header = self.header
        time = header.time_value(timestep)
        if header.arco:
            return f"{self.name}/{arco_file_name(time, header.fields[field].name, number)}"
        if "%" not in header.filename_template:
            return header.filename_template.removeprefix("./")
        text = time_name(header.time_template, time)
        first = self.first_in_file(number)
        template = _widen(header.filename_template, first)
        return block_file_name(template, text, first).removeprefix("./")

    def payloads(self, timestep: int, field: int, numbers: Iterable[int]) -> Iterator[Payload]:
        """The payloads of blocks, in the order of `numbers`; ascending, each file is opened once.

        Raises
        ------
        CorruptSource
            A file is cut, or its table makes no sense.
        StorageUnavailable
            A file is there but cannot be read.
        """
        for first, group in itertools.groupby(numbers, self.first_in_file):
            name = self.file_name(timestep, field, first)
            with _open(self.base / name) as fd:
                if fd is None:
                    yield from (Payload(number, None) for number in group)
                elif self.header.arco:
                    yield self._from_arco(fd, name, field, first)
                else:
                    yield from self._from_file(fd, name, field, group)

    def arco_flags(self, field: int) -> int:
        """How all blocks of a field of an ARCO dataset are stored."""
        item = self.header.fields[field]
        order = 0 if item.layout == HZ_ORDER else codecs.ROW_MAJOR
        return flag_of_compression(item.compression) | order

    def _from_arco(self, fd: int, name: str, field: int, number: int) -> Payload:
        size_bytes = os.fstat(fd).st_size
        if size_bytes > self._limit_bytes(field):
            raise CorruptSource(f"'{name}' is larger than a block can be.")
        data = _pread(fd, size_bytes, 0)
        return Payload(number, data or None, self.arco_flags(field))

    def _limit_bytes(self, field: int) -> int:
        """No codec makes a block larger than this."""
        return 2 * self.header.block_bytes(field) + (64 << 10)

    def _from_file(
        self, fd: int, name: str, field: int, numbers: Iterable[int]
    ) -> Iterator[Payload]:
        size_bytes = os.fstat(fd).st_size
        limit_bytes = self._limit_bytes(field)
        page_first, page = -1, b""
        for number in numbers:
            slot = number % self.header.blocks_per_file
            if slot // _PAGE_ENTRIES != page_first:
                page_first = slot // _PAGE_ENTRIES
                page = self._page(fd, field, page_first)
            at = slot % _PAGE_ENTRIES * ENTRY_BYTES
            if len(page) < at + ENTRY_BYTES:
                raise CorruptSource(f"'{name}' ends within its table of blocks.")
            entry = Entry.unpack(page[at : at + ENTRY_BYTES])
            if entry.is_missing:
                yield Payload(number, None)
                continue
            if entry.size > limit_bytes or entry.offset + entry.size > size_bytes:
                raise CorruptSource(f"'{name}' is cut: block {number} should end further on.")
            yield Payload(number, _pread(fd, entry.size, entry.offset), entry.flags)

    def _page(self, fd: int, field: int, page: int) -> bytes:
        count = min(_PAGE_ENTRIES, self.header.blocks_per_file - page * _PAGE_ENTRIES)
        position = entry_position(0, field, self.header.blocks_per_file)
        start = position + page * _PAGE_ENTRIES * ENTRY_BYTES
        return _pread(fd, count * ENTRY_BYTES, start)


@contextmanager
def _open(path: Path) -> Iterator[int | None]:
    """A descriptor, or None where there is no such file."""
    try:
        # Without O_NONBLOCK, a pipe of that name would be waited for.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    except OSError as error:
        raise StorageUnavailable(f"'{path.name}' cannot be read: {error.strerror}.") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise SpecialFile(f"'{path.name}' is no plain file.")
        yield fd
    finally:
        os.close(fd)


def _pread(fd: int, size: int, position: int) -> bytes:
    try:
        data = os.pread(fd, size, position)
        while data and len(data) < size:
            more = os.pread(fd, size - len(data), position + len(data))
            if not more:
                break
            data += more
        return data
    except OSError as error:
        raise StorageUnavailable(f"A block cannot be read: {error.strerror}.") from error


def _widen(template: str, number: int) -> str:
    """The template with directives for all digits of `number`.

    OpenVisus repeats the first directive, with ``/`` between, where the template is too narrow.
    """
    widths = [int(width) for width in re.findall(r"%0([1-9])x", template)]
    digits = -(-number.bit_length() // 4)
    missing = max(0, -(-(digits - sum(widths)) // widths[0]))
    head, percent, tail = template.partition("%")
    return head + f"%0{widths[0]}x/" * missing + percent + tail
