"""An attempt goes on from the checkpoint of one that ended, to the same dataset bit for bit."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (before netCDF4, which brings an HDF5 of its own)
import netCDF4
import numpy as np
import OpenVisus as ov  # noqa: N813
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from scientistcloud.conversion.copying.copy import copy_dataset
from scientistcloud.conversion.options import Codec, ConversionOptions, Progress
from scientistcloud.conversion.planning import plan
from scientistcloud.conversion.publishing.leftovers import drop_partial, finish_revoked
from scientistcloud.conversion.publishing.publish import (
    Publication,
    close_staging,
    open_staging,
    publish_log,
)
from scientistcloud.conversion.resuming import journal, takeover
from scientistcloud.conversion.resuming.checkpoint import Checkpoint
from scientistcloud.conversion.run import convert
from scientistcloud.errors import OutOfSpace, ResourceLimit, Stopped
from scientistcloud.grid import Box
from scientistcloud.idx.check import verify_path
from scientistcloud.idx.files.block_store import FileState
from scientistcloud.idx.files.manifest import MANIFEST_NAME
from scientistcloud.idx.writer import IdxWriter
from tests.conversion.arrays import ArraySource, noise, open_visus, read_visus, same_bits, shrink
from tests.conversion.owners import UUID, opened, publication

SHAPE = (70, 210, 330)
LENGTHS = st.integers(20, 70)
SHAPES = st.one_of(
    st.tuples(LENGTHS, LENGTHS, LENGTHS),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 20_000)),
)
FIELDS = st.tuples(st.sampled_from(["u1", "i2", "f4", "f8"]), st.sampled_from([(), (), (3,)]))


class StopAfter:
    """Says stop once it was asked `count` times."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def values(seed: int = 1, dtype: str = "u2") -> Any:
    samples = np.random.default_rng(seed).integers(0, 3000, SHAPE).astype(dtype)
    samples[20:30] = 0  # blocks that are not stored
    return samples


def options(seconds: float | None, threads: int = 2, codec: Codec = "isal-1") -> ConversionOptions:
    return ConversionOptions(96_000_000, threads, codec=codec, checkpoint_seconds=seconds)


def attempt(
    root: Path,
    stop: Callable[[], bool],
    *,
    seconds: float | None = 0.0,
    progress: Callable[[Progress], None] = lambda _: None,
    **more: Any,
) -> Publication:
    """One attempt that leaves all as a killed process does, unless it comes to its end."""
    owner = opened(root)
    convert(root / "upload", owner, options(seconds, **more), stop=stop, progress=progress)
    publish_log(owner)
    close_staging(owner)
    return owner


def stopped_after(root: Path, count: int) -> Publication:
    """An attempt that was stopped after so many questions, and left a checkpoint."""
    with pytest.raises(Stopped):
        attempt(root, StopAfter(count))
    (staged,) = (root / "converted" / ".staging").glob(f"{UUID}.*")
    return replace(publication(root), token=staged.name.removeprefix(f"{UUID}."))


def states(owner: Publication) -> tuple[FileState, ...]:
    checkpoint = Checkpoint.load(owner.checkpoint)
    assert checkpoint is not None
    return checkpoint.datasets[-1].writer.files


def fail_in_copying(seen: list[int]) -> Callable[[Progress], None]:
    """Notes where copying begins, and ends the attempt there."""

    def look(progress: Progress) -> None:
        if progress.phase == "copying":
            seen.append(progress.done_bytes)
            raise ZeroDivisionError

    return look


def log(root: Path) -> str:
    return (root / "converted" / UUID / "conversion.log").read_text()


def interrupted(root: Path, counts: list[int], **more: Any) -> int:
    """Attempts that are stopped after so many questions, then one that is not; how many resumed."""
    resumed = 0
    for count in [*counts, 1 << 60]:
        done: list[int] = []

        def look(progress: Progress, done: list[int] = done) -> None:
            if progress.phase == "copying":
                done.append(progress.done_bytes)

        with suppress(Stopped):
            attempt(root, StopAfter(count), progress=look, **more)
        resumed += bool(done and done[0] > 0)
    return resumed


