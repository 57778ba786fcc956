"""What the headers of PNG, JPEG, JPEG 2000 and WebP files say, without decoding them."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_PNG = b"\x89PNG\r\n\x1a\n"
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
_J2K = b"\xff\x4f\xff\x51"
_EOI = 0xD9
_MOST_JUNK_BYTES = 65536
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
_INDEXED = 3
_ANIMATION_FLAG, _ALPHA_FLAG = 0x02, 0x10


ReadAt = Callable[[int, int], bytes]
"""Bytes of a file from an offset: as many as are wanted, or to its end."""


@dataclass(frozen=True)
class ImageHeader:
    """What a decoder will give.

    Attributes
    ----------
    height, width, samples : int
        As stored, before any orientation is applied.
    dtype : numpy.dtype
        Of one sample.
    frames : int
        More than 1 for animations.
    exif : bytes
        The EXIF block (TIFF structure), or nothing.
    is_inverted : bool
        CMYK as Adobe writes it: 0 is full ink.
    is_gray_palette : bool
        All colours of the palette are grays: the decoder gives them three times.
    """

    format: str
    height: int
    width: int
    samples: int
    dtype: np.dtype[np.generic]
    frames: int = 1
    exif: bytes = b""
    is_inverted: bool = False
    is_gray_palette: bool = False


def image_format(head: bytes) -> str:
    """The format of a file that begins with `head`; empty if it is none of ours."""
    if head.startswith(_PNG):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith((_JP2, _J2K)):
        return "JPEG 2000"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return ""


def read_header(read: ReadAt, size: int) -> ImageHeader:
    """The header of a file of `size` bytes; only the parts that say something are read.

    Raises
    ------
    ValueError, IndexError, struct.error
        It is damaged or cut short.
    """
    format_ = image_format(read(0, 16))
    if format_ == "PNG":
        header = _png(read)
    elif format_ == "JPEG":
        header = _jpeg(read)
    elif format_ == "JPEG 2000":
        header = _jpeg2000(read(0, 1 << 20))
    elif format_ == "WebP":
        header = _webp(read, size)
    else:
        raise ValueError("it does not begin like an image of the kind that it is named")
    if min(header.height, header.width, header.samples) < 1:
        raise ValueError("it has no pixels")
    return header


def is_complete_jpeg(data: bytes) -> bool:
    """Whether a JPEG file holds its picture to the end mark: decoders fill up with gray."""
    position = 2
    while found := _MARKER.search(data, position):
        if found[1][0] == _EOI:
            return True
        size = int.from_bytes(data[found.end() : found.end() + 2], "big")
        position = found.end() + max(2, size)
    return False


def _png(read: ReadAt) -> ImageHeader:
    start = read(8, 25)
    if start[4:8] != b"IHDR" or zlib.crc32(start[4:21]).to_bytes(4, "big") != start[21:25]:
        raise ValueError("its header is damaged")
    width, height, bits, color = struct.unpack(">IIBB", start[8:18])
    samples = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(color, 0)
    frames, exif, transparent, is_gray, position = 1, b"", False, False, 8
    while len(chunk := read(position, 8)) == 8:
        size, kind = struct.unpack(">I4s", chunk)
        if kind == b"IDAT":
            break
        if kind == b"acTL":
            (frames,) = struct.unpack(">I", read(position + 8, 4))
        elif kind == b"tRNS":
            transparent = True
        elif kind == b"PLTE" and color == _INDEXED:
            grays = np.frombuffer(read(position + 8, size), "u1")[: size - size % 3].reshape(-1, 3)
            is_gray = bool(grays.size) and bool((grays == grays[:, :1]).all())
        elif kind == b"eXIf":
            exif = read(position + 8, size)
        position += size + 12
    else:
        raise ValueError("it ends before its picture")
    is_gray = is_gray and not transparent
    if is_gray:
        samples = 1
    if transparent:
        samples = {1: 2, 3: 4}.get(samples, samples)
    dtype = np.dtype("u2" if bits == 16 else "u1")
    return ImageHeader("PNG", height, width, samples, dtype, frames, exif, is_gray_palette=is_gray)


def _jpeg(read: ReadAt) -> ImageHeader:
    position, exif, is_inverted = 2, b"", False
    while True:
        # Some cameras leave bytes between segments, which decoders pass over.
        found = _MARKER.search(read(position, _MOST_JUNK_BYTES))
        if found is None or found[1][0] == _EOI:
            raise ValueError("it ends before its picture")
        marker, position = found[1][0], position + found.end()
        size = int.from_bytes(read(position, 2), "big")
        if marker in _FRAMES:
            bits, height, width, samples = struct.unpack(">BHHB", read(position + 2, 6))
            break
        if marker in (0xE1, 0xEE):
            body = read(position + 2, size - 2)
            is_inverted |= marker == 0xEE and body.startswith(b"Adobe")
            if body.startswith(b"Exif\0\0") and not exif:
                exif = body[6:]
        position += max(2, size)
    dtype = np.dtype("u1" if bits <= 8 else "u2")
    return ImageHeader("JPEG", height, width, samples, dtype, 1, exif, is_inverted and samples == 4)


def _jpeg2000(data: bytes) -> ImageHeader:
    start = data.find(_J2K)
    if start < 0:
        raise ValueError("it holds no code stream")
    right, bottom, left, top = struct.unpack(">IIII", data[start + 8 : start + 24])
    (samples,) = struct.unpack(">H", data[start + 40 : start + 42])
    precision = data[start + 42]
    bits, kind = (precision & 0x7F) + 1, "i" if precision & 0x80 else "u"
    size = 1 if bits <= 8 else 2 if bits <= 16 else 4
    return ImageHeader("JPEG 2000", bottom - top, right - left, samples, np.dtype(f"{kind}{size}"))


def _webp(read: ReadAt, total: int) -> ImageHeader:
    start = read(0, 46)
    (size,) = struct.unpack("<I", start[4:8])
    if size + 8 > total:
        raise ValueError(f"it should have {size + 8} bytes, and has {total}")
    chunk, body = start[12:16], start[20:]
    frames, exif = 1, b""
    if chunk == b"VP8 ":
        width, height = (n & 0x3FFF for n in struct.unpack("<HH", body[6:10]))
        samples = 3
    elif chunk == b"VP8L":
        (bits,) = struct.unpack("<I", body[1:5])
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        samples = 4 if bits >> 28 & 1 else 3
    elif chunk == b"VP8X":
        width = int.from_bytes(body[4:7], "little") + 1
        height = int.from_bytes(body[7:10], "little") + 1
        samples = 4 if body[0] & _ALPHA_FLAG else 3
        frames = 2 if body[0] & _ANIMATION_FLAG else 1
        exif = _webp_exif(read)
    else:
        raise ValueError(f"its first part is {chunk!r}")
    return ImageHeader("WebP", height, width, samples, np.dtype("u1"), frames, exif)


def _webp_exif(read: ReadAt) -> bytes:
    position = 12
    while len(chunk := read(position, 8)) == 8:
        kind, size = struct.unpack("<4sI", chunk)
        if kind == b"EXIF":
            return read(position + 8, size).removeprefix(b"Exif\0\0")
        position += 8 + size + size % 2
    return b""
