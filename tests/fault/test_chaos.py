"""A seeded excerpt of ``python -m tests.fault.chaos``, and that its checker can find fault."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault.chaos import arguments, carry_out
from tests.fault.fleet import ROOT, Fleet, fleet
from tests.fault.quotas import Quotas
from tests.fault.reader import judge
from tests.fault.step_faults import COMPLETE, LAST_RENEWAL, split
from tests.fault.verdict import check

EXCERPT = (
    "--faults 25 --each 1 --seed 11 --services 3 --datasets 8 --minutes 4 --lease 1.5 --rate 2 "
    "--no-small-disk"
)


def test_services_under_faults_lose_and_mix_nothing(tmp_path: Path) -> None:
    """One of every kind at least, however long that takes: how fast they hit is no matter."""
    outcome = carry_out(tmp_path / "site", arguments(EXCERPT.split()))
    assert outcome.wrong == []
    assert outcome.too_few == []
    assert outcome.checked["after one more request for each"]["done"] == 8


def test_the_fault_that_is_missing_most_tends_to_come_first() -> None:
    quotas = Quotas({"rare": 10, "common": 10, "enough": 1}, total=30)
    for kind in ["common"] * 9 + ["enough"]:
        quotas.count(kind)
    chance = random.Random(1)
    orders = [quotas.order(["rare", "common", "enough"], chance) for _ in range(200)]
    assert all(order[-1] == "enough" for order in orders)
    assert 0.8 < sum(order[0] == "rare" for order in orders) / len(orders) < 1.0
    assert quotas.shortages() == ["0 of 10 of 'rare'", "9 of 10 of 'common'"]
    assert not quotas.is_met


def test_what_comes_between_the_last_renewal_and_complete_is_learned() -> None:
    names = ["service update renew", LAST_RENEWAL[0], "child replace A -> B", COMPLETE[0]]
    recorded = [
        {"step": name, "when": when, "dataset": dataset}
        for name in names
        for when in ("before", "after")
        for dataset in ("chaos-1", "chaos-2", "another's")
    ]
    commit, other = split(recorded)
    assert commit == [
        ("child replace A -> B", "after"),
        ("child replace A -> B", "before"),
        COMPLETE,
        (COMPLETE[0], "before"),
        LAST_RENEWAL,
    ]
    assert other == [
        (names[0], "after"),
        (names[0], "before"),
        (LAST_RENEWAL[0], "before"),
    ]


def test_the_checker_finds_what_is_wrong(tmp_path: Path) -> None:
    with fleet(tmp_path / "site", 1, {"LEASE_SECONDS": "3"}) as ships:
        for number in range(4):
            ships.write_source(f"chaos-{number}", 1, (8, 16, 16))
            ships.request(f"chaos-{number}", 1)
        assert ships.wait_until_settled(60) == []
        assert check(ships, all_done=True, patience_seconds=10).wrong == []
        # The service would sweep some of what follows, and OpenVisus writes a header of its own
        # where one goes while it opens that.
        assert ships.hosts[0].stop() == 0
        ships.stop_reader()
        ships.datasets.update_one({"_id": "chaos-0"}, {"$set": {"requested_version": 2}})
        ships.datasets.update_one({"_id": "chaos-1"}, {"$set": {"conversion.lease": {}}})
        (ships.converted / "chaos-2" / "visus.idx").unlink()
        (ships.converted / "chaos-3" / "visus" / ("f" * 16)).mkdir()
        (ships.converted / ".staging" / f"chaos-3.{'0' * 32}").mkdir()
        checkpoint = Path(".partial", "chaos-3", "0" * 16)
        (ships.converted / ".staging" / checkpoint).mkdir(parents=True)
        forgotten = ships.hosts[0].scratch / "forgotten"
        forgotten.touch()
        failure = {"outcome": "failed", "code": "VerificationFailed"}
        ships.note(uuid="chaos-3", token="3" * 32, request="blamed", **failure)
        for token in ("1" * 32, "2" * 32):
            ships.note(uuid="chaos-3", token=token, request="twice", outcome="done", code="")
            see(ships, generation=token[:16], version=1)
        see(ships, generation="3" * 16, after="3" * 16, wrong="2 values")
        marked = os.environ | {"SC_FAILPOINTS": str(ships.failpoints.folder)}
        with subprocess.Popen(["sleep", "60"], env=marked) as left_over:
            wrong = "\n".join(check(ships).wrong)
            left_over.kill()
    assert "chaos-0: done with version 1 where 2 to 1 was asked for" in wrong
    assert "chaos-1: done with a lease" in wrong
    assert "chaos-2: done, and cannot be opened" in wrong
    assert f"left in the staging folder: chaos-3.{'0' * 32}" in wrong
    assert f"left in the staging folder: {checkpoint}" in wrong
    assert f"left in the scratch folder of a host: {forgotten}" in wrong
    assert "chaos-3: an attempt ended with VerificationFailed" in wrong
    assert "request twice was completed by 2 attempts" in wrong
    assert "request twice: version 1 was published 2 times" in wrong
    assert f"chaos-3: generations that nobody sees: ['{'f' * 16}']" in wrong
    assert "the reader saw something wrong: {'uuid': 'chaos-3'" in wrong
    assert f"process {left_over.pid} is left over" in wrong


def see(ships: Fleet, **what: object) -> None:
    """Note something as the reader does."""
    with ships.seen.open("a") as file:
        file.write(json.dumps({"uuid": "chaos-3", "at": 0.0} | what) + "\n")


def test_checker_and_reader_use_nothing_of_ours() -> None:
    code = "import sys, tests.fault.checker, tests.fault.reader; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=True)
    assert b"OpenVisus" in done.stdout
    assert b"scientistcloud" not in done.stdout


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ([3 * 65536 + 7], ""),
        ([0, 3 * 65536 + 7], f"2 values in one volume: {[0, 3 * 65536 + 7]}"),
        ([4 * 65536 + 7], f"the value {4 * 65536 + 7} of another dataset"),
        ([3 * 65536 + 4], "version 4 after 5"),
        (None, "cannot be opened"),
    ],
)
def test_the_reader_knows_a_wrong_value(values: list[int] | None, wrong: str) -> None:
    found = judge("chaos-3", values, newest=5)[1]
    assert found == wrong
