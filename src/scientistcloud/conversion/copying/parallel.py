"""One plan in several processes, on one machine or many: tasks that share no file.

A task owns a box so large that every block file which the first stages write within it belongs to
it alone. It runs these stages there, and puts what they carry on into a file that all tasks share,
the *remainder* (at most a seventh of a volume). When all tasks are done, the coordinator runs the
other stages on the remainder. Any `concurrent.futures.Executor` will do whose processes see the
same files.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from scientistcloud.conversion.copying.copy import Copy
from scientistcloud.conversion.copying.pipeline import Pipeline
from scientistcloud.conversion.copying.spill import contiguous_runs, read_all
from scientistcloud.conversion.planning.field_plan import FieldPlan
from scientistcloud.conversion.planning.plan import DatasetPlan
from scientistcloud.errors import Stopped
from scientistcloud.grid import Box, Shape, ceil_div, tile
from scientistcloud.idx.files.storage import write_all, writing
from scientistcloud.idx.geometry.bitmask import powers
from scientistcloud.idx.writer import IdxWriter, Part
from scientistcloud.readers.base import FieldSpec, Source

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Task:
    """What one process does: the first `stages` of every field's cascade, within `box`."""

    timestep: int
    box: Box
    stages: int


@dataclass(frozen=True, slots=True)
class Job:
    """What every process needs to know; it can be pickled.

    Attributes
    ----------
    open_source : callable
        Opens the source anew, in whatever process it is called.
    blocks_folder, template_base : Path, str
        As `IdxWriter` has them.
    scratch : Path
        A folder that all processes see.
    """

    open_source: Callable[[], Source]
    plan: DatasetPlan
    header_path: Path
    blocks_folder: Path
    template_base: str
    scratch: Path

    def writer(self, *, join: bool) -> IdxWriter:
        return IdxWriter(
            self.plan.layout, self.header_path, self.blocks_folder, self.template_base, join=join
        )


def partition(plan: DatasetPlan, wanted: int) -> tuple[Task, ...]:
    """Tasks that share no file: timesteps, or boxes where there are fewer than `wanted` of them.

    Boxes need fields that go through the same stages and are not read through scratch files, and
    more block files than one; otherwise there may be fewer tasks than wanted.
    """
    whole = Box.of_shape(plan.spec.shape)
    every = max(len(f.bricks.cascade.stages) for f in plan.fields)
    timesteps = range(plan.spec.timesteps)
    boxes: tuple[Box, ...] = (whole,)
    stages = every
    if len(timesteps) < wanted:
        for count in range(1, _common_stages(plan)):
            candidate = tuple(tile(whole, _owned_box(plan, count)))
            if len(candidate) * len(timesteps) < wanted:
                break
            boxes, stages = candidate, count
    return tuple(Task(t, box, stages) for t in timesteps for box in boxes)


def _common_stages(plan: DatasetPlan) -> int:
    """How many stages all fields have in common; 0 where they cannot be cut into boxes."""
    cuts = {tuple(s.cut for s in f.bricks.cascade.stages) for f in plan.fields}
    if len(cuts) > 1 or any(f.spill_bytes for f in plan.fields):
        return 0
    return len(cuts.pop())


def _owned_box(plan: DatasetPlan, stages: int) -> Shape:
    """The smallest box that owns all files that its first `stages` write.

    A file of ``2 ** k`` blocks of level H covers the splits from ``H - bits_per_block - k`` on,
    where the level has that many blocks; below, it holds blocks of other levels too.
    """
    layout = plan.layout
    bitmask, bits = layout.bitmask, layout.bits_per_block
    coarsest = plan.fields[0].bricks.cascade.stages[stages - 1].next_cut + 1
    per_file = layout.blocks_per_file.bit_length() - 1
    if coarsest < bits + 1 + per_file:
        return bitmask.shape
    extents = [powers(bitmask.counts(coarsest - bits - per_file, bitmask.length))]
    extents += [f.bricks.cascade.stages[stages - 1].brick for f in plan.fields]
    return tuple(map(max, zip(*extents, strict=True)))


