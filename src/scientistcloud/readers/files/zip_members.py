"""Members of a ZIP archive, from its directory, none of whose statements is trusted.

Only the directory comes from `zipfile`; data are decoded here, because `zipfile` decodes bzip2 and
LZMA members in steps of unbounded size. Source: APPNOTE.TXT 6.3.10, PKWARE.
"""

from __future__ import annotations

import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from scientistcloud.errors import CorruptSource, UnsafeArchive
from scientistcloud.readers.files.archive_names import shown
from scientistcloud.readers.files.compression import (
    BLOCK_BYTES,
    Inflater,
    decode_stream,
    decompress,
)

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s4B4H3L5H2L")
_LOCAL = struct.Struct("<4s2B4HL2L2H")
_ENCRYPTED = 0x1
_STRONG = 0x40
_STREAMED = ("zst", 93), ("xz", 95)


def count_members(path: Path, limit: int) -> int:
    """Entries of the directory, counted (not believed) up to one more than `limit`.

    `zipfile` holds the directory in memory, so this comes first.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 65557))
        tail = file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or at + _END.size > len(tail):
            raise zipfile.BadZipFile("it has no directory at its end")
        end = size - len(tail) + at
        length = _END.unpack_from(tail, at)[5]
        if at >= _LOCATOR.size and tail[at - _LOCATOR.size :].startswith(b"PK\6\7"):
            # zipfile looks for the record of 64-bit archives right before its locator, as we do.
            end -= _LOCATOR.size + _END64.size
            file.seek(max(0, end))
            record = file.read(_END64.size)
            if len(record) == _END64.size and record.startswith(b"PK\6\6"):
                length = _END64.unpack(record)[8]
        file.seek(max(0, end - length))
        return _count_entries(file, length, limit)


def _count_entries(file: BinaryIO, length: int, limit: int) -> int:
    count = 0
    while length >= _CENTRAL.size and count <= limit:
        header = file.read(_CENTRAL.size)
        if len(header) < _CENTRAL.size:
            break
        fields = _CENTRAL.unpack(header)
        variable = fields[12] + fields[13] + fields[14]
        file.seek(variable, os.SEEK_CUR)
        length -= _CENTRAL.size + variable
        count += 1
    return count


def check_entries(name: str, entries: list[zipfile.ZipInfo], size_bytes: int) -> None:
    """Refuse encryption, links, devices and members that share their bytes.

    Raises
    ------
    UnsafeArchive
    """
    for entry in entries:
        member = shown(entry.filename)
        if entry.flag_bits & (_ENCRYPTED | _STRONG):
            raise UnsafeArchive(
                f"{name} is protected with a password ('{member}').",
                remedy="Pack the files again without a password.",
            )
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.create_system == 3 and kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UnsafeArchive(f"{name} holds a link or a special file: '{member}'.")
        if "\0" in entry.orig_filename:
            raise UnsafeArchive(f"{name} has a member with control characters: '{member}'.")
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise UnsafeArchive(
                f"{name} has members that overlap ('{shown(entry.filename)}'), as bombs have."
            )
        end = entry.header_offset + _LOCAL.size + entry.compress_size
    if end > size_bytes:
        raise CorruptSource(f"{name} is incomplete: its members end behind the end of the file.")


def member_blocks(file: BinaryIO, entry: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    """The decoded bytes of a member, at most `BLOCK_BYTES` at a time.

    Raises
    ------
    CorruptSource
        The bytes are damaged; their checksum is checked.
    UnsafeArchive
        The method of compression is not known.
    """
    checksum, count = 0, 0
    for block in _decoded(file, entry, name):
        checksum = zlib.crc32(block, checksum)
        count += len(block)
        yield block
    if checksum != entry.CRC or count != entry.file_size:
        raise CorruptSource(f"{name} is damaged: the checksum does not fit.")


def _decoded(file: BinaryIO, entry: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    raw = _raw_blocks(file, entry)
    method = entry.compress_type
    if method == zipfile.ZIP_STORED:
        return raw
    if method == zipfile.ZIP_DEFLATED:
        return decode_stream(raw, lambda: Inflater(-15))
    if method == 9:
        return decode_stream(raw, _Inflate64, marked_end=False)
    if method == zipfile.ZIP_BZIP2:
        return decompress(raw, "bz2", name)
    if method == zipfile.ZIP_LZMA:
        return decode_stream(raw, _ZipLzma, marked_end=False)
    for kind, number in _STREAMED:
        if method == number:
            return decompress(raw, kind, name)
    raise UnsafeArchive(
        f"{name} is packed with a method that is not supported (number {method}).",
        remedy="Pack the files again with the usual method (deflate).",
    )


def data_offset(file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin in the file, behind its own header."""
    file.seek(entry.header_offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\3\4"):
        raise zipfile.BadZipFile("a member's header is damaged")
    fields = _LOCAL.unpack(header)
    return entry.header_offset + _LOCAL.size + int(fields[-2]) + int(fields[-1])


def _raw_blocks(file: BinaryIO, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    position = data_offset(file, entry)
    left = entry.compress_size
    while left > 0:
        file.seek(position)
        block = file.read(min(BLOCK_BYTES, left))
        if not block:
            raise EOFError("a member's data end too early")
        position += len(block)
        left -= len(block)
        yield block


class _ZipLzma:
    """An LZMA member: version, length of the properties, properties, raw LZMA1 (APPNOTE 5.8.8)."""

    def __init__(self) -> None:
        self._decoder: lzma.LZMADecompressor | None = None
        self._head = b""

    @property
    def eof(self) -> bool:
        return self._decoder is not None and self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return self._decoder is None or self._decoder.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data if self._decoder is not None else b""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if self._decoder is None:
            self._head += data
            if len(self._head) < 9:
                return b""
            self._decoder, data = _lzma1(self._head[4:9]), self._head[9:]
        return self._decoder.decompress(data, max_length)


def _lzma1(properties: bytes) -> lzma.LZMADecompressor:
    flags, dictionary_bytes = struct.unpack("<BL", properties)
    if flags >= 9 * 5 * 5:
        raise lzma.LZMAError("the properties are not those of LZMA")
    chain = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": dictionary_bytes,
        "lc": flags % 9,
        "lp": flags // 9 % 5,
        "pb": flags // 45,
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chain])


class _Inflate64:
    """Deflate64, which Windows uses for members of 2 GiB and more.

    The library takes no limit on its answer, so input goes in by small portions: deflate swells
    at most 1032-fold.
    """

    _PORTION_BYTES = 1024

    def __init__(self) -> None:
        import inflate64

        self._decoder = inflate64.Inflater()
        self._tail = b""

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def needs_input(self) -> bool:
        return not self._tail

    @property
    def unused_data(self) -> bytes:
        return self._tail

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        data = self._tail + data
        portion, self._tail = data[: self._PORTION_BYTES], data[self._PORTION_BYTES :]
        return bytes(self._decoder.inflate(portion))
