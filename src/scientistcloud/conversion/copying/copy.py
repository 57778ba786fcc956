"""The copy loop: bricks are read, cut into blocks, and what is left is carried to larger bricks.

The calling thread walks the bricks in the order of the plan and takes the buffers for each before
any task needs them, so that no task ever waits for another. Reads and cells are tasks; the last
read of a brick starts its cells, the last cell of a brick frees its buffer, and the last brick of
a larger one starts the cells of that.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from scientistcloud.conversion.copying.brick_buffers import Brick, Buffers
from scientistcloud.conversion.copying.pipeline import Pipeline
from scientistcloud.conversion.copying.spill import Spill
from scientistcloud.conversion.copying.timesteps import copy_timesteps, suits
from scientistcloud.conversion.planning.bricks import pieces
from scientistcloud.conversion.planning.field_plan import FieldPlan
from scientistcloud.conversion.planning.plan import DatasetPlan
from scientistcloud.conversion.resuming.checkpoint import CopyState
from scientistcloud.conversion.resuming.keeper import CheckpointKeeper, NoKeeper
from scientistcloud.grid import Box, Shape
from scientistcloud.idx.geometry.gather import gather
from scientistcloud.idx.writer import IdxWriter
from scientistcloud.readers.base import Concurrency, FieldSpec, Source

_START = CopyState()

SMALL_BYTES = 1 << 20
"""Below this, threads cost more than they bring."""


class Reads(Protocol):
    """Where the samples of a field come from; boxes are those of the full grid."""

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None: ...


class Takes(Protocol):
    """Where the samples go that the last stage of a part of a cascade carries on."""

    def take(self, plan: FieldPlan, timestep: int, cell: Box, samples: NDArray[Any]) -> None: ...


def copy_dataset(
    source: Source,
    plan: DatasetPlan,
    writer: IdxWriter,
    *,
    scratch: Path,
    threads: int,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
    keeper: CheckpointKeeper | None = None,
) -> None:
    """Copy all samples of a dataset from `source` to `writer` (which the caller finishes).

    Parameters
    ----------
    source : Source
        Open; read in one thread at a time unless it allows more.
    scratch : Path
        A folder for scratch files, which leave nothing behind; used where the plan says so.
    threads : int
        At least 1.
    progress : callable
        Called in the caller's thread with the bytes newly done.
    stop : callable
        Asked at least once for every block, from any thread.
    keeper : CheckpointKeeper, optional
        Where it says so, the loop goes on from a checkpoint; what came before is in `writer`.

    Raises
    ------
    Stopped
        `stop` returned true.
    ConversionError
        From the source or the writer, the first one.
    """
    if suits(plan, keeper):
        copy_timesteps(source, plan, writer, progress=progress, stop=stop, keeper=keeper)
        return
    threads = 1 if plan.total_bytes <= SMALL_BYTES else min(threads, plan.threads)
    readers = min(f.readers for f in plan.fields)
    if source.concurrency is Concurrency.SERIAL:
        readers = 1
    with Pipeline(threads, readers, progress, stop) as pipeline:
        copy = Copy(source, plan, writer, pipeline, scratch, keeper=keeper)
        for at in copy.positions(len(plan.fields), plan.spec.timesteps):
            copy.copy_field(plan.fields[at.field], at.timestep, at)
            if not plan.shares_buffers:
                copy.drop_buffers()
        pipeline.wait_idle()


class Copy:
    """One run of the loop.

    Parameters
    ----------
    takes : Takes, optional
        Needed where the cascades end before the stage that makes block 0.
    """

    def __init__(
        self,
        source: Source,
        plan: DatasetPlan,
        writer: IdxWriter,
        pipeline: Pipeline,
        scratch: Path,
        takes: Takes | None = None,
        keeper: CheckpointKeeper | None = None,
    ) -> None:
        self._takes = takes
        self._keeper: CheckpointKeeper = keeper or NoKeeper()
        self._needs_spill = False
        self._source = source
        self._shape: Shape = plan.spec.shape
        self._writer = writer
        self._pipeline = pipeline
        self._scratch = scratch
        self._buffers = Buffers()

    def positions(self, fields: int, timesteps: int) -> Iterator[CopyState]:
        """Where each field of each timestep begins, from where the loop is to go on."""
        start = self._keeper.start
        for timestep in range(start.timestep, timesteps):
            for field_index in range(start.field if timestep == start.timestep else 0, fields):
                if (timestep, field_index) == (start.timestep, start.field):
                    yield start
                else:
                    yield CopyState(timestep, field_index)

    def copy_field(self, plan: FieldPlan, timestep: int, at: CopyState | None = None) -> None:
        """Start all that one field at one timestep needs; its last tasks may still be running."""
        at = at or CopyState(timestep)
        if not plan.spill_bytes:
            self.walk(self._source, plan, timestep, at=at)
            return
        path = self._keeper.spill_path(at)
        with Spill(self._scratch, self._shape, plan.field, path) as spill:
            self._needs_spill = at.filled > 0
            for done in spill.fill(self._source, plan, timestep, self._pipeline, at.filled):
                if self._keeper.is_due():
                    self._keep(spill, replace(at, filled=done), [])
            filled = replace(at, filled=spill.pieces(plan))
            self.walk(spill, plan, timestep, at=filled)
            self._pipeline.wait_idle()
            if self._needs_spill:
                # The last checkpoint does; one that does not comes before the file goes.
                self._keeper.keep(CopyState(timestep, at.field + 1), ())

    def drop_buffers(self) -> None:
        """Wait until no buffer is in use, and give up all."""
        self._pipeline.wait_idle()
        self._buffers = Buffers()

    def walk(
        self,
        source: Reads,
        plan: FieldPlan,
        timestep: int,
        within: Box | None = None,
        at: CopyState = _START,
    ) -> None:
        """Start all bricks of `within` (or all there are) from `at` on, read from `source`."""
        cascade = plan.bricks.cascade
        current: list[Brick | None] = [None] * (len(cascade.stages) + 1)
        bricks = itertools.islice(cascade.bricks(within), at.bricks, None)
        for number, boxes in enumerate(bricks, at.bricks):
            self._pipeline.report()
            if number == at.bricks:
                self._restore(plan, timestep, at, boxes, current)
            elif self._keeper.is_due():
                self._keep(source, replace(at, bricks=number), current)
            for i in reversed(range(len(boxes))):
                brick = current[i]
                if brick is None or brick.box != boxes[i]:
                    current[i] = self._take(plan, timestep, i, boxes[i], current[i + 1])
            first = current[0]
            assert first is not None
            self._read(source, first)

    def _restore(
        self,
        plan: FieldPlan,
        timestep: int,
        at: CopyState,
        boxes: tuple[Box, ...],
        current: list[Brick | None],
    ) -> None:
        """Fill the bricks that were being filled with what they held."""
        for index, held in enumerate(at.held):
            i = held.stage
            brick = current[i] = self._take(plan, timestep, i, boxes[i], current[i + 1])
            brick.pending = held.pending
            self._keeper.restore(index, brick.samples.data.cast("B"))

    def _keep(self, source: Reads, at: CopyState, current: Sequence[Brick | None]) -> None:
        """Keep a checkpoint between two bricks of the first stage, or two pieces."""
        self._pipeline.wait_idle()
        if isinstance(source, Spill):
            source.sync()
            self._needs_spill = True
        held = [
            (brick.index, brick.pending, brick.samples.data.cast("B"))
            for brick in reversed(current[1:])
            if brick is not None and brick.pending
        ]
        self._keeper.keep(at, held)

    def _take(
        self, plan: FieldPlan, timestep: int, index: int, box: Box, parent: Brick | None
    ) -> Brick:
        copies = plan.bricks.copies[index]
        used = self._buffers.used
        self._pipeline.wait_for(lambda: used.get(index, 0) < copies)
        with self._pipeline.changing:
            buffer = self._buffers.take(index, plan.bricks.stage_bytes[index])
        brick = Brick(plan, timestep, index, box, buffer, parent)
        brick.pending = plan.bricks.cascade.children(index, box) if index else 0
        return brick

    def _read(self, source: Reads, brick: Brick) -> None:
        spec = brick.plan.field
        # Other sources than the dataset's own are raw; a sample of theirs is a stride wide.
        chunks = spec.chunks if source is self._source else brick.stage.stride
        boxes = list(pieces(brick.box, chunks, spec.sample_bytes))
        brick.pending = len(boxes)
        for box in boxes:
            self._pipeline.submit_read(self._read_piece, source, brick, box)

    def _read_piece(self, source: Reads, brick: Brick, box: Box) -> None:
        self._pipeline.check()
        out = brick.samples[brick.stage.within(box, brick.box)]
        source.read(brick.plan.field, brick.timestep, box, out)
        if self._arrived(brick):
            self._cut(brick)

    def _arrived(self, brick: Brick) -> bool:
        """Count one thing that `brick` waited for; whether it was the last."""
        with self._pipeline.changing:
            brick.pending -= 1
            return brick.pending == 0

    def _cut(self, brick: Brick) -> None:
        """All samples of `brick` are there: start its cells."""
        cells = list(brick.stage.cells(brick.box))
        brick.pending = len(cells)
        for cell in cells:
            self._pipeline.submit(self._write_cell, brick, cell)

    def _write_cell(self, brick: Brick, cell: Box) -> None:
        stage, plan, parent = brick.stage, brick.plan, brick.parent
        samples = brick.samples[stage.within(cell, brick.box)]
        for number, level, slices in stage.blocks(cell):
            self._pipeline.check()
            self._writer.write_block(
                brick.timestep, plan.index, number, level.nsamples, samples[slices]
            )
        if parent is not None:
            carried = parent.samples[parent.stage.within(cell, parent.box)]
            gather(carried, samples[stage.carried()])
        elif self._takes is not None:
            self._takes.take(plan, brick.timestep, cell, samples[stage.carried()])
        if stage.cut == stage.layout.bitmask.length:
            size = plan.field.sample_bytes
            # What went through a scratch file was half done when it was there.
            self._pipeline.add_done(cell.size * (size - size // 2 if plan.spill_bytes else size))
        if self._arrived(brick):
            with self._pipeline.changing:
                self._buffers.give_back(brick.index, brick.buffer)
                self._pipeline.changing.notify_all()
            if parent is not None and self._arrived(parent):
                self._cut(parent)
