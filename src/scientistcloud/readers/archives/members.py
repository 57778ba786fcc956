"""The members of an archive, one after the other, whatever its format: names and bytes, unchecked.

Nothing here writes. `archives` decides which names are safe and counts what is written.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from scientistcloud.errors import CorruptSource, UnsafeArchive
from scientistcloud.readers.files.archive_names import shown
from scientistcloud.readers.files.compression import (
    BLOCK_BYTES,
    BlockStream,
    decompress,
    file_blocks,
)
from scientistcloud.readers.files.zip_members import check_entries, count_members, member_blocks

_HEADER_BYTES = 4 << 20
"""What a tar archive may spend between two members: long names, PAX records, padding."""

_SEVEN_ZIP_METHODS = {
    b"\x00": "Copy",
    b"\x03": "Delta",
    b"\x21": "LZMA2",
    b"\x03\x01\x01": "LZMA",
    b"\x03\x03\x01\x03": "BCJ",
    b"\x03\x03\x02\x05": "PPC",
    b"\x03\x03\x04\x01": "IA64",
    b"\x03\x03\x05\x01": "ARM",
    b"\x03\x03\x07\x01": "ARMT",
    b"\x03\x03\x08\x05": "SPARC",
    b"\x04\x01\x08": "Deflate",
    b"\x04\x02\x02": "BZip2",
}
"""Coders whose memory is bounded. Source: 7-Zip, DOC/Methods.txt."""
_SEVEN_ZIP_AES = b"\x06\xf1\x07\x01"
_SEVEN_ZIP_INPUT_BYTES = 16 << 10
"""Some of its decoders take no limit on their answer, so they get their input by small portions."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `blocks` is to be used up, or left alone, before the next one is asked for."""

    name: str
    is_folder: bool
    blocks: Iterator[bytes]


def zip_members(path: Path, name: str, most: int) -> Iterator[Member]:
    """Members of a ZIP archive that is called `name` in messages and may hold `most` of them."""
    if count_members(path, most) > most:
        raise too_many(name, most)
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        entries = archive.infolist()
        check_entries(name, entries, path.stat().st_size)
        for entry in entries:
            blocks = member_blocks(file, entry, f"{name}/{shown(entry.filename)}")
            yield Member(entry.filename, entry.is_dir(), blocks)


