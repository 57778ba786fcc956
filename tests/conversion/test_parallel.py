"""Tasks in several processes: no file in two of them, and the same dataset in the end."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scientistcloud.conversion.copying.parallel import Job, Task, copy_in_processes, partition
from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.planning import bricks
from scientistcloud.conversion.planning.plan import DatasetPlan, plan_conversion
from scientistcloud.errors import CorruptSource, Stopped
from scientistcloud.grid import Box
from scientistcloud.idx.files import layout
from scientistcloud.idx.geometry.blocks import BlockLayout
from scientistcloud.idx.headers.header import load_header
from scientistcloud.readers.base import Selection, Source
from scientistcloud.readers.volumes.numpy import READER
from tests.conversion.arrays import noise, open_visus, read_visus, same_bits

MB = 1 << 20


def open_numpy(paths: list[Path]) -> Source:
    return READER.open(paths, Selection(paths[0].parent))


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks, bricks and files, so that a small dataset has many."""
    monkeypatch.setattr(layout, "BITS_PER_BLOCK", 9)
    monkeypatch.setattr(layout, "MIN_BLOCKS_PER_FILE", 4)
    monkeypatch.setattr(layout, "FILE_BYTES", 1)
    monkeypatch.setattr(layout, "ARCO_BYTES", 2048)
    monkeypatch.setattr(bricks, "SMALL_BYTES", 0)
    monkeypatch.setattr(bricks, "MODEST_BYTES", 100_000)


def job_of(folder: Path, arrays: list[NDArray[Any]], kind: str = "blocks") -> Job:
    inputs = folder / "in"
    inputs.mkdir()
    paths = [inputs / f"{i}.npy" for i in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        np.save(path, array)
    for name in ("visus", "scratch"):
        (folder / name).mkdir()
    options = ConversionOptions(memory_limit_bytes=256 * MB, threads=1, layout=kind)  # type: ignore[arg-type]
    with open_numpy(paths) as source:
        plan = plan_conversion(source.spec, options, base_bytes=0).datasets[0]
    return Job(
        partial(open_numpy, paths),
        plan,
        folder / "visus.idx",
        folder / "visus",
        "./visus",
        folder / "scratch",
    )


def files_of(plan: DatasetPlan, task: Task) -> set[tuple[int, int]]:
    """The block files that a task writes into: timestep and first block."""
    blocks: BlockLayout = plan.layout.blocks
    first, _ = plan.fields[0].bricks.split(task.stages)
    found = set()
    for boxes in first.cascade.bricks(task.box):
        for stage, box in zip(first.cascade.stages, boxes, strict=True):
            for cell in stage.cells(box):
                for number, level, _ in stage.blocks(cell):
                    assert blocks.level_of(number) == level
                    found.add((task.timestep, number - number % plan.layout.blocks_per_file))
    return found


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("kind", ["blocks", "arco"])
def test_tasks_share_no_file_and_cover_the_grid(tmp_path: Path, kind: str) -> None:
    job = job_of(tmp_path, [noise((100, 120, 130), "u2")], kind)
    tasks = partition(job.plan, 4)
    assert len(tasks) >= 4
    owned = [files_of(job.plan, task) for task in tasks]
    for i, files in enumerate(owned):
        assert files
        for others in owned[i + 1 :]:
            assert not files & others
    seen = np.zeros(job.plan.spec.shape, int)
    for task in tasks:
        seen[task.box.slices] += 1
    assert (seen == 1).all()


def test_timesteps_are_tasks_where_there_are_enough(tmp_path: Path) -> None:
    job = job_of(tmp_path, [noise((20, 30, 40), "u2", i) for i in range(5)])
    whole = Box.of_shape((20, 30, 40))
    assert [(t.timestep, t.box) for t in partition(job.plan, 4)] == [(i, whole) for i in range(5)]


def run(job: Job, executor: Any, wanted: int, stop: Any = lambda: False) -> int:
    done: list[int] = []
    with job.writer(join=False) as writer:
        copy_in_processes(executor, job, writer, wanted=wanted, progress=done.append, stop=stop)
        writer.finish()
    return sum(done)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize(
    ("shape", "dtype", "steps", "kind"),
    [
        ((100, 120, 130), "u2", 1, "blocks"),
        ((300, 400, 3), "u1", 1, "blocks"),
        ((100, 120, 130), "f4", 1, "arco"),
        ((60, 50, 70), "f8", 3, "blocks"),
    ],
)
def test_openvisus_reads_what_several_processes_wrote(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, steps: int, kind: str
) -> None:
    arrays = [noise(shape, dtype, i) for i in range(steps)]
    job = job_of(tmp_path, arrays, kind)
    assert len(partition(job.plan, 4)) >= 3
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        assert run(job, executor, 4) == job.plan.total_bytes
    assert list((tmp_path / "scratch").iterdir()) == []
    db = open_visus(tmp_path / "visus.idx")
    for t, array in enumerate(arrays):
        assert same_bits(read_visus(db, "data", t, Box.of_shape(job.plan.spec.shape)), array)
    header = load_header(tmp_path / "visus.idx")
    finite = np.stack(arrays).reshape(-1, 3 if dtype == "u1" else 1)
    finite = finite[np.isfinite(finite).all(axis=1)]
    assert header.fields[0].maximum == tuple(finite.max(axis=0).tolist())


@pytest.mark.usefixtures("small_files")
def test_errors_and_stops_come_through(tmp_path: Path) -> None:
    job = job_of(tmp_path, [noise((100, 120, 130), "u2")])
    with ThreadPoolExecutor(2) as executor, pytest.raises(Stopped):
        run(job, executor, 4, stop=lambda: True)
    (tmp_path / "visus" / "manifest").unlink()
    path = tmp_path / "in" / "0.npy"
    path.write_bytes(path.read_bytes()[:-100])
    with ThreadPoolExecutor(2) as executor, pytest.raises(CorruptSource):
        run(job, executor, 4)
    assert not (tmp_path / "visus.idx").exists()
