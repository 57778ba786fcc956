"""The numbers on the queue, as a real MongoDB tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from scientistcloud.datasets.store import DatasetStore
from tests.site import CONVERTING, DONE, QUEUED, Site, free_port, until


def test_datasets_are_counted_by_status_and_the_oldest_dated(
    database: Database[dict[str, Any]],
) -> None:
    store = DatasetStore(database, owner="me", lease_seconds=15)
    store.ensure_indexes()
    empty = store.gauges()
    assert (empty.waiting, empty.oldest_queued_seconds) == (0, 0.0)
    assert set(empty.counts.values()) == {0}
    ago = datetime.now(UTC) - timedelta(minutes=10)
    later = datetime.now(UTC) + timedelta(minutes=10)
    waiting = {"token": "t", "not_before": later, "attempts": 1}
    database["visstoredatas"].insert_many(
        [
            {"status": QUEUED, "conversion": {"queued_at": ago, "priority": 0}},
            {"status": QUEUED, "conversion": {"queued_at": datetime.now(UTC), "waiting": waiting}},
            {"status": QUEUED, "conversion": {"queued_at": "garbage"}},
            {"status": QUEUED, "conversion": 7},
            {"status": CONVERTING},
            {"status": DONE},
            {"status": DONE},
            {"status": "something else"},
            {"status": {"an": "object"}},
        ]
    )
    found = store.gauges()
    assert {name: count for name, count in found.counts.items() if count} == {
        QUEUED: 4,
        CONVERTING: 1,
        DONE: 2,
    }
    assert found.waiting == 1
    assert found.oldest_queued_seconds == pytest.approx(600, abs=30)


def test_a_scrape_is_answered_before_mongodb_is_there(site: Site) -> None:
    port = free_port()
    site.start(METRICS_PORT=str(port), MONGO_URL="mongodb://127.0.0.1:9/")
    url = f"http://127.0.0.1:{port}"
    until(lambda: "Waiting for MongoDB" in site.log(), 30, site.logs)
    assert httpx.get(f"{url}/healthz").status_code == 200
    ready = httpx.get(f"{url}/readyz")
    assert ready.status_code == 503
    assert "127.0.0.1:9" in ready.json()["problems"]["mongodb"]
    text = httpx.get(f"{url}/metrics").text
    assert "scientistcloud_database_up 0.0" in text
    assert "scientistcloud_datasets{" not in text
