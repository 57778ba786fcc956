"""Many tiny timesteps: a small file each, gathered in memory, synced together."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from scientistcloud.errors import StorageUnavailable
from scientistcloud.grid import Box
from scientistcloud.idx.files.layout import MOST_TIME_FOLDERS, IdxLayout, plan_layout
from scientistcloud.idx.files.small_files import MOST_SYNCED_ALONE, SmallFiles
from scientistcloud.idx.reader import IdxReader
from tests.idx.written import write_idx

RNG = np.random.default_rng(22)


def layout_of(timesteps: int, shape: tuple[int, ...] = (2, 3), fields: int = 2) -> IdxLayout:
    return plan_layout(
        shape, [(f"f{i}", np.dtype("u2"), 1) for i in range(fields)], timesteps=timesteps
    )


def test_which_datasets_have_small_files() -> None:
    assert layout_of(65536).has_small_files
    assert layout_of(65536).time_template == "time_%06d_"
    assert layout_of(MOST_TIME_FOLDERS).time_template == "time_%04d/"
    assert not layout_of(4).has_small_files
    assert not layout_of(5000, (256, 256)).has_small_files
    assert layout_of(5000, (256, 256)).time_template == "time_%04d/"
    arco = plan_layout((2, 3), [("a", np.dtype("u1"), 1)], timesteps=5000, arco=True)
    assert not arco.has_small_files


@pytest.mark.parametrize("timesteps", [20, MOST_SYNCED_ALONE + 6, MOST_TIME_FOLDERS + 5])
def test_all_comes_back(timesteps: int, tmp_path: Path) -> None:
    values = RNG.integers(0, 1 << 16, (timesteps, 2, 3), "u2")
    values[3] = 0
    colors = RNG.integers(0, 256, (timesteps, 2, 3, 3), "u1")
    path = write_idx(tmp_path, {"a": values, "b": colors}, 2)
    with IdxReader(path) as reader:
        for t in range(timesteps):
            assert np.array_equal(reader.read("a", t, Box.of_shape((2, 3))), values[t])
            assert np.array_equal(reader.read("b", t, Box.of_shape((2, 3))), colors[t])
    blocks = list(tmp_path.rglob("*.bin"))
    assert len(blocks) == timesteps
    folders = [p for p in tmp_path.rglob("time_*") if p.is_dir()]
    assert len(folders) == (timesteps if timesteps <= MOST_TIME_FOLDERS else 0)


def test_several_blocks_of_a_timestep(tmp_path: Path) -> None:
    values = RNG.integers(0, 256, (20, 40, 300), "u1")
    path = write_idx(tmp_path, {"a": values}, 2)
    with IdxReader(path) as reader:
        assert reader.header.block_count == 1
        assert all(
            np.array_equal(reader.read("a", t, Box.of_shape((40, 300))), values[t])
            for t in range(20)
        )


def test_openvisus_reads_names_without_folders(tmp_path: Path) -> None:
    ov = pytest.importorskip("OpenVisus")
    values = RNG.integers(0, 1 << 16, (MOST_TIME_FOLDERS + 5, 2, 3), "u2")
    path = write_idx(tmp_path, {"a": values}, 2)
    dataset = ov.LoadDataset(str(path))
    for t in (0, 1, 99, 1000, len(values) - 1):
        assert np.array_equal(dataset.read(time=t), values[t])


def test_threads_store_the_fields_of_one_timestep(tmp_path: Path) -> None:
    layout = layout_of(40, fields=8)
    files = SmallFiles(layout, tmp_path)

    def run(field: int) -> None:
        for timestep in range(40):
            files.store(timestep, field, 0, bytes([field]) * (field + 1), 0)

    threads = [threading.Thread(target=run, args=(f,)) for f in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sums = files.finish()
    table = 40 + 40 * 8
    assert len(sums) == 40
    assert {each.size_bytes for each in sums.values()} == {table + sum(range(1, 9))}


def test_a_checkpoint_keeps_what_is_half_there(tmp_path: Path) -> None:
    layout = layout_of(20)
    files = SmallFiles(layout, tmp_path)
    files.store(0, 0, 0, b"aa", 0)
    files.store(0, 1, 0, b"bbb", 0)
    files.store(1, 0, 0, b"cccc", 0)
    files.settle()
    kept = tuple(files.files())
    assert [(f.timestep, f.missing) for f in kept] == [(0, 0), (1, 1)]
    # The former writer goes on, and is killed.
    files.store(1, 1, 0, b"too late", 0)
    files.store(2, 0, 0, b"too late", 0)
    files.store(2, 1, 0, b"too late", 0)
    files.abandon()
    resumed = SmallFiles(layout, tmp_path, kept)
    resumed.store(1, 1, 0, b"dd", 0)
    resumed.store(2, 0, 0, b"e", 0)
    resumed.store(2, 1, 0, b"f", 0)
    assert len(resumed.finish()) == 3
    table = 40 + 40 * 2
    assert (tmp_path / "time_0001/0000.bin").read_bytes()[table:][:6] == b"ccccdd"
    assert (tmp_path / "time_0002/0000.bin").read_bytes()[table:] == b"ef"


def test_a_folder_that_went_away_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "blocks"
    folder.mkdir()
    files = SmallFiles(layout_of(2000, fields=1), folder)
    folder.rmdir()
    with pytest.raises(StorageUnavailable):
        files.store(0, 0, 0, b"a", 0)
    files.abandon()
