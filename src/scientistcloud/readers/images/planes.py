"""Images as planes: decoded as a whole, turned upright, their colours as RGB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import ConversionError, CorruptSource, ResourceLimit
from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.images.headers import ImageHeader, is_complete_jpeg
from scientistcloud.readers.planes.likeness import ImageKind
from scientistcloud.readers.planes.source import Span
from scientistcloud.readers.tiff.color import cmyk_color

_DECODERS: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "PNG": imagecodecs.png_decode,
    "JPEG": imagecodecs.jpeg_decode,
    "JPEG 2000": imagecodecs.jpeg2k_decode,
    "WebP": imagecodecs.webp_decode,
}
# What decoders hold for each byte of the decoded picture: OpenJPEG works on 32-bit samples.
_DECODER_FACTOR = {"PNG": 1.5, "JPEG": 1.5, "JPEG 2000": 10.0, "WebP": 3.0}
_TURNED = frozenset({5, 6, 7, 8})
_CMYK_BAND_ROWS = 64


@dataclass(frozen=True)
class Sheet:
    """One image file.

    Attributes
    ----------
    orientation : int
        EXIF's, 1 to 8: what has to be done to see the picture upright.
    """

    path: Path
    header: ImageHeader
    orientation: int
    size_bytes: int

    @property
    def kind(self) -> ImageKind:
        """What it is to a stack, upright."""
        rows, columns = self.header.height, self.header.width
        if self.orientation in _TURNED:
            rows, columns = columns, rows
        samples = 3 if self.is_cmyk else self.header.samples
        components = samples if samples in (3, 4) else 1
        return ImageKind((1, rows, columns), self.header.dtype, components, samples // components)

    @property
    def is_cmyk(self) -> bool:
        return self.header.format == "JPEG" and self.header.samples == 4

    @property
    def working_bytes(self) -> int:
        """What decoding it holds, the picture included."""
        header = self.header
        samples = 3 if header.is_gray_palette else header.samples
        picture = header.height * header.width * samples * header.dtype.itemsize
        band = header.width * _CMYK_BAND_ROWS * 64 if self.is_cmyk else 0
        return int(picture * (1 + _DECODER_FACTOR[header.format])) + self.size_bytes + band


@dataclass(frozen=True, slots=True)
class ImagePlane:
    """A sheet as a plane; `band` picks a sample where each is a field of its own."""

    pool: FilePool
    sheet: Sheet
    band: int = 0

    def read(self, rows: Span, columns: Span, out: NDArray[Any]) -> None:
        """Fill `out`, of shape (rows, columns, components)."""
        picture = upright(decode(self.pool, self.sheet), self.sheet.orientation)
        part = picture[rows[0] : rows[1], columns[0] : columns[1]]
        if self.sheet.kind.bands > 1:
            part = part[..., self.band : self.band + 1]
        if self.sheet.is_cmyk:
            self._convert(part, out)
        else:
            out[...] = part

    def _convert(self, part: NDArray[Any], out: NDArray[Any]) -> None:
        convert = cmyk_color(part.dtype, 4).convert
        assert convert is not None
        for first in range(0, len(part), _CMYK_BAND_ROWS):
            band = part[first : first + _CMYK_BAND_ROWS]
            ink = np.iinfo(band.dtype).max - band if self.sheet.header.is_inverted else band
            convert(ink, out[first : first + _CMYK_BAND_ROWS])


def decode(pool: FilePool, sheet: Sheet) -> NDArray[Any]:
    """The picture as stored: (rows, columns, samples).

    Raises
    ------
    CorruptSource, ResourceLimit
    """
    name, header = pool.name(sheet.path), sheet.header
    data = pool.read(sheet.path, 0, sheet.size_bytes)
    if header.format == "JPEG" and not is_complete_jpeg(data):
        raise CorruptSource(f"{name} is cut short: the picture ends before its end mark.")
    try:
        picture = np.asarray(_DECODERS[header.format](data))
    except ConversionError:
        raise
    except MemoryError as error:
        raise ResourceLimit(f"{name} does not fit into memory.") from error
    except Exception as error:  # each codec of imagecodecs has its own class of errors
        raise CorruptSource(f"{name} cannot be decoded: {first_line(error)}.") from error
    if picture.ndim == 2:
        picture = picture[..., np.newaxis]
    if header.is_gray_palette:
        picture = picture[..., :1]
    expected = (header.height, header.width, header.samples)
    if picture.shape != expected or picture.dtype != header.dtype:
        raise CorruptSource(
            f"{name} is damaged: it decodes to {picture.shape} {picture.dtype}, and its header "
            f"says {expected} {header.dtype}."
        )
    return picture


def upright(picture: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view of `picture` as EXIF's `orientation` wants it to be seen (EXIF 2.32, tag 274)."""
    if orientation in _TURNED:
        picture = picture.swapaxes(0, 1)
    vertical = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    horizontal = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return picture[vertical, horizontal]


def first_line(error: BaseException) -> str:
    """What a library says, in one line without its last stop."""
    text = str(error).strip().splitlines()
    return text[0][:200].rstrip(".") if text else type(error).__name__
