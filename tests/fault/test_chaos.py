"""A seeded excerpt of ``python -m tests.fault.chaos``, and that its checker can find fault."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fault.chaos import arguments, carry_out
from tests.fault.fleet import fleet
from tests.fault.reader import judge
from tests.fault.verdict import check

FAULTS = 20


@pytest.mark.chaos
def test_services_under_faults_lose_and_mix_nothing(tmp_path: Path) -> None:
    words = f"--faults {FAULTS} --seed 11 --services 2 --datasets 8 --minutes 3 --lease 1.5"
    network = "--network" if os.geteuid() == 0 else "--no-network"
    outcome = carry_out(tmp_path / "site", arguments([*words.split(), network, "--no-small-disk"]))
    assert outcome.wrong == []
    assert outcome.total >= FAULTS
    assert outcome.checked["after one more request for each"]["done"] == 8


def test_the_checker_finds_what_is_wrong(tmp_path: Path) -> None:
    with fleet(tmp_path / "site", 1, {"LEASE_SECONDS": "3"}) as ships:
        for number in range(4):
            ships.write_source(f"chaos-{number}", 1, (8, 16, 16))
            ships.request(f"chaos-{number}", 1)
        assert ships.wait_until_settled(60) == []
        assert check(ships, all_done=True, patience_seconds=10).wrong == []
        ships.datasets.update_one({"_id": "chaos-0"}, {"$set": {"requested_version": 2}})
        ships.datasets.update_one({"_id": "chaos-1"}, {"$set": {"conversion.lease": {}}})
        (ships.converted / "chaos-2" / "visus.idx").unlink()
        (ships.converted / ".staging" / f"chaos-3.{'0' * 32}").mkdir()
        failure = {"outcome": "failed", "code": "VerificationFailed"}
        ships.note(uuid="chaos-3", token="3" * 32, request="blamed", **failure)
        for token in ("1" * 32, "2" * 32):
            ships.note(uuid="chaos-3", token=token, request="twice", outcome="done", code="")
        wrong = "\n".join(check(ships).wrong)
    assert "chaos-0: done with version 1 where 2 to 1 was asked for" in wrong
    assert "chaos-1: done with a lease" in wrong
    assert "chaos-2: done, and cannot be opened" in wrong
    assert f"left in the staging folder: chaos-3.{'0' * 32}" in wrong
    assert "chaos-3: an attempt ended with VerificationFailed" in wrong
    assert "request twice was completed by 2 attempts" in wrong


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ([3 * 65536 + 7], ""),
        ([0, 3 * 65536 + 7], "2 values in one volume"),
        ([4 * 65536 + 7], "of another dataset"),
        ([3 * 65536 + 4], "version 4 after 5"),
        (None, "cannot be opened"),
    ],
)
def test_the_reader_knows_a_wrong_value(values: list[int] | None, wrong: str) -> None:
    found = judge("chaos-3", values, newest=5)[1]
    assert found.startswith(wrong) if wrong == "" else wrong in found
    assert bool(found) == bool(wrong)
