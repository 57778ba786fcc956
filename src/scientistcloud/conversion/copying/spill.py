"""A field decoded once into a scratch file, for sources whose chunks do not fit the bricks."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from scientistcloud.conversion.copying.pipeline import Pipeline
from scientistcloud.conversion.planning.field_plan import FieldPlan
from scientistcloud.grid import Box, Shape, ceil_div, tile
from scientistcloud.idx.files.storage import write_all, writing
from scientistcloud.readers.base import FieldSpec, Source


class Spill:
    """A scratch file that holds one field at one timestep, raw and row-major.

    Parameters
    ----------
    folder : Path
        For a file without a name in the file system, of which nothing stays behind.
    path : Path, optional
        Of a file that is to outlive a killed process, which may be there already; it is removed
        when all went well.
    """

    def __init__(
        self, folder: Path, shape: Shape, field: FieldSpec, path: Path | None = None
    ) -> None:
        self._shape = shape
        self._field = field
        self._path = path
        with writing():
            if path is None:
                self._fd, name = tempfile.mkstemp(prefix="spill-", dir=folder)
                Path(name).unlink()
            else:
                self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def fill(
        self, source: Source, plan: FieldPlan, timestep: int, pipeline: Pipeline, first: int = 0
    ) -> Iterator[int]:
        """Decode every chunk once, from piece `first` on; all is in the file at the end.

        Yields
        ------
        int
            Before each piece, how many came before it.
        """
        for number, box in enumerate(itertools.islice(self._boxes(plan), first, None), first):
            yield number
            pipeline.submit_read(self._copy_piece, source, timestep, box, pipeline)
        pipeline.wait_idle()

    def pieces(self, plan: FieldPlan) -> int:
        """In how many pieces the field is filled in."""
        return sum(1 for _ in self._boxes(plan))

    def _boxes(self, plan: FieldPlan) -> Iterator[Box]:
        chunks = tuple(map(min, plan.field.chunks, self._shape))
        step = _group(chunks, self._shape, plan.field.sample_bytes, plan.group_bytes)
        return tile(Box.of_shape(self._shape), step)

    def sync(self) -> None:
        """Bring what was filled in to stable storage."""
        with writing():
            os.fsync(self._fd)

    def _copy_piece(self, source: Source, timestep: int, box: Box, pipeline: Pipeline) -> None:
        pipeline.check()
        out = np.empty(self._array_shape(box), self._field.dtype)
        source.read(self._field, timestep, box, out)
        data = out.data.cast("B")
        with writing():
            for position, run, size in self._runs(box):
                write_all(self._fd, data[run : run + size], position)
        # The other half is done when the samples are written.
        pipeline.add_done(box.size * (self._field.sample_bytes // 2))

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        """As `Source.read`."""
        data = out.data.cast("B")
        with writing():
            for position, run, size in self._runs(box):
                read_all(self._fd, data[run : run + size], position)

    def _array_shape(self, box: Box) -> Shape:
        return box.shape if self._field.components == 1 else (*box.shape, self._field.components)

    def _runs(self, box: Box) -> Iterator[tuple[int, int, int]]:
        """Contiguous runs of `box`: position in the file, position in the box, bytes."""
        return contiguous_runs(self._shape, box, self._field.sample_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)
        if self._path is not None and error is None:
            self._path.unlink(missing_ok=True)


def contiguous_runs(shape: Shape, box: Box, sample_bytes: int) -> Iterator[tuple[int, int, int]]:
    """Where the samples of `box` lie in a row-major array of `shape`, in as few runs as possible.

    Yields
    ------
    position, start, size : int
        Bytes: in the array of `shape`, in the array of the box, of the run.
    """
    axis = len(shape) - 1
    while axis > 0 and box.shape[axis] == shape[axis]:
        axis -= 1
    strides = [math.prod(shape[a + 1 :]) * sample_bytes for a in range(len(shape))]
    size = math.prod(box.shape[axis:]) * sample_bytes
    start = 0
    first = box.lo[axis] * strides[axis]
    for corner in itertools.product(*map(range, box.lo[:axis], box.hi[:axis])):
        yield first + sum(c * s for c, s in zip(corner, strides, strict=False)), start, size
        start += size


def _group(chunks: Shape, shape: Shape, sample_bytes: int, group_bytes: int) -> Shape:
    """Whole chunks, several along the fastest axes, up to `group_bytes`; at least one."""
    step = list(chunks)
    for axis in reversed(range(len(step))):
        room = max(1, group_bytes // (math.prod(step) * sample_bytes))
        step[axis] = chunks[axis] * min(room, ceil_div(shape[axis], chunks[axis]))
        if step[axis] < shape[axis]:
            break
    return tuple(step)


def read_all(fd: int, out: memoryview, position: int) -> None:
    """Fill `out` with the bytes from `position` of a scratch file."""
    while out:
        count = os.preadv(fd, [out], position)
        if count == 0:
            raise OSError("a scratch file is shorter than what was written to it")
        out, position = out[count:], position + count