def copy_in_processes(
    executor: Executor,
    job: Job,
    writer: IdxWriter,
    *,
    wanted: int,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
) -> None:
    """Copy a dataset by tasks that `executor` runs; `writer` (`Job.writer`) is then finished.

    Parameters
    ----------
    wanted : int
        At least so many tasks, if the dataset can be cut into as many.
    progress, stop : callable
        As for `copy_dataset`; both are looked at between tasks.

    Raises
    ------
    Stopped, ConversionError
        As `copy_dataset`; tasks that have not begun are cancelled, the others waited for.
    """
    tasks = partition(job.plan, wanted)
    pending: set[Future[Part]] = {executor.submit(run_task, job, task) for task in tasks}
    share = job.plan.total_bytes // len(tasks)
    try:
        while pending:
            if stop():
                raise Stopped
            done, pending = wait(pending, _POLL_SECONDS, FIRST_COMPLETED)
            for future in done:
                writer.add_part(future.result())
                progress(share)
    except BaseException:
        for future in pending:
            future.cancel()
        wait(pending)
        raise
    progress(job.plan.total_bytes - share * len(tasks))
    _copy_remainders(job, tasks[0].stages, writer, stop)


def run_task(job: Job, task: Task) -> Part:
    """One task, in whatever process this is called; one thread, and memory as in the plan."""
    with (
        job.open_source() as source,
        job.writer(join=True) as writer,
        Pipeline(1, 1, lambda _: None, lambda: False) as pipeline,
    ):
        takes = _Remainders(job.scratch, task.stages)
        copy = Copy(source, job.plan, writer, pipeline, job.scratch, takes)
        for field in job.plan.fields:
            if task.stages >= len(field.bricks.cascade.stages):
                copy.copy_field(field, task.timestep)
            else:
                first, _ = field.bricks.split(task.stages)
                copy.walk(source, replace(field, bricks=first), task.timestep, task.box)
        return writer.finish_part()


def _copy_remainders(job: Job, stages: int, writer: IdxWriter, stop: Callable[[], bool]) -> None:
    """The stages that no task ran."""
    plan = job.plan
    remainders = _Remainders(job.scratch, 0)
    with job.open_source() as source, Pipeline(1, 1, lambda _: None, stop) as pipeline:
        copy = Copy(source, plan, writer, pipeline, job.scratch)
        for timestep in range(plan.spec.timesteps):
            for field in plan.fields:
                if stages < len(field.bricks.cascade.stages):
                    rest = replace(field, bricks=field.bricks.split(stages)[1])
                    copy.walk(remainders.reader(rest), rest, timestep)
                    remainders.path(rest, timestep).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Remainders:
    """Files with what the first stages carry on: raw arrays, one a field and timestep."""

    folder: Path
    stages: int

    def path(self, plan: FieldPlan, timestep: int) -> Path:
        return self.folder / f"remainder-{timestep}-{plan.index}"

    def take(self, plan: FieldPlan, timestep: int, cell: Box, samples: NDArray[Any]) -> None:
        """Put the carried samples of a cell where they belong."""
        stage = plan.bricks.cascade.stages[-1]
        shape = _strided(plan.bricks.cascade.shape, stage.carry_stride)
        data = samples.copy(order="C").data.cast("B")
        with writing():
            fd = os.open(self.path(plan, timestep), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                for position, start, size in _runs(shape, cell, stage.carry_stride, plan.field):
                    write_all(fd, data[start : start + size], position)
            finally:
                os.close(fd)

    def reader(self, plan: FieldPlan) -> _RemainderReader:
        return _RemainderReader(self, plan)


@dataclass(frozen=True, slots=True)
class _RemainderReader:
    """Reads what all tasks put into the remainder of a field."""

    remainders: _Remainders
    plan: FieldPlan

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        stride = self.plan.bricks.cascade.stages[0].stride
        shape = _strided(self.plan.bricks.cascade.shape, stride)
        data = out.data.cast("B")
        with writing():
            fd = os.open(self.remainders.path(self.plan, timestep), os.O_RDONLY | os.O_CLOEXEC)
            try:
                for position, start, size in _runs(shape, box, stride, field):
                    read_all(fd, data[start : start + size], position)
            finally:
                os.close(fd)


def _strided(shape: Shape, stride: Shape) -> Shape:
    return tuple(ceil_div(n, s) for n, s in zip(shape, stride, strict=True))


def _runs(
    shape: Shape, box: Box, stride: Shape, field: FieldSpec
) -> Iterator[tuple[int, int, int]]:
    """The runs of the strided samples of `box` (of the full grid) in an array of `shape`."""
    lo = tuple(a // s for a, s in zip(box.lo, stride, strict=True))
    where = Box(lo, _strided(box.hi, stride))
    assert math.prod(where.shape) > 0
    return contiguous_runs(shape, where, field.sample_bytes)
