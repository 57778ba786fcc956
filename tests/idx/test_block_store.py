"""Block files that go on where another writer ended: what it may still do, and what is ours."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from scientistcloud.idx.files.block_store import MAX_OPEN_FILES, BlockFiles, FileState
from scientistcloud.idx.files.layout import IdxLayout, plan_layout

TIMESTEPS = MAX_OPEN_FILES + 6
PAYLOAD = b"stored"


@pytest.fixture
def layout() -> IdxLayout:
    """One file a timestep, of several blocks each."""
    field = ("a", np.dtype(np.uint8), 1)
    return plan_layout((128, 128, 128), [field], timesteps=TIMESTEPS)


def one_file(layout: IdxLayout, folder: Path) -> tuple[FileState, ...]:
    """What a former writer left: a file of timestep 0."""
    former = BlockFiles(layout, folder)
    former.store(0, 0, 0, PAYLOAD, 0)
    former.finish()
    return tuple(former.files())


def test_a_resumed_writer_keeps_its_own_files_that_are_about_to_be_closed(
    layout: IdxLayout, tmp_path: Path
) -> None:
    """A file is opened again while the one thread that closes files is busy with another one."""
    files = BlockFiles(layout, tmp_path, one_file(layout, tmp_path))
    busy = threading.Event()

    def hang(_: None) -> None:
        busy.wait(30)

    files._background.submit(hang, None)
    try:
        for timestep in range(1, TIMESTEPS):
            files.store(timestep, 0, 0, PAYLOAD, 0)
        for timestep in range(1, TIMESTEPS - MAX_OPEN_FILES):
            files.store(timestep, 0, 1, PAYLOAD, 0)
    finally:
        busy.set()
    stored = [each.size_bytes - files._table_bytes for each in files.finish().values()]
    assert sum(stored) == (TIMESTEPS - 1 + TIMESTEPS - MAX_OPEN_FILES) * len(PAYLOAD)


def test_what_a_former_writer_made_too_late_is_no_part_of_a_resumed_one(
    layout: IdxLayout, tmp_path: Path
) -> None:
    (name,) = (each.name for each in one_file(layout, tmp_path))
    with (tmp_path / name).open("r+b") as late:
        files = BlockFiles(layout, tmp_path, ())  # it had no file at the checkpoint
        files.store(0, 0, 1, PAYLOAD, 0)
        late.seek(0, 2)
        late.write(b"written late")
        late.flush()
        table_bytes = files._table_bytes
        assert files.finish()[name].size_bytes == table_bytes + len(PAYLOAD)
