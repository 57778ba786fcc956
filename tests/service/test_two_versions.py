"""Services of two versions on one collection: each lives with what the other writes.

The other version is played by what it would leave in the documents: leases and records that lack
the fields of today, or have some that nobody knows yet.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.site import CONVERTING, DONE, QUEUED, Site, until

TOKEN = "0123456789abcdef0123456789abcdef"
FUTURE = {"checkpoint_url": "s3://x", "shards": [1, {"a": 2}], "$odd": 1}


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def held_by_other(**lease: Any) -> dict[str, Any]:
    """A record with the least that a lease ever had, and more."""
    return {"lease": {"owner": "sc_worker_other_1", "token": TOKEN} | lease}


@pytest.mark.parametrize("more", [{}, {"shard": 3, "epoch": {"n": 1}}])
def test_an_expired_lease_of_another_version_is_rescued(site: Site, more: dict[str, Any]) -> None:
    name, samples = site.stack()
    record = held_by_other(expires_at=in_seconds(-60), **more)
    site.datasets.insert_one({"uuid": name, "status": CONVERTING, "conversion": record})
    site.start()
    document = site.wait(name, DONE, seconds=30)
    outcomes = [each["outcome"] for each in document["conversion"]["history"]]
    assert outcomes == ["lost", "done"]
    np.testing.assert_array_equal(site.read(name), samples)


def test_a_lease_that_another_version_renews_is_left_alone(site: Site) -> None:
    name, samples = site.stack()
    record = held_by_other(expires_at=in_seconds(1.5))
    site.datasets.insert_one({"uuid": name, "status": CONVERTING, "conversion": record})
    ended = threading.Event()

    def renew() -> None:
        """As a version does that writes nothing but the end of the lease."""
        while not ended.wait(0.3):
            end = {"conversion.lease.expires_at": in_seconds(1.5), "updated_at": in_seconds(0)}
            site.datasets.update_one({"uuid": name}, {"$set": end})

    other = threading.Thread(target=renew)
    other.start()
    try:
        site.start()
        until(lambda: "Starting SC_BackgroundService" in site.log(), 20)
        until_then = time.monotonic() + 5
        while time.monotonic() < until_then:
            document = site.find(name)
            assert document["status"] == CONVERTING
            assert document["conversion"]["lease"]["token"] == TOKEN
            time.sleep(0.1)
    finally:
        ended.set()
        other.join()
    site.wait(name, DONE, seconds=30)
    np.testing.assert_array_equal(site.read(name), samples)


def test_a_retry_of_another_version_goes_on_as_the_same_request(site: Site) -> None:
    name, _ = site.stack()
    record = {
        "request": {"id": "r1"},
        "waiting": {"token": TOKEN, "not_before": in_seconds(2), "attempts": 2, "lane": "slow"},
        "history": [{"token": TOKEN, "outcome": "retry"}, "text"],
    }
    site.datasets.insert_one({"uuid": name, "status": QUEUED, "conversion": record})
    site.start()
    document = site.wait(name, DONE, seconds=30)
    conversion = document["conversion"]
    assert conversion["request"]["id"] == "r1"
    assert conversion["history"][-1]["attempt"] == 3
    assert conversion["history"][0]["outcome"] == "retry"


def test_what_is_not_known_is_kept(site: Site) -> None:
    name, _ = site.stack()
    site.queue(name, conversion={"future": FUTURE}, other_program={"a": [1]}, tags=["x"])
    site.start("--drain").wait(60)
    document = site.find(name)
    assert document["status"] == DONE
    assert document["conversion"]["future"] == FUTURE
    assert document["other_program"] == {"a": [1]}
    assert document["tags"] == ["x"]


def test_the_doctor_tells_the_versions(site: Site) -> None:
    site.start()
    until(lambda: site.client[site.database]["sclib_services"].count_documents({}) == 1, 30)
    entry = {"_id": "sc_worker_other_1", "host": "elsewhere", "seen_at": in_seconds(0)}
    site.client[site.database]["sclib_services"].insert_one(entry | {"version": "0.0.9"})
    found = json.loads(site.doctor("--json"))["findings"]
    texts = [each["text"] for each in found if each["subject"] == "services"]
    assert any("version 0.0.9" in text and "elsewhere" in text for text in texts), texts
    assert any("version 0.1.0" in text for text in texts), texts
