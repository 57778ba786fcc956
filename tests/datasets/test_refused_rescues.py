"""A document that the server does not let anybody write keeps no other one from being rescued."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import OperationFailure

from scientistcloud.datasets.store import DatasetStore


def test_the_others_are_rescued(database: Database[dict[str, Any]]) -> None:
    store = DatasetStore(database, owner="one", lease_seconds=0.05)
    names = ["strict", "a", "b"]
    for name in names:
        database.visstoredatas.insert_one({"uuid": name, "status": "conversion queued"})
    claims = [store.claim() for _ in names]
    assert None not in claims
    for undated in ("strict", "c"):
        document = {"uuid": undated, "status": "converting", "updated_at": None}
        database.visstoredatas.insert_one(document)
    rule = {"$or": [{"uuid": {"$ne": "strict"}}, {"never": True}]}
    database.command("collMod", "visstoredatas", validator=rule)
    time.sleep(0.1)
    lost = store.rescue().lost
    assert {claim.uuid for claim in lost} == {"a", "b"}
    with pytest.raises(OperationFailure):
        store.rescue()
