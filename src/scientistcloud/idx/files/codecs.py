"""The codecs of blocks: one line each in `CODECS`, and how a block's flags name them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lz4.block
from isal import igzip_lib, isal_zlib
from numpy.typing import NDArray
from zlib_ng import zlib_ng

Buffer = bytes | bytearray | memoryview | NDArray[Any]
"""Contiguous bytes; all codecs release the interpreter lock while they work on them."""

ROW_MAJOR = 0x10
"""Flag of a block whose samples are in row-major order (without it: in HZ order)."""

CODEC_MASK = 0x0F
RAW, ZIP, LZ4 = 0, 3, 7
MAX_STORED_RATIO = 0.97
"""A block that shrinks less than this is stored raw: it reads faster and is hardly larger."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How blocks are stored.

    Attributes
    ----------
    name : str
        Ours, as options name it.
    flag : int
        What the flags of a block say.
    compression : str
        OpenVisus's name, for ``default_compression`` in the header.
    encode : callable
        Contiguous samples, of the item size of the field's components -> bytes. What is returned
        may be the argument itself.
    """

    name: str
    flag: int
    compression: str
    encode: Callable[[memoryview], bytes | memoryview]


def _isal_1(samples: memoryview) -> bytes:
    # Level 1, with zlib's header and trailer, and the largest window (2^15). The memory level is
    # how often the Huffman code is made anew. Bytes of images change character quickly: 7 % smaller
    # with short runs, for 4 % more time. Wider samples gain nothing, so they get long runs.
    level = igzip_lib.MEM_LEVEL_SMALL if samples.itemsize == 1 else igzip_lib.MEM_LEVEL_DEFAULT
    return igzip_lib.compress(samples, 1, igzip_lib.COMP_ZLIB, level, 15)


def _lz4(samples: memoryview) -> bytes:
    return lz4.block.compress(samples, store_size=False)  # type: ignore[no-any-return]


CODECS = {
    codec.name: codec
    for codec in (
        Codec("isal-1", ZIP, "zip", _isal_1),
        Codec("zlib-ng-6", ZIP, "zip", lambda samples: zlib_ng.compress(samples, 6)),
        Codec("lz4", LZ4, "lz4", _lz4),
        Codec("raw", RAW, "raw", lambda samples: samples),
    )
}
"""By our name; the first is the default."""


def _inflate(stored: Buffer, size: int) -> bytes:
    """A zlib stream of `size` bytes; more than one byte too many is never unpacked."""
    stream = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
    samples: bytes = stream.decompress(stored, size + 1)
    if not stream.eof:
        raise ValueError("a compressed block holds more than a block, or ends too early")
    return samples


_DECODERS: dict[int, Callable[[Buffer, int], bytes]] = {
    RAW: lambda stored, size: bytes(stored),
    ZIP: _inflate,
    LZ4: lambda stored, size: lz4.block.decompress(stored, uncompressed_size=size),
}

_DECODE_ERRORS: Any = (isal_zlib.error, lz4.block.LZ4BlockError, ValueError)
_FLAGS = {"": RAW, "raw": RAW, "zip": ZIP, "lz4": LZ4}


class UnknownCodec(ValueError):
    """A block is stored in a way that cannot be decoded here."""


class DamagedBlock(ValueError):
    """The stored bytes of a block do not decode to a whole block."""


def flag_of_compression(compression: str) -> int:
    """The flag for what a header calls a compression, such as ``zip`` or ``zip-6``.

    Raises
    ------
    UnknownCodec
        It is none that can be decoded here (a lossy one, for instance).
    """
    try:
        return _FLAGS[compression.split("-")[0].strip().lower()]
    except KeyError:
        raise UnknownCodec(f"blocks compressed with {compression!r} cannot be read") from None


def decode(stored: Buffer, flags: int, size_bytes: int) -> bytes:
    """The samples of a block as bytes.

    Parameters
    ----------
    stored : bytes-like
        What the file holds.
    flags : int
        Of the block's table entry; only the codec is looked at.
    size_bytes : int
        Of the whole block, uncompressed.

    Raises
    ------
    UnknownCodec, DamagedBlock
    """
    decoder = _DECODERS.get(flags & CODEC_MASK)
    if decoder is None:
        raise UnknownCodec(f"codec {flags & CODEC_MASK} cannot be read")
    try:
        samples = decoder(stored, size_bytes)
    except _DECODE_ERRORS as error:
        raise DamagedBlock(f"a block does not decode: {error}") from error
    if len(samples) != size_bytes:
        raise DamagedBlock(f"a block decodes to {len(samples)} bytes instead of {size_bytes}")
    return samples


def crc32(stored: Buffer, value: int = 0) -> int:
    """The CRC-32 (as zlib's) of stored bytes, going on from `value`."""
    return isal_zlib.crc32(stored, value)
