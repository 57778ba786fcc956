"""A seeded excerpt of ``python -m tests.fault.step_kills``: a kill at steps of an attempt."""

from __future__ import annotations

from pathlib import Path

from tests.fault.step_kills import run

KILLS = 16


def test_a_kill_at_any_step_leaves_the_work_to_another_service(tmp_path: Path) -> None:
    result = run(tmp_path / "site", count=KILLS, seed=20)
    assert result.wrong == []
    assert result.steps >= 20
    # A renewal comes by time: an attempt may be over before.
    assert result.hit.total() >= KILLS - 3
