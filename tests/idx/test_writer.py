"""What is written, as OpenVisus reads it: the oracle of the format."""

from __future__ import annotations

import errno
import math
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scientistcloud.errors import OutOfSpace, StorageUnavailable
from scientistcloud.grid import Box
from scientistcloud.idx.files import block_store, storage
from scientistcloud.idx.files.layout import IdxLayout, plan_layout
from scientistcloud.idx.geometry.blocks import BlockLayout
from scientistcloud.idx.headers.header import load_header
from scientistcloud.idx.ranges import finite_limits
from scientistcloud.idx.writer import IdxWriter, Written
from tests.conversion.arrays import noise, open_visus, read_visus, same_bits

DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")


def write_all(folder: Path, layout: IdxLayout, arrays: list[NDArray[Any]]) -> Written:
    """Write every block by itself, in an order of no kind."""
    blocks = folder / "visus"
    blocks.mkdir()
    with IdxWriter(layout, folder / "visus.idx", blocks, "./visus") as writer:
        for t in range(layout.timesteps):
            for f, array in enumerate(arrays):
                put_blocks(writer, layout.blocks, t, f, array[t])
        return writer.finish()


def put_blocks(
    writer: IdxWriter, layout: BlockLayout, timestep: int, field: int, samples: NDArray[Any]
) -> None:
    shape = samples.shape[: layout.bitmask.rank]
    for block in reversed(list(layout.blocks_inside(shape))):
        where = tuple(
            slice(o, o + (n - 1) * d + 1, d)
            for o, n, d in zip(block.origin, block.inside(shape), block.delta, strict=True)
        )
        writer.write_block(timestep, field, block.number, block.nsamples, samples[where])


def layout_of(arrays: list[NDArray[Any]], rank: int, **options: Any) -> IdxLayout:
    fields = [
        (f"f{i}", a.dtype, a.shape[-1] if a.ndim > rank + 1 else 1) for i, a in enumerate(arrays)
    ]
    return plan_layout(arrays[0].shape[1 : rank + 1], fields, timesteps=len(arrays[0]), **options)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("arco", [False, True])
@pytest.mark.parametrize("components", [1, 3, 4])
def test_openvisus_reads_every_type(tmp_path: Path, components: int, arco: bool) -> None:
    tail = (components,) if components > 1 else ()
    arrays = [noise((2, 11, 40, 30, *tail), d, seed=i) for i, d in enumerate(DTYPES)]
    write_all(tmp_path, layout_of(arrays, 3, arco=arco), arrays)
    db = open_visus(tmp_path / "visus.idx")
    assert list(db.getTimesteps()) == [0, 1]
    for i, array in enumerate(arrays):
        for t in range(2):
            got = read_visus(db, f"f{i}", t, Box.of_shape((11, 40, 30)))
            assert same_bits(got, array[t]), DTYPES[i]


