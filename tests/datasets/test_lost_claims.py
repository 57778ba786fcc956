"""Claims that get lost to programs that do not know the protocol."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from scientistcloud.datasets.documents.document import Claim, PortalSummary
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import AttemptCrashed

Documents = Database[dict[str, Any]]
NOW = datetime.now(UTC)
GARBAGE: list[Any] = [
    None, "text", 7, float("nan"), [], [1, {"a": 2}], b"bytes", {}, {"a": 1}, {"lease": 3},
    {"lease": {"token": 1, "expires_at": "soon"}}, {"lease": {"token": "t"}},
    {"waiting": "x", "queued_at": "never"}, {"request": [], "history": 5}, {"request": {"id": 3}},
]  # fmt: skip


@pytest.fixture
def store(database: Documents) -> DatasetStore:
    store = DatasetStore(database, owner="one", lease_seconds=600)
    store.ensure_indexes()
    return store


def begun(database: Documents, store: DatasetStore) -> Claim:
    database.visstoredatas.insert_one({"uuid": "a", "status": "conversion queued"})
    claim = store.claim()
    assert claim is not None
    return claim


def edit(database: Documents, **changes: Any) -> None:
    database.visstoredatas.update_one({"uuid": "a"}, {"$set": changes})


def found(database: Documents) -> dict[str, Any]:
    document = database.visstoredatas.find_one({"uuid": "a"})
    assert document is not None
    return document


ENDINGS: list[Callable[[DatasetStore, Claim], bool]] = [
    lambda store, claim: store.renew(claim),
    lambda store, claim: store.complete(claim, PortalSummary()),
    lambda store, claim: store.retry(claim, AttemptCrashed(), 60, counted=True),
    lambda store, claim: store.release(claim),
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_an_overwritten_record_brings_the_dataset_back_at_once(
    database: Documents, store: DatasetStore, garbage: Any
) -> None:
    """As the same request: so that what was published already is adopted, not made again."""
    claim = begun(database, store)
    edit(database, conversion=garbage)
    assert not store.renew(claim)
    assert found(database)["status"] == "conversion queued"
    again = DatasetStore(database, owner="two", lease_seconds=600).claim()
    assert again is not None
    assert (again.request_id, again.attempt, again.lost) == (claim.request_id, 1, 1)
    assert again.token != claim.token
    assert not store.renew(claim)
    assert store.complete(again, PortalSummary())


@pytest.mark.parametrize("ending", ENDINGS)
def test_whatever_the_owner_does_next_it_takes_the_dataset_back(
    database: Documents, store: DatasetStore, ending: Callable[[DatasetStore, Claim], bool]
) -> None:
    claim = begun(database, store)
    edit(database, conversion="garbage")
    assert not ending(store, claim)
    document = found(database)
    assert document["status"] == "conversion queued"
    assert document["conversion"]["history"][-1]["code"] == "HostLost"


def test_an_endless_overwriter_ends_in_a_failure(database: Documents, store: DatasetStore) -> None:
    claim: Claim | None = begun(database, store)
    for _ in range(21):
        assert claim is not None
        edit(database, conversion=None)
        store.renew(claim)
        claim = store.claim()
    assert claim is None
    assert found(database)["status"] == "conversion failed"


FOREIGN: list[dict[str, Any]] = [
    {"$unset": {"conversion": 1}},
    {"$unset": {"conversion.lease": 1}},
    {"$set": {"conversion.lease": {"token": "other", "expires_at": NOW + timedelta(hours=1)}}},
    {"$set": {"conversion": {"request": {"id": "other"}, "lease": "x"}}},
    {"$set": {"conversion": "garbage", "status": "cancelled"}},
    {"$set": {"conversion": "garbage", "status": "done"}},
    {"$set": {"conversion": {}, "status": "conversion queued"}},
]


@pytest.mark.parametrize("change", FOREIGN)
def test_what_may_be_somebody_elses_is_left_alone(
    database: Documents, store: DatasetStore, change: dict[str, Any]
) -> None:
    claim = begun(database, store)
    database.visstoredatas.update_one({"uuid": "a"}, change)
    before = found(database)
    assert not store.renew(claim)
    assert not store.complete(claim, PortalSummary())
    assert found(database) == before


@pytest.mark.parametrize("status", ["done", "conversion failed", "conversion error"])
def test_an_end_set_by_another_program_stands_and_is_noted(
    database: Documents, store: DatasetStore, status: str
) -> None:
    claim = begun(database, store)
    edit(database, status=status)
    assert not store.complete(claim, PortalSummary())
    document = found(database)
    assert document["status"] == status
    contested = document["conversion"]["contested"]
    assert (contested["how"], contested["status"]) == ("ended", status)
    assert "lease" not in document["conversion"]


@pytest.mark.parametrize("renewed", [True, False])
def test_a_claim_of_another_program_is_noted(
    database: Documents, store: DatasetStore, renewed: bool
) -> None:
    """It sets `converting` on what is ours, and the date."""
    claim = begun(database, store)
    edit(database, status="converting", updated_at=NOW)
    if renewed:
        assert store.renew(claim)
        assert store.renew(claim)
    assert store.complete(claim, PortalSummary())
    document = found(database)
    assert document["status"] == "done"
    assert document["conversion"]["contested"]["how"] == "written"
    edit(database, status="conversion queued")
    assert store.claim() is not None
    assert "contested" not in found(database)["conversion"]


def test_an_undisturbed_conversion_is_not_contested(
    database: Documents, store: DatasetStore
) -> None:
    claim = begun(database, store)
    store.renew(claim, (1.0, "x"), {"bytes": 1})
    store.complete(claim, PortalSummary())
    store.rescue()
    assert "contested" not in found(database)["conversion"]


def test_a_claim_on_what_we_had_finished_is_noted(database: Documents, store: DatasetStore) -> None:
    """The older service had seen it queued, and comes late."""
    store.complete(begun(database, store), PortalSummary())
    edit(database, status="converting", updated_at=datetime.now(UTC))
    store.rescue()
    assert found(database)["conversion"]["contested"]["how"] == "claimed"
    assert found(database)["status"] == "converting"
