"""What renewals carry besides the lease."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.database import Database
from pymongo.errors import OperationFailure

from scientistcloud.datasets.documents.document import Claim
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import DatabaseUnavailable
from scientistcloud.service.heartbeat import Heartbeat
from scientistcloud.service.monitoring.monitor import Monitor
from scientistcloud.settings import load_settings
from tests.site import free_port

PLAN = {"total_bytes": 7}


def heartbeat_of(database: Database[dict[str, Any]], folder: Path) -> tuple[Heartbeat, Claim]:
    """A heartbeat that does not beat by itself, and a claim for it."""
    store = DatasetStore(database, owner="one", lease_seconds=3.0)
    store.insert({"uuid": "u1", "status": "conversion queued"})
    claim = store.claim()
    assert claim is not None
    return beating(store, folder), claim


def beating(store: DatasetStore, folder: Path) -> Heartbeat:
    settings = load_settings(overrides={"visus_datasets": str(folder)})
    return Heartbeat(store, 1.0, Monitor(settings, "one", threading.Event()))


def conversion(database: Database[dict[str, Any]]) -> dict[str, Any]:
    found = database["visstoredatas"].find_one({"uuid": "u1"})
    assert found is not None
    shown: dict[str, Any] = found["conversion"]
    return shown


def test_the_next_renewal_shows_the_plan(
    database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    heartbeat, claim = heartbeat_of(database, tmp_path)
    lease = heartbeat.hold(claim)
    assert heartbeat.renew(lease)
    assert "plan" not in conversion(database)
    lease.plan = PLAN
    assert heartbeat.renew(lease)
    assert conversion(database)["plan"] == PLAN
    assert lease.plan is None


def test_a_plan_that_the_server_refuses_does_not_cost_the_lease(
    database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    heartbeat, claim = heartbeat_of(database, tmp_path)
    validator = {"conversion.plan": {"$exists": False}}
    database.command("collMod", "visstoredatas", validator=validator)
    lease = heartbeat.hold(claim)
    lease.plan = PLAN
    with pytest.raises(OperationFailure):
        heartbeat.renew(lease)
    before = conversion(database)["lease"]["expires_at"]
    assert heartbeat.renew(lease)
    assert conversion(database)["lease"]["expires_at"] > before


@pytest.mark.parametrize("told", ["before", "meanwhile"])
def test_a_plan_that_did_not_arrive_is_sent_again(
    database: Database[dict[str, Any]], tmp_path: Path, told: str
) -> None:
    _, claim = heartbeat_of(database, tmp_path)
    url = f"mongodb://127.0.0.1:{free_port()}/"
    with pymongo.MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=100) as client:
        store = DatasetStore(client["away"], owner="one", lease_seconds=3.0)
        heartbeat = beating(store, tmp_path)
        lease = heartbeat.hold(claim)
        if told == "before":
            lease.plan = PLAN
        else:
            threading.Timer(0.05, setattr, [lease, "plan", PLAN]).start()
        with pytest.raises(DatabaseUnavailable):
            heartbeat.renew(lease)
    assert lease.plan == PLAN
    assert not lease.lost.is_set()
