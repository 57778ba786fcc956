"""Rescues around outages of MongoDB: owners may renew first, but not for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest

from scientistcloud.database.embedded import EmbeddedMongo
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import DatabaseUnavailable


def kill_mongod(home: Path) -> None:
    """kill -9 of the server that `EmbeddedMongo` started in this folder."""
    psutil.Process(int((home / "mongodb" / "mongod.lock").read_text())).kill()


class Rescuer:
    """A store on a server that can go away, with a claim whose lease ran out, and a clock."""

    def __init__(self, home: Path, mongo: EmbeddedMongo, database: Any) -> None:
        self.now = 0.0
        self._home, self._mongo = home, mongo
        self.store = DatasetStore(database, owner="one", lease_seconds=1, clock=lambda: self.now)
        self.store.insert({"uuid": "u1", "status": "conversion queued"})
        assert self.store.claim() is not None
        time.sleep(1.1)  # by the server's clock

    def lose_server(self) -> None:
        kill_mongod(self._home)
        with pytest.raises(DatabaseUnavailable):
            self.store.rescue()
        self._mongo.start()


@pytest.fixture
def rescuer(tmp_path: Path) -> Iterator[Rescuer]:
    mongo = EmbeddedMongo(tmp_path)
    url = mongo.start() + "&serverSelectionTimeoutMS=300"
    try:
        with pymongo.MongoClient[dict[str, Any]](url) as client:
            yield Rescuer(tmp_path, mongo, client.d)
    finally:
        mongo.stop()


def test_after_an_outage_owners_renew_before_rescuers_take(rescuer: Rescuer) -> None:
    rescuer.lose_server()
    assert not rescuer.store.rescue()
    rescuer.now += 0.9
    assert not rescuer.store.rescue()
    rescuer.now += 0.2
    assert len(rescuer.store.rescue().lost) == 1


def test_outages_in_quick_succession_do_not_keep_a_lost_claim_for_ever(rescuer: Rescuer) -> None:
    """Each time MongoDB is back for less than the owner is given to renew."""
    for _ in range(2):
        rescuer.lose_server()
        assert not rescuer.store.rescue()
        rescuer.now += 0.6
        rescued = rescuer.store.rescue()
    assert len(rescued.lost) == 1