class _StrictInfo(tarfile.TarInfo):
    """A damaged header ends the archive for `tarfile`; here it is an error."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _StrictInfo:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise ValueError(f"a header in it is wrong: {error}") from error


class _TarStream:
    """What `tarfile` reads from: between two members it gets only so much."""

    def __init__(self, stream: BlockStream, name: str) -> None:
        self._stream = stream
        self._name = name
        self.allowance: int | None = None

    def read(self, size: int) -> bytes:
        if self.allowance is not None:
            self.allowance -= size
            if self.allowance < 0:
                raise UnsafeArchive(f"{self._name} has a header of unreasonable size.")
        return self._stream.read(size)


def tar_members(
    path: Path, name: str, most: int, compression: str | None = None
) -> Iterator[Member]:
    """Members of a tar archive, read as a stream from its begin to its end."""
    blocks = file_blocks(path)
    if compression is not None:
        blocks = decompress(blocks, compression, name)
    stream = _TarStream(BlockStream(blocks), name)
    stream.allowance = _HEADER_BYTES
    with tarfile.open(
        fileobj=stream,
        mode="r|",
        tarinfo=_StrictInfo,
        bufsize=64 << 10,  # type: ignore[call-overload]
    ) as archive:
        count = 0
        while True:
            stream.allowance = _HEADER_BYTES
            info = archive.next()
            if info is None:
                return
            archive.members.clear()  # they would pile up
            count += 1
            if count > most:
                raise too_many(name, most)
            if not (info.isreg() or info.isdir()):
                raise UnsafeArchive(f"{name} holds a link or a special file: '{shown(info.name)}'.")
            stream.allowance = None
            yield Member(info.name, info.isdir(), _tar_blocks(archive, info, name))


def _tar_blocks(archive: tarfile.TarFile, info: tarfile.TarInfo, name: str) -> Iterator[bytes]:
    file = archive.extractfile(info)
    left = info.size
    while file is not None and left > 0:
        block = file.read(min(BLOCK_BYTES, left))
        if not block:
            raise CorruptSource(f"{name} ends in the middle of '{shown(info.name)}'.")
        left -= len(block)
        yield block


def seven_zip_members(path: Path, name: str, most: int) -> Iterator[Member]:
    """Members of a 7z archive; only coders whose memory is bounded."""
    import py7zr

    with path.open("rb") as file:
        try:
            archive = py7zr.SevenZipFile(file)
        except py7zr.PasswordRequired as error:
            raise _encrypted(name) from error
        except py7zr.UnsupportedCompressionMethodError as error:
            raise _unknown_method(name, "an unknown one") from error
        with archive:
            files = list(archive.files)
            if len(files) > most:
                raise too_many(name, most)
            _check_coders(archive, name)
            yield from _seven_zip_files(archive, file, files, name)


def _check_coders(archive: Any, name: str) -> None:
    streams = archive.header.main_streams
    for folder in streams.unpackinfo.folders if streams is not None else ():
        for coder in folder.coders:
            if coder["method"] == _SEVEN_ZIP_AES:
                raise _encrypted(name)
            if coder["method"] not in _SEVEN_ZIP_METHODS:
                raise _unknown_method(name, f"number {coder['method'].hex()}")


def _seven_zip_files(archive: Any, file: BinaryIO, files: list[Any], name: str) -> Iterator[Member]:
    for info in files:
        if info.is_symlink or info.is_junction or not (info.is_file or info.is_directory):
            raise UnsafeArchive(f"{name} holds a link or a special file: '{shown(info.filename)}'.")
        if info.emptystream:
            yield Member(info.filename, info.is_directory, iter(()))
    if archive.header.main_streams is None:
        return
    starts = archive.header.main_streams.packinfo.packpositions
    for folder, start in zip(archive.header.main_streams.unpackinfo.folders, starts, strict=False):
        position = archive.afterheader + start
        for info in folder.files or ():
            # Other members may have been read in between, so the place is kept here.
            file.seek(position)
            yield Member(info.filename, False, _seven_zip_blocks(file, folder, info, name))
            position = file.tell()


def _seven_zip_blocks(file: BinaryIO, folder: Any, info: Any, name: str) -> Iterator[bytes]:
    """Members of one folder are one stream: what is not wanted has to be decoded as well."""
    decoder = folder.get_decompressor(info.compressed)
    left, checksum, idle = info.uncompressed, 0, 0
    while left > 0:
        before = file.tell()
        # Input that its first coder does not want yet would pile up inside.
        hungry = getattr(decoder.chain[0], "needs_input", True)
        decoder.block_size = _SEVEN_ZIP_INPUT_BYTES if hungry else 0
        block = decoder.decompress(file, min(left, BLOCK_BYTES))
        if not block:
            idle = idle + 1 if file.tell() == before else 0
            if idle > 1:
                raise CorruptSource(f"{name} ends in the middle of '{shown(info.filename)}'.")
            continue
        left -= len(block)
        checksum = zlib.crc32(block, checksum)
        yield bytes(block)
    if info.crc32 is not None and checksum != info.crc32:
        raise CorruptSource(f"{name}/{shown(info.filename)} is damaged: the checksum does not fit.")


def too_many(name: str, most: int) -> UnsafeArchive:
    return UnsafeArchive(f"{name} holds more than {most} files.")


def _encrypted(name: str) -> UnsafeArchive:
    return UnsafeArchive(
        f"{name} is protected with a password.",
        remedy="Pack the files again without a password.",
    )


def _unknown_method(name: str, method: str) -> UnsafeArchive:
    return UnsafeArchive(
        f"{name} is packed with a method that is not supported ({method}).",
        remedy="Pack the files again with the usual method (LZMA2).",
    )