def check(root: Path, only: Any = None, **fields: Any) -> None:
    """The published dataset holds these samples, and nothing but itself is left."""
    target = root / "converted" / UUID
    dataset = ov.LoadDataset(str(target / "visus.idx"))
    for name, samples in (fields or {dataset.getFields()[0]: only[None]}).items():
        for timestep, volume in enumerate(samples):
            assert np.array_equal(dataset.read(field=name, time=timestep), volume)
    assert list(verify_path(target / "visus.idx")) == []
    assert len(list((target / "visus").iterdir())) == 1
    assert not list(target.rglob("spill*")) + list(target.rglob("*.part"))
    staging = root / "converted" / ".staging"
    finish_revoked(staging, root / "converted")
    assert [p for p in staging.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_goes_on_from_wherever_it_was(root: Path, threads: int, seed: int) -> None:
    samples = values(seed)
    np.save(root / "upload" / "volume.npy", samples)
    rolls = random.Random(seed)
    counts = [rolls.randrange(20, 200) for _ in range(4)]
    assert interrupted(root, counts, threads=threads) >= 2
    check(root, samples)


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_goes_on_whatever_the_shape_and_the_bricks(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Many small bricks in many stages, stopped at any of them, with other threads each time."""
    draw = data.draw
    shape = draw(SHAPES)
    steps = draw(st.integers(1, 2))
    arrays = [
        noise((steps, *shape, *tail), dtype, i)
        for i, (dtype, tail) in enumerate(draw(st.lists(FIELDS, min_size=1, max_size=2)))
    ]
    for array in arrays:
        array[:, : array.shape[1] // 3] = 0
    chunks = tuple(draw(st.sampled_from([1, min(16, n), n])) for n in shape)
    source = ArraySource(shape, arrays, chunks)
    root = tmp_path_factory.mktemp("resume")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "COST_SHARE", float("inf"))
        patch.setattr(takeover, "MOST_RESUMED", 1 << 30)
        shrink(patch, draw)
        try:
            plan.plan_conversion(source.spec, ConversionOptions(96 << 20, 1), base_bytes=96 << 20)
        except ResourceLimit:
            patch.setattr(plan, "MIN_BUDGET_BYTES", 8 << 20)
        for count in draw(st.lists(st.integers(1, 400), max_size=6)):
            with suppress(Stopped):
                copied(root, source, StopAfter(count), draw(st.integers(1, 3)))
        owner = copied(root, source, lambda: False, 2)
    header = owner.target / "visus.idx"
    owner.staged_header("").replace(header)
    assert list(verify_path(header)) == []
    dataset = open_visus(header)
    for name, array in zip(dataset.getFields(), arrays, strict=True):
        for timestep, samples in enumerate(array):
            got = read_visus(dataset, name, timestep, Box.of_shape(shape))
            assert same_bits(got, samples)


def copied(root: Path, source: Any, stop: Callable[[], bool], threads: int) -> Publication:
    """One attempt that copies and finishes, without publishing."""
    owner = publication(root)
    limits = ConversionOptions(96 << 20, threads)
    planned = plan.plan_conversion(source.spec, limits, base_bytes=96 << 20)
    open_staging(owner)
    kept = journal.Journal(owner, 0.0)
    kept.begin(journal.key_of(planned, limits, "a fingerprint"), stop)
    done = kept.done_bytes

    def progress(size: int) -> None:
        nonlocal done
        done += size

    state = kept.state("")
    if state is None:
        owner.blocks("").mkdir(parents=True)
    with IdxWriter(
        planned.datasets[0].layout,
        owner.staged_header(""),
        owner.blocks(""),
        f"./visus/{owner.generation}",
        resume=state.writer if state else None,
    ) as writer:
        copy_dataset(
            source,
            planned.datasets[0],
            writer,
            scratch=owner.scratch,
            threads=threads,
            progress=progress,
            stop=stop,
            keeper=kept.keeper("", writer, lambda: done),
        )
        writer.finish()
    assert done == planned.total_bytes
    return owner


def test_goes_on_from_any_field_and_timestep(root: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(plan, "MIN_BUDGET_BYTES", 40 << 20)
    shape = (3, 30, 210, 330)
    fields = {
        name: np.random.default_rng(i).normal(size=shape).astype(dtype)
        for i, (name, dtype) in enumerate([("t", "f4"), ("p", "f8")])
    }
    with netCDF4.Dataset(root / "upload" / "run.nc", "w") as file:
        for name, length in zip(("time", "z", "y", "x"), shape, strict=True):
            file.createDimension(name, length)
        for name, samples in fields.items():
            file.createVariable(name, samples.dtype, ("time", "z", "y", "x"))[:] = samples
    assert interrupted(root, [200, 150, 250, 100]) >= 3
    check(root, **fields)


def test_goes_on_with_a_scratch_file(root: Path, monkeypatch: Any) -> None:
    """Chunks that are larger than what the bricks may take are decoded into a file first."""
    monkeypatch.setattr(plan, "MIN_BUDGET_BYTES", 14 << 20)
    samples = values()
    with h5py.File(root / "upload" / "volume.h5", "w") as file:
        file.create_dataset("ct", data=samples, chunks=(70, 70, 110), compression="gzip")
    rolls = random.Random(4)
    assert interrupted(root, [rolls.randrange(5, 120) for _ in range(8)]) >= 3
    assert '"spilled": true' in log(root)
    check(root, samples)


def test_goes_on_in_the_second_of_two_datasets(root: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(plan, "MIN_BUDGET_BYTES", 12 << 20)
    one, two = values(1), values(2, "i4")[:50]
    for name, samples in (("one", one), ("two", two)):
        shape = (samples.shape[0], 1, *samples.shape[1:])
        tifffile.imwrite(
            root / "upload" / "both.tif",
            samples.reshape(shape),
            append=name == "two",
            metadata={"axes": "ZCYX"},
            ome=False,
        )
    assert interrupted(root, [250, 250, 200, 150]) >= 2
    found = {
        path: ov.LoadDataset(str(path)).read()
        for path in (root / "converted" / UUID).rglob("visus.idx")
    }
    assert len(found) == 2
    for samples in (one, two):
        assert any(np.array_equal(each, samples) for each in found.values())
    for path in found:
        assert list(verify_path(path)) == []


def test_a_changed_source_is_begun_afresh(root: Path) -> None:
    np.save(root / "upload" / "volume.npy", values(1))
    stopped_after(root, 150)
    np.save(root / "upload" / "volume.npy", values(2))
    assert interrupted(root, []) == 0
    check(root, values(2))


def test_other_options_are_begun_afresh(root: Path) -> None:
    np.save(root / "upload" / "volume.npy", values())
    stopped_after(root, 150)
    assert interrupted(root, [], codec="zlib-ng-6") == 0
    check(root, values())


def test_the_former_owner_may_write_on(root: Path) -> None:
    """It wakes up after the new one took over: what it writes then reaches nobody."""
    np.save(root / "upload" / "volume.npy", values())
    owner = publication(root)
    blocks = owner.blocks("")
    files: dict[Path, int] = {}

    def stop_with_files_open() -> bool:
        if not files and owner.checkpoint.exists():
            unfinished = {f.name for f in states(owner) if f.missing > 0}
            assert unfinished
            for name in [*unfinished, MANIFEST_NAME]:
                files[blocks / name] = os.open(blocks / name, os.O_RDWR)
        return len(files) > 0

    open_staging(owner)
    with pytest.raises(Stopped):
        convert(root / "upload", owner, options(0.0), stop=stop_with_files_open)

    def write_on(progress: Progress) -> None:
        if progress.phase == "copying" and progress.done_bytes > 0:
            for fd in files.values():
                size = os.fstat(fd).st_size
                os.pwrite(fd, b"\xff" * 4096, size // 2)
                os.pwrite(fd, b"\xff" * 70000, size)

    attempt(root, lambda: False, progress=write_on)
    for fd in files.values():
        os.close(fd)
    assert "Going on from" in log(root)
    check(root, values())


def test_damaged_leftovers_are_not_published(root: Path) -> None:
    np.save(root / "upload" / "volume.npy", values())
    owner = stopped_after(root, 250)
    damaged = max(states(owner), key=lambda each: each.size_bytes)
    with (owner.blocks("") / damaged.name).open("r+b") as file:
        file.seek(damaged.size_bytes - 3000)
        file.write(b"\xff" * 1000)
    attempt(root, lambda: False)
    assert "beginning from the start" in log(root)
    check(root, values())


@pytest.mark.parametrize("harm", ["shorter", "missing", "no manifest", "no blocks", "checkpoint"])
def test_leftovers_that_are_not_whole_are_of_no_use(root: Path, harm: str) -> None:
    np.save(root / "upload" / "volume.npy", values())
    owner = stopped_after(root, 250)
    largest = max(states(owner), key=lambda each: each.size_bytes)
    path = owner.blocks("") / largest.name
    if harm == "shorter":
        os.truncate(path, largest.size_bytes - 1)
    elif harm == "missing":
        path.unlink()
    elif harm == "no manifest":
        (owner.blocks("") / MANIFEST_NAME).unlink()
    elif harm == "no blocks":
        shutil.rmtree(owner.blocks(""))
    else:
        content = bytearray(owner.checkpoint.read_bytes())
        content[len(content) // 2] ^= 1
        owner.checkpoint.write_bytes(content)
    assert interrupted(root, []) == 0
    check(root, values())


def test_a_checkpoint_that_attempts_die_of_is_given_up(root: Path) -> None:
    np.save(root / "upload" / "volume.npy", values())
    stopped_after(root, 150)
    seen: list[int] = []
    for _ in range(3):
        with suppress(ZeroDivisionError):
            attempt(root, lambda: False, seconds=1000.0, progress=fail_in_copying(seen))
    assert [first > 0 for first in seen] == [True, True, False]


def test_a_full_disk_keeps_nothing(root: Path) -> None:
    np.save(root / "upload" / "volume.npy", values())
    owner = stopped_after(root, 150)

    def full(progress: Progress) -> None:
        if progress.phase == "copying":
            raise OutOfSpace("There is no space left.")

    with pytest.raises(OutOfSpace):
        attempt(root, lambda: False, progress=full)
    assert not owner.is_partial


def test_what_nobody_asks_for_any_more_is_removed(root: Path) -> None:
    np.save(root / "upload" / "volume.npy", values())
    owner = stopped_after(root, 150)
    close_staging(owner, keep_partial=True)
    converted = root / "converted"
    assert drop_partial(owner.staging_root, converted, lambda names: set(names)) == []
    assert interrupted(root, []) == 1
    assert drop_partial(owner.staging_root, converted, lambda names: set()) == []  # it is done

    owner = stopped_after(root, 150)
    close_staging(owner, keep_partial=True)
    assert drop_partial(owner.staging_root, converted, lambda names: set()) == [UUID]
    check(root, values())


def test_a_generation_is_not_taken_over_half_removed(root: Path) -> None:
    """Whoever removes it renames it first; whoever is killed then leaves a folder that goes."""
    np.save(root / "upload" / "volume.npy", values())
    owner = stopped_after(root, 150)
    owner.blocks("").rename(owner.blocks("").with_name(f"{owner.generation}.dropped"))
    assert interrupted(root, []) == 0
    check(root, values())


def test_nothing_is_kept_of_a_conversion_that_is_not_to_be(root: Path) -> None:
    np.save(root / "upload" / "volume.npy", values())
    with pytest.raises(Stopped):
        attempt(root, StopAfter(150), seconds=None)
    assert not publication(root).is_partial


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.conversion.test_resume import attempt
seen = []
def progress(p):
    if p.phase == "copying" and p.fraction >= float(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
attempt(Path(sys.argv[1]), lambda: False, progress=progress)
"""


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_goes_on_after_sigkill(root: Path, share: float) -> None:
    np.save(root / "upload" / "volume.npy", values())
    command = [sys.executable, "-c", _KILLED, str(root), str(share)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert interrupted(root, []) == 1
    check(root, values())


def test_tiny_timesteps_go_on_from_a_checkpoint(root: Path) -> None:
    samples = np.arange(1500 * 12, dtype="u2").reshape(1500, 2, 2, 3)
    path = root / "upload" / "a.tif"
    tifffile.imwrite(path, samples, imagej=True, metadata={"axes": "TCYX"})
    assert interrupted(root, [4, 7]) == 2
    target = root / "converted" / UUID
    dataset = ov.LoadDataset(str(target / "visus.idx"))
    for timestep in (0, 255, 256, 700, 1499):
        for channel, name in enumerate(dataset.getFields()):
            found = dataset.read(field=name, time=timestep)
            assert np.array_equal(found, samples[timestep, channel])
    assert list(verify_path(target / "visus.idx")) == []
    assert len(list(target.rglob("*.bin"))) == 1500
