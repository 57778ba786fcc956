"""What warm processes leave that are killed while they rehearse goes with the next rehearsal."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from scientistcloud.service.processes.attempt import rehearse


def test_a_rehearsal_removes_what_killed_ones_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    names = ("scientistcloud-rehearsal-old", "scientistcloud-rehearsal-new", "another")
    for name in names:
        (tmp_path / name / "upload").mkdir(parents=True)
    for name in ("scientistcloud-rehearsal-old", "another"):
        os.utime(tmp_path / name, (time.time() - 1000,) * 2)
    rehearse()
    assert {each.name for each in tmp_path.iterdir()} == set(names[1:])
