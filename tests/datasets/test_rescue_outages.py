"""What vanished hosts held is taken over even if MongoDB keeps going away."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest

from scientistcloud.database.embedded import EmbeddedMongo
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import DatabaseUnavailable


def test_outages_in_quick_succession_do_not_keep_a_lost_claim_for_ever(tmp_path: Path) -> None:
    mongo = EmbeddedMongo(tmp_path)
    url = mongo.start() + "&serverSelectionTimeoutMS=300"
    now = [0.0]
    try:
        with pymongo.MongoClient[dict[str, Any]](url) as client:
            store = DatasetStore(client.d, owner="one", lease_seconds=1, clock=lambda: now[0])
            store.insert({"uuid": "u1", "status": "conversion queued"})
            assert store.claim() is not None
            time.sleep(1.1)  # by the server's clock the lease has run out
            for _ in range(2):
                psutil.Process(int((tmp_path / "mongodb" / "mongod.lock").read_text())).kill()
                with pytest.raises(DatabaseUnavailable):
                    store.rescue()
                mongo.start()
                # Each time MongoDB is back for less than the owner is given to renew.
                assert not store.rescue()
                now[0] += 0.6
                rescued = store.rescue()
            assert len(rescued.lost) == 1
    finally:
        mongo.stop()
