"""The watch: what is told, when, and what it costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection
from pymongo.database import Database

from scientistcloud.database.connection import connect
from scientistcloud.database.embedded import EmbeddedMongo
from scientistcloud.datasets.documents.document import PortalSummary
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.datasets.watching.changes import watch_queue
from scientistcloud.errors import CorruptSource, DatabaseUnavailable

from .test_rescue_outages import kill_mongod

WAIT_SECONDS = 20.0


class Told:
    """What a watch reported."""

    def __init__(self) -> None:
        self.wakes = 0
        self.touched: list[Any] = []
        self.watching: list[bool] = []

    def wake(self) -> None:
        self.wakes += 1

    def clear(self) -> None:
        self.wakes = 0
        self.touched.clear()


@contextmanager
def watched(collection: Collection[dict[str, Any]], **options: Any) -> Iterator[Told]:
    told, stop = Told(), threading.Event()
    thread = threading.Thread(
        target=watch_queue,
        args=(collection, told.wake, stop, told.touched.append),
        kwargs={"watching": told.watching.append, **options},
    )
    thread.start()
    try:
        wait_until(lambda: told.touched == [None])
        assert told.wakes == 1
        told.clear()
        yield told
    finally:
        stop.set()
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def a_store(database: Database[dict[str, Any]]) -> DatasetStore:
    return DatasetStore(database, owner="one", lease_seconds=15)


def barrier(told: Told, collection: Collection[dict[str, Any]]) -> None:
    """Events come in order: after this one, all before it have been told."""
    mark = collection.insert_one({"uuid": "mark"}).inserted_id
    collection.delete_one({"_id": mark})
    wait_until(lambda: mark in told.touched)
    told.touched.remove(mark)


@pytest.mark.parametrize("large", [False, True])
def test_requests_wake_and_edits_by_others_are_told(
    database: Database[dict[str, Any]], large: bool
) -> None:
    """The server logs updates of small documents as replacements, of large ones as changes."""
    collection, store = database.visstoredatas, a_store(database)
    filler = {"files": ["x" * 50] * 100} if large else {}
    with watched(collection) as told:
        first = collection.insert_one({"uuid": "u1", "status": "uploading"} | filler).inserted_id
        barrier(told, collection)
        assert (told.wakes, told.touched) == (0, [])
        for status in ("conversion queued", "cancelled"):
            collection.update_one({"_id": first}, {"$set": {"status": status}})
        barrier(told, collection)
        assert (told.wakes, told.touched) == (1, [first, first])
        told.clear()

        store.requeue("u1")
        claim = store.claim()
        assert claim is not None
        store.renew(claim, (1.0, "begun"))
        store.complete(claim, PortalSummary())
        barrier(told, collection)
        assert (told.wakes, told.touched) == (1, [first]), "only the request is told of"
        told.clear()

        store.requeue("u1")
        claim = store.claim()
        assert claim is not None
        store.fail(claim, CorruptSource())
        store.requeue("u1")
        assert store.claim() is not None
        barrier(told, collection)
        told.clear()
        collection.update_one({"_id": first}, {"$set": {"status": "done"}})
        barrier(told, collection)
        assert told.touched == [first], "somebody else says that it is done"
        collection.delete_one({"_id": first})
        barrier(told, collection)
        assert told.touched == [first, first]


def test_a_request_is_told_of_within_a_tenth_of_a_second(
    database: Database[dict[str, Any]],
) -> None:
    collection = database.visstoredatas
    delays = []
    with watched(collection) as told:
        for number in range(20):
            told.clear()
            begun = time.monotonic()
            collection.insert_one({"uuid": f"u{number}", "status": "conversion queued"})
            wait_until(lambda: told.wakes > 0)
            delays.append(time.monotonic() - begun)
    assert sorted(delays)[10] < 0.1


def test_the_watch_goes_on_after_the_collection_was_dropped(
    database: Database[dict[str, Any]],
) -> None:
    collection = database.visstoredatas
    collection.insert_one({"uuid": "u1"})
    with watched(collection) as told:
        collection.drop()
        wait_until(lambda: None in told.touched)
        told.clear()
        collection.insert_one({"uuid": "u1", "status": "conversion queued"})
        wait_until(lambda: told.wakes > 0)
        assert told.watching == [True, False, True]


def test_without_a_replica_set_it_asks_every_second(standalone_url: str) -> None:
    with connect(standalone_url) as client, watched(client.polled.visstoredatas) as told:
        wait_until(lambda: told.wakes >= 2)
        assert told.touched == [None] * told.wakes
        assert told.watching == [False]


def test_the_store_works_without_a_replica_set(standalone_url: str) -> None:
    with connect(standalone_url) as client:
        store = a_store(client.standalone)
        assert store.ensure_indexes() == []
        store.insert({"uuid": "u1", "status": "conversion queued"})
        claim = store.claim()
        assert claim is not None
        assert store.renew(claim)
        assert store.complete(claim, PortalSummary())


def test_an_idle_watch_costs_next_to_nothing(database: Database[dict[str, Any]]) -> None:
    with watched(database.visstoredatas):
        begun, wall = time.process_time(), time.monotonic()
        time.sleep(3)
        share = (time.process_time() - begun) / (time.monotonic() - wall)
    assert share < 0.01


def test_watch_and_store_outlive_a_killed_server(tmp_path: Path) -> None:
    """kill -9 of mongod: statements say that it is away, then all goes on by itself."""
    mongo = EmbeddedMongo(tmp_path)
    url = mongo.start() + "&serverSelectionTimeoutMS=500"
    try:
        with connect(url) as client:
            store = DatasetStore(client.outage, owner="one", lease_seconds=1)
            store.insert({"uuid": "u1", "status": "conversion queued"})
            claim = store.claim()
            assert claim is not None
            with watched(store.collection) as told:
                kill_mongod(tmp_path)
                with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
                    store.renew(claim)
                wait_until(lambda: told.watching[-1] is False)
                told.clear()
                mongo.start()
                store.collection.insert_one({"uuid": "u2", "status": "conversion queued"})
                wait_until(lambda: told.wakes > 0 and told.watching[-1])
                assert None in told.touched
            assert not store.rescue()
            assert store.renew(claim)
            assert store.complete(claim, PortalSummary())
    finally:
        mongo.stop()
