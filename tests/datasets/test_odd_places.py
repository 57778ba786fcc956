"""Whatever stands where a document's place in the queue should, the queue goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Decimal128, Int64, MaxKey, MinKey
from bson.datetime_ms import DatetimeMS
from pymongo.database import Database

from scientistcloud.datasets.documents.collection import GuardedCollection
from scientistcloud.datasets.documents.document import PortalSummary
from scientistcloud.datasets.reports.overview import describe, list_datasets
from scientistcloud.datasets.store import DatasetStore

FAR = DatetimeMS(10**15)
ODD: list[Any] = [
    FAR,
    DatetimeMS(2**63 - 1),
    DatetimeMS(-(10**15)),
    datetime(1, 1, 1, tzinfo=UTC),
    Decimal128("NaN"),
    Decimal128("1e6000"),
    Decimal128("5"),
    Int64(2**62),
    float("nan"),
    float("inf"),
    -float("inf"),
    MinKey(),
    MaxKey(),
    "text",
    [FAR],
    {"a": FAR},
    None,
    True,
]
USERS = ("ann", "bob", "cyd")


@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("field", ["queued_at", "priority", "share", "waiting", "request", "lease"])
def test_all_are_claimed_and_shown(database: Database[Any], field: str, limit: int) -> None:
    store = DatasetStore(database, owner="one", lease_seconds=60, limit_per_user=limit)
    store.ensure_indexes()
    seen = GuardedCollection(database, "visstoredatas", timeout_seconds=10)
    odd = [{"conversion": {field: value}} for value in ODD]
    documents = [
        {"uuid": f"{user}{n}", "status": "conversion queued", "user": user} | more
        for user in USERS
        for n, more in enumerate(odd if user == "ann" else [{}] * len(odd))
    ]
    database.visstoredatas.insert_many(documents)
    found = []
    for turn in range(len(documents)):
        if turn % 16 == 0:
            store.rescue()
            for document in list_datasets(seen, 20):
                describe(seen, document)
        claim = store.claim()
        assert claim is not None, turn
        found.append(claim.uuid)
        assert store.complete(claim, PortalSummary())
    assert len(set(found)) == len(documents)


@pytest.mark.parametrize("value", ODD[:4], ids=repr)
def test_a_service_that_has_served_nobody_compares_any_dates(
    database: Database[Any], value: Any
) -> None:
    for user, more in (("ann", {"conversion": {"queued_at": value}}), ("bob", {})):
        fields = {"uuid": user, "status": "conversion queued", "user": user}
        database.visstoredatas.insert_one(fields | more)
    store = DatasetStore(database, owner="one", lease_seconds=60)
    store.ensure_indexes()
    assert {claim.uuid for claim in (store.claim(), store.claim()) if claim} == {"ann", "bob"}
