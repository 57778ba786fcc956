"""Samples of one bit: frames follow each other without a gap, wherever a byte ends.

Source: DICOM PS3.5, 8.1.1 and annex D; the first sample is the lowest bit of the first byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box
from scientistcloud.readers.files.open_files import FilePool


@dataclass(frozen=True, slots=True)
class BitPlane:
    """One frame of bits, which become 0 and 1 of uint8.

    Attributes
    ----------
    offset : int
        Of the first frame, in bytes.
    first : int
        Bits of the frames before.
    """

    path: Path
    offset: int
    first: int
    rows: int
    columns: int

    dtype = np.dtype("u1")

    def check(self, pool: FilePool) -> None:
        """That the file is long enough was seen when it was read."""

    def read(self, pool: FilePool, timestep: int, box: Box, out: NDArray[Any]) -> None:
        """Fill `out` with the samples of `box` (rows, columns)."""
        begin = self.first + box.lo[0] * self.columns
        count = box.shape[0] * self.columns
        end = begin + count
        data = pool.read(self.path, self.offset + begin // 8, -(-end // 8) - begin // 8)
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        rows = bits[begin % 8 : begin % 8 + count].reshape(box.shape[0], self.columns)
        out[...] = rows[:, box.lo[1] : box.hi[1]]
