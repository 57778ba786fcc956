"""The services that report themselves."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database

from scientistcloud.datasets.services import ServiceRegistry, alive_services


def test_services_come_stay_and_go(database: Database[dict[str, Any]]) -> None:
    one = ServiceRegistry(database, "one", version="1")
    two = ServiceRegistry(database, "two", version="1")
    assert one.ensure_index()
    assert one.ensure_index()
    one.beat(0)
    two.beat(2, faults={"MissingLibrary": "$h5py"})
    first = alive_services(database)
    assert [(service["_id"], service["running"]) for service in first] == [("one", 0), ("two", 2)]
    assert first[1]["faults"] == {"MissingLibrary": "$h5py"}
    assert first[0]["pid"] == os.getpid()
    one.beat(1)
    again = alive_services(database)
    assert again[0]["started_at"] == first[0]["started_at"] <= again[0]["seen_at"]
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    database.sclib_services.update_one({"_id": "one"}, {"$set": {"seen_at": long_ago}})
    assert [service["_id"] for service in alive_services(database)] == ["two"]
    two.leave()
    assert alive_services(database) == []


def test_the_server_forgets_services_that_vanished(database: Database[dict[str, Any]]) -> None:
    ServiceRegistry(database, "one", version="1").ensure_index()
    indexes = database.sclib_services.index_information()
    assert indexes["seen_at_ttl"]["expireAfterSeconds"] == 600