@given(data=st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_openvisus_reads_every_box_at_every_resolution(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 70), min_size=1, max_size=3)))
    dtype = data.draw(st.sampled_from(DTYPES))
    codec = data.draw(st.sampled_from(["isal-1", "zlib-ng-6", "lz4", "raw"]))
    array = noise((1, *shape), dtype, seed=data.draw(st.integers(0, 99)))
    folder = tmp_path_factory.mktemp("boxes")
    layout = layout_of([array], len(shape), codec=codec, arco=data.draw(st.booleans()))
    write_all(folder, layout, [array])
    db = open_visus(folder / "visus.idx")
    assert db.getMaxResolution() == layout.bitmask.length
    lo = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    hi = tuple(data.draw(st.integers(l + 1, n)) for l, n in zip(lo, shape, strict=True))
    for resolution in range(layout.bitmask.length + 1):
        delta = [1 << n for n in layout.bitmask.counts(resolution + 1, layout.bitmask.length)]
        expected = array[0][
            tuple(slice(-(-l // d) * d, h, d) for l, h, d in zip(lo, hi, delta, strict=True))
        ]
        if expected.size:
            got = read_visus(db, "f0", 0, Box(lo, hi), resolution)
            assert same_bits(got, expected), resolution


@pytest.mark.parametrize(
    "shape", [(1,), (1, 1), (1, 1, 1), (1, 300, 400), (300, 1, 400), (300, 400, 1), (1, 1, 70000)]
)
def test_axes_of_length_1_stay(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = noise((1, *shape), "u2")
    write_all(tmp_path, layout_of([array], len(shape)), [array])
    db = open_visus(tmp_path / "visus.idx")
    assert db.getLogicBox() == ([0] * len(shape), list(reversed(shape)))
    assert same_bits(read_visus(db, "f0", 0, Box.of_shape(shape)), array[0])


def test_zero_blocks_are_left_out_but_a_minus_zero_is_kept(tmp_path: Path) -> None:
    array = np.zeros((2, 512, 512), "f4")
    array[1, 300, 301] = -0.0
    written = write_all(tmp_path, layout_of([array], 2), [array])
    assert written.stored_bytes < 2000
    db = open_visus(tmp_path / "visus.idx")
    for t in range(2):
        assert same_bits(read_visus(db, "f0", t, Box.of_shape((512, 512))), array[t])


def test_a_timestep_of_zeros_has_a_file_all_the_same(tmp_path: Path) -> None:
    array = np.zeros((3, 600, 600), "u2")
    array[1] = 7
    write_all(tmp_path, layout_of([array], 2), [array])
    names = sorted(p.parent.name for p in (tmp_path / "visus").rglob("*.bin"))
    assert set(names) == {"time_0000", "time_0001", "time_0002"}
    db = open_visus(tmp_path / "visus.idx")
    for t in range(3):
        assert same_bits(read_visus(db, "f0", t, Box.of_shape((600, 600))), array[t])


def test_noise_is_stored_raw_and_costs_nothing_but_tables(tmp_path: Path) -> None:
    array = noise((1, 512, 512), "u8")
    written = write_all(tmp_path, layout_of([array], 2), [array])
    assert written.stored_bytes == array.nbytes


def test_ranges_are_finite_and_per_component(tmp_path: Path) -> None:
    floats = np.zeros((1, 300, 300, 3), "f4")
    floats[0, ..., 0] = np.linspace(-3, 5, 90000).reshape(300, 300)
    floats[0, ..., 1] = 7
    floats[0, ..., 2] = np.nan
    floats[0, 5, 5] = [np.inf, -np.inf, 11]
    wide = np.full((1, 300, 300), 5, "u8")
    wide[0, 0, 0] = 2**64 - 1
    empty = np.full((1, 300, 300), np.nan, "f8")
    arrays = [floats, wide, empty]
    write_all(tmp_path, layout_of(arrays, 2), arrays)
    header = load_header(tmp_path / "visus.idx")
    assert header.fields[0].minimum == (-3.0, 7.0, 11.0)
    assert header.fields[0].maximum == (5.0, 7.0, 11.0)
    assert (header.fields[1].minimum, header.fields[1].maximum) == ((5,), (2**64 - 1,))
    assert (header.fields[2].minimum, header.fields[2].maximum) == ((0,), (0,))


@given(
    dtype=st.sampled_from(DTYPES),
    components=st.sampled_from([1, 2, 3, 4]),
    count=st.integers(1, 200),
    seed=st.integers(0, 1000),
)
@settings(deadline=None)
def test_limits_are_those_of_the_finite_samples(
    dtype: str, components: int, count: int, seed: int
) -> None:
    tail = (components,) if components > 1 else ()
    samples = noise((count, *tail), dtype, seed)
    limits = finite_limits(samples, components)
    columns = samples.reshape(-1, components).T
    finite = [c[np.isfinite(c)] for c in columns]
    if not any(f.size for f in finite):
        assert limits is None
        return
    assert limits is not None
    for f, low, high in zip(finite, *limits, strict=True):
        if f.size:
            assert (low, high) == (f.min().item(), f.max().item())
        else:
            assert math.isinf(low)


def test_leaving_without_finish_leaves_no_header(tmp_path: Path) -> None:
    array = noise((1, 300, 300), "u2")
    layout = layout_of([array], 2)
    (tmp_path / "visus").mkdir()
    with IdxWriter(layout, tmp_path / "visus.idx", tmp_path / "visus", "./visus") as writer:
        put_blocks(writer, layout.blocks, 0, 0, array[0])
    assert [p.name for p in tmp_path.iterdir()] == ["visus"]


def test_many_files_stay_closed_and_threads_share_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_store, "MAX_OPEN_FILES", 3)
    monkeypatch.setattr(block_store, "SYNC_BYTES", 1 << 20)
    array = noise((12, 300, 300), "u2")
    layout = layout_of([array], 2)
    (tmp_path / "visus").mkdir()
    before = open_descriptors()
    with IdxWriter(layout, tmp_path / "visus.idx", tmp_path / "visus", "./visus") as writer:

        def put_third(first: int) -> None:
            for t in range(first, 12, 3):
                put_blocks(writer, layout.blocks, t, 0, array[t])

        threads = [threading.Thread(target=put_third, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert open_descriptors() < before + 10
        writer.finish()
    assert open_descriptors() == before
    db = open_visus(tmp_path / "visus.idx")
    for t in range(12):
        assert same_bits(read_visus(db, "f0", t, Box.of_shape((300, 300))), array[t])


def test_files_are_named_deeper_where_there_are_many_blocks() -> None:
    layout = plan_layout((1 << 17, 1 << 17), [("a", np.dtype("u1"), 1)])
    assert layout.filename_template("./visus/x") == "./visus/x/%02x/%04x.bin"
    per_folder = 1 << 16
    assert per_folder // layout.blocks_per_file <= 1024


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, OutOfSpace),
        (errno.EDQUOT, OutOfSpace),
        (errno.EIO, StorageUnavailable),
        (errno.ESTALE, StorageUnavailable),
    ],
)
def test_errors_of_the_file_system_are_told_apart(number: int, error: type[Exception]) -> None:
    with pytest.raises(error), storage.writing():
        raise OSError(number, os.strerror(number))


def test_a_full_disk_is_told_as_such() -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(OutOfSpace, match="space"),
        storage.writing(),
    ):
        full.write(b"x")
