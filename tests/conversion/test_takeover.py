"""What an attempt takes over of another one, what it leaves, and what room there is for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenVisus as ov  # noqa: N813  its own convention
import pytest

from scientistcloud.conversion.options import Progress
from scientistcloud.conversion.publishing.publish import Publication, close_staging
from scientistcloud.conversion.resuming.checkpoint import Checkpoint, CopyState, DatasetState
from scientistcloud.conversion.resuming.takeover import kept_bytes, spill_name, take_over
from scientistcloud.conversion.run import convert
from scientistcloud.errors import Stopped
from scientistcloud.idx.files.manifest import MANIFEST_NAME
from scientistcloud.idx.writer import WriterState
from tests.conversion.owners import OPTIONS, opened

VALUES = np.random.default_rng(1).integers(0, 60_000, (60, 200, 200)).astype(np.uint16)
KEY = "of input, plan and versions"


@pytest.fixture(autouse=True)
def upload(root: Path) -> None:
    np.save(root / "upload" / "volume.npy", VALUES)


def halfway(root: Path) -> Publication:
    """An attempt that was stopped in the middle, whose checkpoint and files stay."""
    owner = opened(root)

    def stop() -> bool:
        found = Checkpoint.load(owner.checkpoint)
        return found is not None and found.done_bytes > VALUES.nbytes // 2

    with pytest.raises(Stopped):
        convert(root / "upload", owner, OPTIONS, stop=stop)
    close_staging(owner, keep_partial=True)
    return owner


def needed_bytes(root: Path, **more: Any) -> int:
    """The disk that an attempt says it needs before it begins."""
    plans: list[dict[str, Any]] = []

    def refuse(plan: dict[str, Any]) -> None:
        plans.append(plan)
        raise Stopped

    owner = opened(root)
    with pytest.raises(Stopped):
        convert(root / "upload", owner, replace(OPTIONS, **more), plan=refuse)
    close_staging(owner, keep_partial=True)
    return int(plans[0]["disk_bytes"])


def test_what_is_there_already_needs_no_room_once_more(root: Path) -> None:
    """Else what an attempt kept could be what keeps the next ones out for ever."""
    before = needed_bytes(root)
    owner = halfway(root)
    kept = kept_bytes(owner)
    assert kept > VALUES.nbytes // 3
    assert needed_bytes(root) == before - kept
    assert kept_bytes(owner) == kept


@pytest.mark.parametrize(
    "change", [{"codec": "raw"}, {"layout": "arco", "memory_limit_bytes": 4 << 30}]
)
def test_what_is_of_no_use_is_gone_before_anything_is_written(root: Path, change: Any) -> None:
    former = halfway(root)
    seen: list[bool] = []

    def look(progress: Progress) -> None:
        if progress.phase == "copying":
            seen.append(former.checkpoint.exists() or former.blocks("").exists())

    owner = opened(root)
    convert(root / "upload", owner, replace(OPTIONS, **change), progress=look)
    assert seen[0] is False


def test_a_checkpoint_that_does_not_fit_on_the_disk_ends_no_conversion(root: Path) -> None:
    owner = opened(root)
    part = owner.checkpoint.with_name(f"{owner.generation}.part")
    kept: list[bool] = []

    def fill_disk(progress: Progress) -> None:
        """The next checkpoint meets a full disk."""
        if progress.phase == "copying" and not part.is_symlink():
            kept.append(owner.checkpoint.exists())
            part.symlink_to("/dev/full")

    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    convert(root / "upload", owner, OPTIONS, progress=fill_disk)
    assert kept
    assert not any(kept)
    part.unlink(missing_ok=True)
    close_staging(owner)
    read = ov.LoadDataset(str(owner.target / "visus.idx")).read()
    np.testing.assert_array_equal(read, VALUES)


def left(root: Path, copy: CopyState | None, spills: list[CopyState]) -> Publication:
    """What an attempt left that had come so far, with these scratch files; and the next owner."""
    former = opened(root)
    state = DatasetState("", WriterState((), (), 0), copy)
    Checkpoint(KEY, 1000, (state,)).save(former.checkpoint)
    former.blocks("").mkdir(parents=True)
    for name in [MANIFEST_NAME, *map(spill_name, spills)]:
        (former.blocks("") / name).write_bytes(b"content")
    return opened(root)


FIRST, SECOND = CopyState(0, 0, filled=3), CopyState(0, 1, filled=3)


def test_the_scratch_file_of_the_field_is_taken(root: Path) -> None:
    owner = left(root, FIRST, [FIRST])
    assert take_over(owner, KEY) is not None
    assert (owner.blocks("") / spill_name(FIRST)).is_file()


@pytest.mark.parametrize("copy", [CopyState(0, 1), SECOND, None])
def test_a_scratch_file_of_another_field_is_never_taken(root: Path, copy: CopyState | None) -> None:
    """Its former owner may be writing into it."""
    owner = left(root, copy, [FIRST])
    assert (take_over(owner, KEY) is None) == (copy is SECOND)
    assert not (owner.blocks("") / spill_name(FIRST)).exists()
