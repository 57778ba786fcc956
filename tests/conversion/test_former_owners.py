"""An attempt whose claim went to another one does that one no harm, and blames nothing on it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import OpenVisus as ov  # noqa: N813  its own convention
import pytest

from scientistcloud.conversion.options import Progress
from scientistcloud.conversion.publishing.publish import Publication, StagingLost, close_staging
from scientistcloud.conversion.run import convert
from scientistcloud.errors import Stopped
from tests.conversion.owners import OPTIONS, UUID, opened

VALUES = np.random.default_rng(1).integers(0, 3000, (40, 200, 200)).astype(np.uint16)


@pytest.fixture(autouse=True)
def upload(root: Path) -> None:
    np.save(root / "upload" / "volume.npy", VALUES)


def test_a_late_owner_takes_no_checkpoint_from_a_new_one(root: Path) -> None:
    new: list[Publication] = []

    def another_begins(_: Any) -> None:
        owner = opened(root)
        with pytest.raises(Stopped):
            convert(root / "upload", owner, OPTIONS, stop=owner.checkpoint.exists)
        new.append(owner)

    with pytest.raises(StagingLost):
        convert(root / "upload", opened(root), OPTIONS, plan=another_begins)
    assert new[0].checkpoint.exists()
    assert new[0].blocks("").is_dir()
    assert new[0].staging.is_dir()


def test_what_was_taken_over_while_it_was_verified_is_not_called_damaged(root: Path) -> None:
    owner = opened(root)

    def another_takes_over(progress: Progress) -> None:
        if progress.phase == "verifying" and owner.staging.is_dir():
            opened(root)
            shutil.rmtree(owner.blocks(""))

    with pytest.raises(StagingLost):
        convert(root / "upload", owner, OPTIONS, progress=another_takes_over)
    last = opened(root)
    convert(root / "upload", last, OPTIONS)
    close_staging(last)
    read = ov.LoadDataset(str(root / "converted" / UUID / "visus.idx")).read()
    np.testing.assert_array_equal(read, VALUES)
