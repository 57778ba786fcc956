"""Single compressed streams (gzip, bzip2, xz, zstd), decoded block by block in bounded memory.

None of them can be entered in the middle: who needs random access decodes the stream once into a
scratch file.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from isal import isal_zlib

from scientistcloud.errors import CorruptSource

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK_BYTES = 1 << 20
"""What one step reads, and at most what it decodes."""

_DAMAGE: tuple[type[Exception], ...] = (  # type: ignore[assignment]
    zlib.error,
    isal_zlib.error,  # declared as an instance
    lzma.LZMAError,
    zstd.ZstdError,
    EOFError,
    ValueError,
)
_XZ_MEMORY_BYTES = 256 << 20
_ZSTD_WINDOW_LOG = 27

MAGIC: dict[str, bytes] = {
    "gz": b"\x1f\x8b\x08",
    "bz2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "zst": b"\x28\xb5\x2f\xfd",
}


class Decoder(Protocol):
    """What `bz2.BZ2Decompressor` and its like have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Inflater:
    """zlib, gzip or raw deflate (by `wbits`) behind the interface of the other decoders."""

    def __init__(self, wbits: int) -> None:
        self._object = isal_zlib.decompressobj(wbits)
        self._tail = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return bool(self._object.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        out = bytes(self._object.decompress(self._tail + data, max(0, max_length)))
        self._tail = bytes(self._object.unconsumed_tail)
        # A full answer may hide more: zlib keeps decoded bytes back without any input left over.
        self.needs_input = not self._tail and len(out) < max_length
        return out


def _zstd_decoder() -> Decoder:
    limit = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG}
    return zstd.ZstdDecompressor(options=limit)


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "gz": lambda: Inflater(31),
    "zlib": lambda: Inflater(15),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES),
    "zst": _zstd_decoder,
}


def decode_stream(
    blocks: Iterable[bytes],
    new_decoder: Callable[[], Decoder],
    *,
    several: bool = False,
    marked_end: bool = True,
) -> Iterator[bytes]:
    """Decode `blocks`, never more than `BLOCK_BYTES` at a time.

    Parameters
    ----------
    several : bool
        Whether streams may follow one another (and zeros pad the end), as in ``.gz`` files.
    marked_end : bool
        Whether the format tells its end; else the caller knows how much there should be.

    Raises
    ------
    EOFError
        The input ends before the stream does.
    ValueError
        Something else follows the stream.
    """
    decoder = new_decoder()
    begun = False
    for block in blocks:
        while block:
            if decoder.eof:
                block = block.lstrip(b"\0")
                if not block:
                    break
                if not several:
                    raise ValueError("there is something behind the compressed data")
                decoder, begun = new_decoder(), False
            begun = True
            yield decoder.decompress(block, BLOCK_BYTES)
            while not decoder.eof and not decoder.needs_input:
                yield decoder.decompress(b"", BLOCK_BYTES)
            block = decoder.unused_data if decoder.eof else b""
    if begun and marked_end and not decoder.eof:
        raise EOFError("the compressed data end too early")


def file_blocks(path: Path, offset: int = 0) -> Iterator[bytes]:
    """The bytes of a file from `offset` on, block by block."""
    with path.open("rb") as file:
        file.seek(offset)
        while block := file.read(BLOCK_BYTES):
            yield block


def decompress(blocks: Iterable[bytes], kind: str, name: str) -> Iterator[bytes]:
    """Decode the compressed file `name` (for messages) of a `kind` of `MAGIC`, or ``zlib``.

    Raises
    ------
    CorruptSource
        The stream is damaged or incomplete; checksums are checked.
    """
    stream = decode_stream(blocks, _DECODERS[kind], several=True)
    while True:
        try:
            block = next(stream, None)
        except _DAMAGE as error:
            raise _damaged(name, error) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise _damaged(name, error) from error
        if block is None:
            return
        if block:
            yield block


def _damaged(name: str, error: Exception) -> CorruptSource:
    return CorruptSource(f"{name} is damaged or incomplete: {str(error).rstrip('.') or 'no data'}.")


def compression_of(head: bytes) -> str | None:
    """The compression whose magic number `head` begins with: gz, bz2, xz, zst, or None."""
    return next((kind for kind, magic in MAGIC.items() if head.startswith(magic)), None)


class BlockStream:
    """The file-like `read` that `tarfile` wants, over an iterator of blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        wanted = size
        while wanted > 0:
            if not self._rest:
                self._rest = next(self._blocks, b"")
                if not self._rest:
                    break
            parts.append(self._rest[:wanted])
            self._rest = self._rest[wanted:]
            wanted -= len(parts[-1])
        return b"".join(parts)
