"""What tifffile makes of a page: how it is stored, and how its samples are shown."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from tifffile.tifffile import TIFF

from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    UnsupportedDtype,
    UnsupportedLayout,
)
from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.planes.likeness import ImageKind
from scientistcloud.readers.tiff import color
from scientistcloud.readers.tiff.color import subsampled_decoder
from scientistcloud.readers.tiff.pages import PageFormat
from scientistcloud.readers.tiff.palette import indexed_color

_JPEG_LIKE = frozenset({6, 7, 34892, 33007})
_ALPHA = (1, 2)
_LOG = logging.getLogger("tifffile")
_LOG.propagate = False
_LOG.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Keyframe:
    """How pages of one kind are stored and shown.

    Attributes
    ----------
    color : Color
        What the samples of a pixel become.
    bands : int
        1 where the samples of a pixel are one value or one colour; else their number, each of
        which is a field of its own.
    has_alpha : bool
        Whether an extra sample is said to be opacity.
    """

    format: PageFormat
    color: color.Color
    bands: int
    photometric: int
    notes: tuple[str, ...] = ()
    has_alpha: bool = False

    def band_name(self, band: int) -> str:
        """What to call a sample that is a field of its own; empty for the main one."""
        if self.bands == 2 and self.has_alpha:
            return "alpha" if band else ""
        return f"band {band + 1}" if self.bands > 1 else ""

    @property
    def kind(self) -> ImageKind:
        """What all slices of a volume must have in common."""
        shape = self.format.shape[1:4]
        return ImageKind(shape, self.color.dtype, self.color.components, self.bands)


@contextmanager
def tifffile_open(pool: FilePool, path: Path) -> Iterator[tifffile.TiffFile]:
    """The file as tifffile sees it, cut off from all other files.

    Raises
    ------
    CorruptSource
        tifffile cannot make sense of it.
    """
    with pool.use(path) as (fd, _), os.fdopen(os.dup(fd), "rb") as stream:
        stream.seek(0)
        with translated(pool, path):
            tif = tifffile.TiffFile(
                stream, name=path.name, _multifile=False,
                is_ome=False, is_mmstack=False, is_ndtiff=False,
            )  # fmt: skip
        try:
            yield tif
        finally:
            tif.close()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings of NumPy's over odd values in tags."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def translated(pool: FilePool, path: Path) -> Iterator[None]:
    """Turn whatever tifffile raises over a damaged file into CorruptSource."""
    try:
        with quiet():
            yield
    except ConversionError:
        raise
    except Exception as error:  # damaged structures fail in every possible way
        text = str(error).strip().splitlines()
        what = text[0][:200].rstrip(".") if text else type(error).__name__
        raise CorruptSource(f"{pool.name(path)} is damaged: {what}.") from error


def read_keyframe(
    pool: FilePool, path: Path, page: tifffile.TiffPage, *, samples: str = ""
) -> Keyframe:
    """Understand one page.

    Parameters
    ----------
    samples : str
        The parameter of that name: ``components`` for samples that are no colour, as those of one
        field all the same; ``indices`` or ``colours`` for palettes.

    Raises
    ------
    UnsupportedDtype, UnsupportedLayout, CorruptSource
    """
    name = pool.name(path)
    with translated(pool, path):
        _check_page(name, page)
        layout = _page_format(page)
        shown, bands, notes = _page_color(page, layout.dtype, samples)
        has_alpha = any(int(sample) in _ALPHA for sample in page.extrasamples)
    return Keyframe(layout, shown, bands, int(page.photometric), notes, has_alpha)


def _check_page(name: str, page: tifffile.TiffPage) -> None:
    if page.dtype is None:
        raise UnsupportedDtype(
            f"{name} has samples of {page.bitspersample} bits in a form (SampleFormat "
            f"{int(page.sampleformat)}) that has no number type."
        )
    if page.dtype.kind == "c" or int(page.sampleformat) in (5, 6):
        raise UnsupportedDtype(
            f"{name} holds complex numbers, which viewers cannot show.",
            remedy="Export magnitude and phase (or real and imaginary part) as two images.",
        )
    if 0 in page.shaped or min(page.shaped) < 0:
        raise CorruptSource(f"{name} is damaged: a page of it has no pixels.")
    compression = int(page.compression)
    if compression != 1 and compression not in TIFF.DECOMPRESSORS:
        raise UnsupportedLayout(
            f"{name} is compressed with method {compression}, which cannot be decoded.",
            remedy="Save it again without compression, or with LZW or Deflate.",
        )


def _is_subsampled(page: tifffile.TiffPage) -> bool:
    """Whether colours are coarser than brightness in a way that no codec takes care of."""
    return bool(page.is_subsampled and int(page.compression) not in _JPEG_LIKE)


def _page_format(page: tifffile.TiffPage) -> PageFormat:
    rows, columns = page.shaped[2:4]
    is_tiled = bool(page.is_tiled)
    if is_tiled:
        segment = (int(page.tiledepth), int(page.tilelength), int(page.tilewidth))
    else:
        segment = (1, int(page.rowsperstrip) or int(rows), int(columns))
    if min(segment) <= 0:
        raise ValueError("its strips or tiles have no size")
    assert page.dtype is not None  # checked before
    is_plain = (
        not is_tiled
        and int(page.compression) == 1
        and int(page.predictor) == 1
        and int(page.fillorder) == 1
        and not _is_subsampled(page)
        and page.bitspersample == page.dtype.itemsize * 8
        and page.dtype.kind != "b"
    )
    native = np.dtype(page._dtype).newbyteorder("=")
    if not _is_subsampled(page):
        page.init_decode()
    return PageFormat(
        shape=tuple(int(n) for n in page.shaped),  # type: ignore[arg-type]
        dtype=native,
        stored=native.newbyteorder(page.parent.byteorder) if is_plain else None,
        segment=segment,
        is_tiled=is_tiled,
        compression=int(page.compression),
        decode=subsampled_decoder(page) if _is_subsampled(page) else page.decode,
        jpeg_header=page.jpegheader,
        fill=page.nodata,
    )


def _page_color(
    page: tifffile.TiffPage, dtype: np.dtype[Any], wanted: str
) -> tuple[color.Color, int, tuple[str, ...]]:
    photometric, samples = int(page.photometric), int(page.shaped[0] * page.shaped[4])
    is_jpeg = int(page.compression) in _JPEG_LIKE
    shown: color.Color | None = None
    if photometric == color.PALETTE and samples == 1 and page.colormap is not None:
        shown = indexed_color(page, dtype, wanted)
    elif photometric == color.SEPARATED and _is_cmyk(page, samples, dtype):
        shown = color.cmyk_color(dtype, samples)
    elif photometric == color.YCBCR and samples == 3 and not is_jpeg and dtype.kind == "u":
        shown = color.ycbcr_color(dtype, _rationals(page, 529, 3) or (0.299, 0.587, 0.114),
                                  _rationals(page, 532, 6))  # fmt: skip
    elif photometric in (color.CIE_LAB, color.ICC_LAB) and samples == 3 and dtype.kind == "u":
        shown = color.lab_color(dtype, photometric == color.ICC_LAB)
    if shown is not None:
        return shown, 1, (shown.note,)
    is_color = photometric in (color.RGB, color.YCBCR) and samples in (3, 4)
    notes = _gray_notes(photometric)
    if samples == 1 or is_color or wanted == "components":
        return color.plain_color(dtype, samples), 1, notes
    return color.plain_color(dtype, 1), samples, notes


def _gray_notes(photometric: int) -> tuple[str, ...]:
    if photometric == color.WHITE_IS_ZERO:
        return ("The TIFF says that 0 is white; the values are kept as they are.",)
    if photometric == 32803:
        return ("The pixels are those of a colour filter array (Bayer), not demosaiced.",)
    return ()


def _is_cmyk(page: tifffile.TiffPage, samples: int, dtype: np.dtype[Any]) -> bool:
    """Whether the inks are those of CMYK, in numbers whose full range is known."""
    return bool(page.tags.valueof(332, 1) == 1 and samples in (4, 5) and dtype.kind in "uf")


def _rationals(page: tifffile.TiffPage, code: int, count: int) -> tuple[float, ...]:
    value = page.tags.valueof(code)
    if value is None or len(value) != 2 * count:
        return ()
    pairs = zip(value[::2], value[1::2], strict=True)
    return tuple(float(a) / float(b) if b else 0.0 for a, b in pairs)
