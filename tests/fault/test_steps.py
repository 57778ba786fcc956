"""A seeded excerpt of ``python -m tests.fault.step_kills``: a kill at steps of an attempt."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.fault.fleet import Fleet, fleet
from tests.fault.step_kills import SETTINGS, run
from tests.fault.steps import Armed
from tests.fault.verdict import check
from tests.site import until

KILLS = 10


def test_a_kill_at_any_step_leaves_the_work_to_another_service(tmp_path: Path) -> None:
    result = run(tmp_path / "site", count=KILLS, seed=20)
    assert result.wrong == []
    assert result.steps >= 20
    # A renewal comes by time: an attempt may be over before.
    assert result.hit.total() >= KILLS - 2


@pytest.mark.parametrize("target", ["group", "service", "self"])
def test_whoever_wakes_up_late_publishes_nothing(tmp_path: Path, target: str) -> None:
    commit = "child replace STAGING/visus.idx -> TARGET/visus.idx"
    with fleet(tmp_path / "site", 2, SETTINGS) as ships:
        ships.failpoints.arm(Armed(commit, "before", target, "SIGSTOP"))
        for version in (1, 2):
            ships.write_source("chaos-1", version, (8, 16, 16))
            ships.request("chaos-1", version)
            if version == 1:
                until(lambda: len(ships.failpoints.hits()) == 1, 60)
        assert ships.wait_until_settled(30) == []
        for pid in ships.failpoints.hits()[0]["pids"]:
            os.kill(pid, signal.SIGCONT)
        until(lambda: not psutil.pid_exists(ships.failpoints.hits()[0]["pid"]), 20)
        assert check(ships, all_done=True, patience_seconds=30).wrong == []


def test_what_is_published_while_its_document_is_deleted_is_withdrawn(tmp_path: Path) -> None:
    after_commit = "child replace STAGING/visus.idx -> TARGET/visus.idx"
    with fleet(tmp_path / "site", 1, SETTINGS) as ships:
        ships.failpoints.arm(Armed(after_commit, "after", "self", "SIGSTOP"))
        ships.write_source("chaos-1", 1, (8, 16, 16))
        ships.request("chaos-1", 1)
        until(lambda: len(ships.failpoints.hits()) == 1, 60)
        assert (ships.converted / "chaos-1" / "visus.idx").exists()
        ships.datasets.delete_one({"_id": "chaos-1"})
        until(lambda: "is lost" in ships.hosts[0].log.read_text(), 10)
        os.kill(ships.failpoints.hits()[0]["pid"], signal.SIGCONT)
        until(lambda: not (ships.converted / "chaos-1").exists(), 10)


def test_what_killed_services_leave_is_removed_by_others(tmp_path: Path) -> None:
    wrote = Armed("child fsync TARGET/visus/GENERATION", "after", "group")
    revoked = Armed("child rename STAGING -> REVOKED", "after", "group")
    settings = SETTINGS | {"GENERATION_GRACE_SECONDS": "2"}
    with fleet(tmp_path / "site", 2, settings) as ships:
        ships.failpoints.arm(wrote, revoked)
        _kill_and_delete(ships, "chaos-1", hits=2)
        _expect_nothing_of(ships, "chaos-1")
        ships.failpoints.arm(wrote)
        _kill_and_delete(ships, "chaos-2", hits=3)
        _expect_nothing_of(ships, "chaos-2")


def _kill_and_delete(ships: Fleet, uuid: str, *, hits: int) -> None:
    """Let every service die of `uuid`, which nobody asks for any more after that."""
    ships.write_source(uuid, 1, (8, 16, 16))
    ships.request(uuid, 1)
    until(lambda: len(ships.failpoints.hits()) == hits, 60)
    ships.datasets.delete_one({"_id": uuid})
    assert _staged(ships) != set()
    assert (ships.converted / uuid / "visus").is_dir()


def _expect_nothing_of(ships: Fleet, uuid: str) -> None:
    ships.start_service(ships.hosts[0])
    until(lambda: _staged(ships) == set(), 30)
    until(lambda: not (ships.converted / uuid).exists(), 10)


def _staged(ships: Fleet) -> set[str]:
    return {each.name for each in (ships.converted / ".staging").iterdir()} - {
        ".retired",
        ".partial",
    }
