"""The frames of a DICOM series: read by position where they are raw, else decoded one by one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from scientistcloud.errors import ConversionError, CorruptSource, MissingLibrary, UnsupportedLayout
from scientistcloud.grid import Box
from scientistcloud.readers.arrays.raw_array import RawArray
from scientistcloud.readers.dicom.bits import BitPlane
from scientistcloud.readers.dicom.file import DicomFile, Frame
from scientistcloud.readers.dicom.pixels import PixelFormat
from scientistcloud.readers.files.archive_names import shown
from scientistcloud.readers.files.open_files import FilePool

CACHED_FRAMES = 2


def frame_reader(file: DicomFile, frame: Frame) -> RawArray | BitPlane | None:
    """Where a raw frame lies; None for one that has to be decoded."""
    pixels = file.pixels
    if not pixels.is_raw:
        return None
    if pixels.is_bits:
        before = frame.index * pixels.rows * pixels.columns
        return BitPlane(frame.path, frame.offset, before, pixels.rows, pixels.columns)
    size = pixels.stored.itemsize
    step = size if pixels.is_planar else size * pixels.samples
    row, column = frame.corner
    return RawArray(
        frame.path,
        frame.offset + (row * pixels.width + column) * step,
        pixels.stored,
        (pixels.rows, pixels.columns),
        (step * pixels.width, step),
        pixels.samples,
        size * pixels.height * pixels.width if pixels.is_planar else size,
    )


class FrameDecoder:
    """Decodes the frames of a series with pydicom; keeps the last ones for the next boxes."""

    def __init__(self, file: DicomFile) -> None:
        # The codecs are large: series of raw samples do without.
        from scientistcloud.readers.dicom import codecs as dicom_codecs

        dicom_codecs.register()
        self._plugin = dicom_codecs.plugin_for(file.pixels.syntax)
        self._deflated = file.pixels.syntax == uid.DeflatedExplicitVRLittleEndian
        self._palette = file.palette
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[Path, int], NDArray[Any]] = OrderedDict()
        try:
            decoder = get_decoder(file.pixels.syntax)
        except NotImplementedError as error:
            raise UnsupportedLayout(
                f"{file.frames[0].name} is compressed in a way that is not supported (transfer "
                f"syntax {file.pixels.syntax}).",
                remedy="Export the images without compression.",
            ) from error
        if not decoder.is_available:
            raise MissingLibrary(
                f"{file.frames[0].name} needs a decoder that is not installed "
                f"({'; '.join(decoder.missing_dependencies)})."
            )

    def frame(self, frame: Frame, pixels: PixelFormat) -> NDArray[Any]:
        """The samples of a frame, not rescaled; not to be written to."""
        key = (frame.path, frame.index)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        values = self._decode(frame, pixels)
        with self._lock:
            self._cache[key] = values
            while len(self._cache) > CACHED_FRAMES:
                self._cache.popitem(last=False)
        return values

    def _decode(self, frame: Frame, pixels: PixelFormat) -> NDArray[Any]:
        try:
            values = self._pixels(frame)
            if self._palette is not None:
                values = apply_color_lut(values, self._palette)
        except Exception as error:
            # Decoders raise whatever they like on damaged frames.
            raise _undecodable(frame, error) from error
        expected = (pixels.height, pixels.width)
        if pixels.components > 1:
            expected += (pixels.components,)  # type: ignore[assignment]
        if values.shape != expected:
            raise _undecodable(frame, ValueError(f"it decodes to the shape {values.shape}"))
        return values

    def _pixels(self, frame: Frame) -> NDArray[Any]:
        if self._deflated:
            dataset = dcmread(frame.path)
            return pixel_array(dataset, index=frame.index)
        return pixel_array(frame.path, index=frame.index, decoding_plugin=self._plugin)


def _undecodable(frame: Frame, error: Exception) -> ConversionError:
    reason = shown((str(error).strip() or type(error).__name__).splitlines()[-1], 200)
    return CorruptSource(f"{frame.name}: frame {frame.index + 1} cannot be decoded ({reason}).")


@dataclass(frozen=True)
class Slices:
    """The samples of a series: one frame for each slice of each timestep.

    Attributes
    ----------
    frames : tuple of Frame or None
        None for a slice that is missing, whose samples are all `fill`.
    """

    frames: tuple[Frame | None, ...]
    raw: tuple[RawArray | BitPlane | None, ...]
    depth: int
    pixels: PixelFormat
    scaled: bool
    fill: float
    decoder: FrameDecoder | None = field(compare=False)

    def check(self, pool: FilePool) -> None:
        for array in self.raw:
            if array is not None:
                array.check(pool)

    def read(self, pool: FilePool, timestep: int, box: Box, out: NDArray[Any]) -> None:
        base = timestep * self.depth
        if self.depth == 1:
            self._read_slice(pool, base, box, out)
            return
        plane = Box(box.lo[1:], box.hi[1:])
        for z in range(box.lo[0], box.hi[0]):
            self._read_slice(pool, base + z, plane, out[z - box.lo[0]])

    def _read_slice(self, pool: FilePool, index: int, box: Box, out: NDArray[Any]) -> None:
        array, frame = self.raw[index], self.frames[index]
        if frame is None:
            out[...] = self.fill
            return
        if array is None:
            assert self.decoder is not None
            row, column = frame.corner
            inside = Box(
                (box.lo[0] + row, box.lo[1] + column), (box.hi[0] + row, box.hi[1] + column)
            )
            values = self.decoder.frame(frame, self.pixels)[inside.slices]
        else:
            native = array.dtype.newbyteorder("=")
            if not self.scaled and not self.pixels.unused_bits and out.dtype == native:
                array.read(pool, 0, box, out)
                return
            values = np.empty(out.shape, native)
            array.read(pool, 0, box, values)
            if self.pixels.unused_bits:
                np.left_shift(values, self.pixels.unused_bits, out=values)
                np.right_shift(values, self.pixels.unused_bits, out=values)
        if not self.scaled:
            out[...] = values
            return
        exact = values.astype("f8")
        exact *= frame.scale.slope
        exact += frame.scale.intercept
        out[...] = exact
