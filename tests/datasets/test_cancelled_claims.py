"""A document that somebody else cancels keeps nothing of the claim."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import AttemptCrashed

Documents = Database[dict[str, Any]]
OF_A_CLAIM = {"lease", "waiting", "queued_at", "share"}


@pytest.fixture
def store(database: Documents) -> DatasetStore:
    """A store with one dataset that is queued."""
    database.visstoredatas.insert_one({"uuid": "a", "status": "conversion queued"})
    return DatasetStore(database, owner="one", lease_seconds=600)


def cancel(database: Documents) -> None:
    database.visstoredatas.update_one({"uuid": "a"}, {"$set": {"status": "cancelled"}})


def left(database: Documents) -> set[str]:
    document = database.visstoredatas.find_one({"uuid": "a"}) or {}
    assert document["status"] == "cancelled"
    return OF_A_CLAIM & set(document["conversion"])


@pytest.mark.parametrize("settles", [False, True])
def test_its_owner_removes_it(database: Documents, store: DatasetStore, settles: bool) -> None:
    claim = store.claim()
    assert claim is not None
    cancel(database)
    assert "lease" in left(database)
    held = store.retry(claim, AttemptCrashed(), 1, counted=True) if settles else store.renew(claim)
    assert not held
    assert left(database) == set()


def test_others_remove_it_where_its_owner_vanished(
    database: Documents, store: DatasetStore
) -> None:
    assert store.claim() is not None
    assert store.clear_cancelled() == 0
    cancel(database)
    assert store.clear_cancelled() == 1
    assert left(database) == set()
    assert store.clear_cancelled() == 0
