"""Images whose tiles are compressed (RICE, GZIP, HCOMPRESS, PLIO): decoded by astropy.

Source: the FITS standard 4.0, chapter 10. astropy is no friend of threads: one tile at a time.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource, UnsupportedDtype
from scientistcloud.grid import Box, Shape
from scientistcloud.readers.arrays.axis_roles import pieces
from scientistcloud.readers.arrays.raw_array import SPAN_BYTES
from scientistcloud.readers.files.libraries import load_library
from scientistcloud.readers.files.listing import open_regular
from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.fits.header import Unit

_MOST_TILE_SAMPLES = 1 << 28


@dataclass(frozen=True, slots=True)
class TiledImage:
    """One image of compressed tiles: a `BoxReader`.

    Attributes
    ----------
    section : object
        What astropy gives samples by; indexed with one slice an axis.
    stored : Shape
        All axes of the image, slowest first; the grid are those at `grid`, and `time` is run
        through by the timesteps.
    chunks : Shape
        Tiles, of the axes of the grid.
    """

    name: str
    section: Any
    stored: Shape
    grid: tuple[int, ...]
    time: tuple[int, ...]
    chunks: Shape
    dtype: np.dtype[Any]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, pool: FilePool) -> None:
        """The table of tiles was checked when it was opened."""

    def read(self, pool: FilePool, timestep: int, box: Box, out: NDArray[Any]) -> None:
        index: list[slice] = [slice(0, 1)] * len(self.stored)
        if self.time:
            steps = np.unravel_index(timestep, [self.stored[a] for a in self.time])
            for axis, step in zip(self.time, steps, strict=True):
                index[axis] = slice(int(step), int(step) + 1)
        for part in pieces(box, self.chunks, 8, SPAN_BYTES):
            for axis, where in zip(self.grid, part.slices, strict=True):
                index[axis] = where
            values = self._decode(tuple(index))
            if values.size != part.size:
                raise CorruptSource(f"{self.name} has tiles of another size than it says.")
            out[part.relative_to(box.lo).slices] = values.reshape(part.shape)

    def _decode(self, index: tuple[slice, ...]) -> NDArray[Any]:
        try:
            with self.lock, warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return np.asarray(self.section[index])
        except MemoryError:
            raise
        except Exception as error:  # whatever astropy stumbles over
            raise CorruptSource(f"{self.name} has a compressed tile that cannot be decoded.") from (
                error
            )


def open_tiled(path: Path, unit: Unit, pool: FilePool) -> tuple[Any, np.dtype[Any], Shape, Shape]:
    """astropy's view of the image: its section, type, lengths and tiles (slowest axis first).

    Raises
    ------
    MissingLibrary
        astropy is not installed.
    CorruptSource
        astropy cannot make sense of the header.
    """
    fits = load_library("astropy.io.fits", "synchrotron", "FITS with compressed tiles")
    name = pool.name(path)
    file = os.fdopen(open_regular(path), "rb")
    pool.adopt(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = fits.open(file, memmap=False, lazy_load_hdus=True)
            image = opened[unit.number]
            lengths = tuple(int(n) for n in image.shape)
            tiles = tuple(int(n) for n in image.tile_shape)
            if len(tiles) != len(lengths) or min((*lengths, *tiles), default=0) < 1:
                raise ValueError("lengths")
            _check_size(path, unit, lengths, tiles, pool)
            sample = np.asarray(image.section[tuple(slice(0, 1) for _ in lengths)])
    except CorruptSource:
        raise
    except MemoryError:
        raise
    except Exception as error:  # whatever astropy stumbles over
        raise CorruptSource(f"{name} has compressed tiles that cannot be read.") from error
    if sample.dtype.kind not in "iuf" or sample.dtype.itemsize > 8:
        raise UnsupportedDtype(f"{name} holds samples of the type {sample.dtype}.")
    return image.section, sample.dtype.newbyteorder("="), lengths, tiles


def _check_size(path: Path, unit: Unit, lengths: Shape, tiles: Shape, pool: FilePool) -> None:
    """A row of the table for each tile, all inside the file, no tile beyond reason."""
    name = pool.name(path)
    count = math.prod(-(-n // t) for n, t in zip(lengths, tiles, strict=True))
    rows = unit.lengths[1] if len(unit.lengths) == 2 else 0
    if count != rows:
        raise CorruptSource(f"{name} has {rows:,} compressed tiles, and needs {count:,}.")
    if unit.offset + unit.data_bytes > pool.size(path):
        raise CorruptSource(f"{name} is cut short: a compressed image does not end in it.")
    if math.prod(min(n, t) for n, t in zip(lengths, tiles, strict=True)) > _MOST_TILE_SAMPLES:
        raise CorruptSource(f"{name} describes a compressed tile of more samples than can be held.")
