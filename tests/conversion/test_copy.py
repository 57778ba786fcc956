"""Whole copies, compared with OpenVisus: any shape, source, memory limit and number of threads."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scientistcloud.conversion.copying.copy import copy_dataset
from scientistcloud.conversion.planning import plan
from scientistcloud.errors import CorruptSource, ResourceLimit, Stopped
from scientistcloud.grid import Box, Shape
from scientistcloud.idx.writer import IdxWriter
from scientistcloud.readers.base import Concurrency, FieldSpec
from tests.conversion.arrays import (
    ArraySource,
    convert,
    noise,
    open_visus,
    plan_of,
    read_visus,
    same_bits,
    shrink,
)

MB = 1 << 20
LENGTHS = st.one_of(st.integers(30, 80), st.integers(30, 80), st.integers(1, 80))
SHAPES = st.one_of(
    st.tuples(LENGTHS, LENGTHS, LENGTHS),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 20_000)),
)
DTYPES = ["i1", "u2", "i4", "u8", "f2", "f4", "f8"]


def check(folder: Path, source: ArraySource) -> None:
    """OpenVisus reads what the source holds."""
    db = open_visus(folder / "visus.idx")
    names = list(db.getFields())
    for name, array in zip(names, source.arrays, strict=True):
        for t, samples in enumerate(array):
            assert same_bits(read_visus(db, name, t, Box.of_shape(source.shape)), samples)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_openvisus_reads_what_the_source_holds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Blocks of 64 samples instead of 65,536, so that small arrays go through many stages."""
    draw = data.draw
    shape = draw(SHAPES)
    fields = []
    for i in range(draw(st.integers(1, 3))):
        tail = draw(st.sampled_from([(), (), (3,), (4,)]))
        dtype = draw(st.sampled_from(DTYPES))
        fields.append((dtype, tail, i))
    steps = draw(st.integers(1, 2))
    arrays = [noise((steps, *shape, *tail), d, i) for d, tail, i in fields]
    chunks = tuple(draw(st.sampled_from([1, min(7, n), min(16, n), n])) for n in shape)
    source = ArraySource(
        shape, arrays, chunks, concurrency=draw(st.sampled_from(list(Concurrency)))
    )
    options: dict[str, Any] = {
        "threads": draw(st.integers(1, 4)),
        "codec": draw(st.sampled_from(["isal-1", "zlib-ng-6", "lz4", "raw"])),
        "layout": draw(st.sampled_from(["blocks", "arco"])),
    }
    folder = tmp_path_factory.mktemp("copy")
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, draw)
        limits = {"base_bytes": 96 * MB, "memory_limit_bytes": 96 * MB}
        try:
            plan_of(source, **limits, **options)
        except ResourceLimit:
            patch.setattr(plan, "MIN_BUDGET_BYTES", 8 * MB)
        convert(source, folder, **limits, **options)
    check(folder, source)
    box = draw(boxes(shape))
    db = open_visus(folder / "visus.idx")
    for resolution in range(db.getMaxResolution() + 1):
        bits = db.getBitmask().toString()[1:]
        delta = [1 << bits[resolution:].count(str(len(shape) - 1 - a)) for a in range(len(shape))]
        where = tuple(
            slice(-(-l // d) * d, h, d) for l, h, d in zip(box.lo, box.hi, delta, strict=True)
        )
        expected = arrays[0][0][where]
        if expected.size:
            got = read_visus(db, next(iter(db.getFields())), 0, box, resolution)
            assert same_bits(got, expected)


@st.composite
def boxes(draw: st.DrawFn, shape: Shape) -> Box:
    lo = tuple(draw(st.integers(0, n - 1)) for n in shape)
    return Box(lo, tuple(draw(st.integers(l + 1, n)) for l, n in zip(lo, shape, strict=True)))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("concurrency", list(Concurrency))
@pytest.mark.parametrize(
    ("shape", "dtype", "tail", "chunks", "limit"),
    [
        ((130, 200, 300), "u2", (), (1, 1, 1), 8 << 30),
        ((130, 200, 300), "u2", (), (1, 200, 300), 8 << 30),
        ((130, 200, 300), "u2", (), (1, 200, 300), 96 * MB),
        ((130, 200, 300), "u2", (), (16, 100, 200), 96 * MB),
        ((1500, 1700), "u1", (3,), (1, 1), 96 * MB),
        ((1500, 1700), "u1", (3,), (256, 256), 96 * MB),
        ((3_000_000,), "f8", (), (1,), 96 * MB),
        ((5000, 33, 20), "f4", (), (1, 33, 20), 96 * MB),
    ],
)
def test_real_blocks_in_little_memory(
    tmp_path: Path,
    shape: Shape,
    dtype: str,
    tail: tuple[int, ...],
    chunks: Shape,
    limit: int,
    concurrency: Concurrency,
    threads: int,
) -> None:
    source = ArraySource(shape, [noise((1, *shape, *tail), dtype)], chunks, 0, concurrency)
    convert(source, tmp_path, base_bytes=80 * MB, memory_limit_bytes=limit, threads=threads)
    check(tmp_path, source)
    samples = int(np.prod(shape))
    assert samples <= source.decoded <= 1.05 * samples, "chunks were decoded more than once"


def test_output_is_the_same_whatever_the_limit_and_threads(tmp_path: Path) -> None:
    array = [noise((1, 100, 150, 200), "u2")]
    stored = []
    for i, (limit, threads) in enumerate([(96 * MB, 1), (96 * MB, 3), (8 << 30, 2)]):
        folder = tmp_path / str(i)
        folder.mkdir()
        source = ArraySource((100, 150, 200), array, (1, 1, 1))
        convert(source, folder, base_bytes=90 * MB, memory_limit_bytes=limit, threads=threads)
        with (folder / "visus.idx").open() as file:
            header = file.read()
        sizes = {p.relative_to(folder): p.stat().st_size for p in folder.rglob("*.bin")}
        stored.append((header, sizes))
    assert stored[0] == stored[1] == stored[2]


class Broken(ArraySource):
    """A source with a damaged part."""

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        if box.hi[0] > 60:
            raise CorruptSource("slice 60 is damaged")
        super().read(field, timestep, box, out)


def run(
    source: ArraySource, folder: Path, *, threads: int, stop: Any = lambda: False, **options: Any
) -> None:
    dataset = plan_of(source, threads=threads, **options).datasets[0]
    (folder / "visus").mkdir()
    with IdxWriter(dataset.layout, folder / "visus.idx", folder / "visus", "./visus") as writer:
        copy_dataset(
            source,
            dataset,
            writer,
            scratch=folder,
            threads=threads,
            progress=lambda _: None,
            stop=stop,
        )


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_first_error_ends_it_and_nothing_is_left_running(tmp_path: Path, threads: int) -> None:
    source = Broken((200, 256, 256), [noise((1, 200, 256, 256), "u2")], (1, 256, 256))
    before = threading.active_count()
    with pytest.raises(CorruptSource, match="slice 60"):
        run(source, tmp_path, threads=threads)
    assert threading.active_count() == before
    assert not (tmp_path / "visus.idx").exists()


@pytest.mark.parametrize("chunks", [(1, 1, 1), (1, 256, 256)])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_stop_is_heeded_within_a_block(tmp_path: Path, threads: int, chunks: Shape) -> None:
    source = ArraySource((200, 256, 256), [noise((4, 200, 256, 256), "u2")], chunks)
    asked: list[float] = []

    def stop() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 50

    with pytest.raises(Stopped):
        run(source, tmp_path, threads=threads, stop=stop)
    assert len(asked) < 50 + 2 + 4 * threads, "others went on after it was told to stop"


def test_stop_is_asked_for_every_block(tmp_path: Path) -> None:
    source = ArraySource((64, 256, 256), [noise((1, 64, 256, 256), "u2")], (1, 1, 1))
    asked = itertools.count()
    run(source, tmp_path, threads=1, stop=lambda: next(asked) < 0)
    assert next(asked) >= 64


def test_progress_comes_often_and_in_the_callers_thread(tmp_path: Path) -> None:
    source = ArraySource((128, 256, 256), [noise((2, 128, 256, 256), "u2")], (1, 256, 256))
    _, done = convert(source, tmp_path, threads=2)
    assert len(done) >= 8
    assert max(done) <= sum(done) // 2


def test_small_datasets_start_no_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        pytest.fail("a thread was started")

    source = ArraySource((8, 64, 64), [noise((1, 8, 64, 64), "u2")], (1, 64, 64))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    convert(source, tmp_path, threads=4)
    monkeypatch.undo()
    check(tmp_path, source)
