"""Hosts whose clocks are wrong by minutes, and whose storage hangs for longer than a lease."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.fleet import CONVERTING, Fleet, fleet, lease_of
from tests.fault.shim import can_build
from tests.fault.step_kills import SETTINGS
from tests.fault.steps import Armed
from tests.fault.verdict import check
from tests.site import until

SHAPE = (8, 32, 32)
LEASES_SECONDS = 4.0
"""SETTINGS have a lease of 1 s."""


@pytest.fixture
def ships(tmp_path: Path) -> Iterator[Fleet]:
    """Two hosts whose clocks and storage can be changed."""
    reason = can_build()
    if reason:
        pytest.skip(reason)
    with fleet(tmp_path / "site", 2, SETTINGS, shim=True) as made:
        yield made


def take_slowly(ships: Fleet, uuid: str) -> str:
    """Have storage so slow that a conversion takes seconds, and wait until one has begun."""
    for host in ships.hosts:
        host.shim.delay(0.03)
    ships.write_source(uuid, 1, SHAPE)
    ships.request(uuid, 1)
    until(lambda: any(host.children() for host in ships.hosts), 30)
    return str(lease_of(ships.datasets.find_one({"_id": uuid}) or {})["token"])


def watch_lease(ships: Fleet, uuid: str, token: str) -> None:
    """See one attempt keep its claim for several lease lengths."""
    until_then = time.monotonic() + LEASES_SECONDS
    while time.monotonic() < until_then:
        document = ships.datasets.find_one({"_id": uuid}) or {}
        assert document["status"] == CONVERTING
        assert lease_of(document)["token"] == token
        time.sleep(0.1)


def test_storage_that_hangs_for_longer_than_a_lease_costs_no_claim(ships: Fleet) -> None:
    token = take_slowly(ships, "chaos-1")
    for host in ships.hosts:
        host.shim.hang(True)
    watch_lease(ships, "chaos-1", token)
    for host in ships.hosts:
        host.shim.hang(False)
        host.shim.delay(0)
    assert ships.wait_until_settled(30) == []
    document = ships.datasets.find_one({"_id": "chaos-1"}) or {}
    assert [entry["token"] for entry in document["conversion"]["history"]] == [token]
    assert check(ships, all_done=True, patience_seconds=30).wrong == []


def test_clocks_minutes_apart_cost_no_claim_and_free_none(ships: Fleet) -> None:
    stop = Armed("child replace STAGING/visus.idx -> TARGET/visus.idx", "before", "self", "SIGSTOP")
    ships.failpoints.arm(stop)
    token = take_slowly(ships, "chaos-1")
    for host, ahead_seconds in zip(ships.hosts, (600.0, -600.0), strict=True):
        host.shim.set_clock(ahead_seconds)
        host.shim.delay(0)
    watch_lease(ships, "chaos-1", token)
    until(lambda: len(ships.failpoints.hits()) == 1, 30)
    holder = ships.host_of(ships.datasets.find_one({"_id": "chaos-1"}) or {})
    assert holder is not None
    for process in holder.family():
        process.kill()  # the other one, with the other clock, takes over
    assert ships.wait_until_settled(30) == []
    document = ships.datasets.find_one({"_id": "chaos-1"}) or {}
    outcomes = [entry["outcome"] for entry in document["conversion"]["history"]]
    assert outcomes == ["lost", "done"]


def test_a_clock_that_is_ahead_takes_no_blocks_from_readers(ships: Fleet) -> None:
    for host in ships.hosts:
        host.shim.set_clock(600.0)
    for version in (1, 2):
        ships.write_source("chaos-1", version, SHAPE)
        ships.request("chaos-1", version)
        assert ships.wait_until_settled(30) == []
    generations = list((ships.converted / "chaos-1" / "visus").iterdir())
    assert len(generations) == 2
    time.sleep(7.0)  # a sweep comes every 5 s; what was replaced is kept for 20 s
    assert all(folder.is_dir() for folder in generations)
