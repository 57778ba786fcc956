"""The queue's order, malformed documents, and services that compete."""

from __future__ import annotations

import multiprocessing
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from scientistcloud.datasets.documents.document import PortalSummary
from scientistcloud.datasets.store import DatasetStore

LONG_AGO = datetime.now(UTC) - timedelta(days=1)
LATER = datetime.now(UTC) + timedelta(days=1)
ODD_VALUES: list[Any] = [
    None, "text", "$status", "", 0, 7, 1.5, True, [], [1], ["a", {"b": 1}], {}, {"$x": 1},
    datetime.now(UTC), b"bytes", float("nan"), float("inf"), -(2**63),
]  # fmt: skip
INNER = ["priority", "queued_at", "request", "attempts", "lost", "lease", "waiting", "history"]
WAITING = ["token", "not_before", "attempts", "lost", "delays"]


def a_store(database: Database[dict[str, Any]], owner: str = "one") -> DatasetStore:
    return DatasetStore(database, owner=owner, lease_seconds=15)


def insert(database: Database[dict[str, Any]], name: str, conversion: Any = None) -> None:
    fields = {"uuid": name, "status": "conversion queued"}
    database.visstoredatas.insert_one(fields | ({"conversion": conversion} if conversion else {}))


def drain(store: DatasetStore) -> list[Any]:
    claimed = []
    while claim := store.claim():
        claimed.append(claim.uuid)
        assert store.renew(claim, (1.0, "begun"))
        assert store.complete(claim, PortalSummary())
    return claimed


def malformed() -> list[Any]:
    """`conversion` of every wrong type, and with every wrong type in each of its places."""
    valid = {"token": "t", "not_before": LONG_AGO, "attempts": 1, "lost": 0, "delays": 0}
    documents = list(ODD_VALUES)
    documents += [{name: value} for name in INNER for value in ODD_VALUES]
    documents += [{"waiting": valid | {name: value}} for name in WAITING for value in ODD_VALUES]
    documents += [{"request": {"id": value}, "waiting": valid} for value in ODD_VALUES]
    return documents


@pytest.mark.parametrize("indexed", [True, False])
def test_no_malformed_conversion_stops_the_queue(
    database: Database[dict[str, Any]], indexed: bool
) -> None:
    """Each is converted: its own malformed parts are reset."""
    store = a_store(database)
    if indexed:
        store.ensure_indexes()
    documents = malformed()
    # "Not before" dates are our own; one that lies ahead is obeyed. None of these is valid.
    for number, conversion in enumerate(documents):
        fields = {"uuid": f"u{number}", "status": "conversion queued", "conversion": conversion}
        database.visstoredatas.insert_one(fields)
    insert(database, "last")
    assert sorted(drain(store)) == sorted([f"u{n}" for n in range(len(documents))] + ["last"])
    assert store.counts() == {"done": len(documents) + 1}


@pytest.mark.parametrize("conversion", ODD_VALUES)
def test_a_malformed_conversion_is_claimed_without_a_stamp(
    database: Database[dict[str, Any]], conversion: Any
) -> None:
    """The claim does not lean on the stamp to repair the document first."""
    store = a_store(database)
    assert store.claim() is None  # the stamp is not due again within a second
    insert(database, "u1", [conversion])
    insert(database, "u2", conversion)
    assert sorted(drain(store)) == ["u1", "u2"]


def test_unreadable_values_are_no_obstacle(database: Database[dict[str, Any]]) -> None:
    """Text that is no UTF-8 and dates beyond the year 9999, as other programs may write them."""
    far = (2**62).to_bytes(8, "little")
    element = b"\x02name\0\x03\0\0\0\xff\xfe\0" + b"\x09updated_at\0" + far
    element += b"\x02uuid\0\x03\0\0\0u1\0" + b"\x02status\0\x12\0\0\0conversion queued\0"
    raw = (len(element) + 5).to_bytes(4, "little") + element + b"\0"
    database.visstoredatas.insert_one(RawBSONDocument(raw))
    insert(database, "u2")
    assert sorted(drain(a_store(database))) == ["u1", "u2"]


def test_a_document_that_may_not_be_written_is_passed_over(
    database: Database[dict[str, Any]],
) -> None:
    """One too large for any further field, and one against the collection's own validator."""
    database.create_collection("visstoredatas")
    large = {"uuid": "large", "status": "conversion queued", "x": "x" * (16 * 2**20 - 100)}
    database.visstoredatas.insert_one(large)
    insert(database, "strict")
    rule = {"$or": [{"uuid": {"$ne": "strict"}}, {"status": "conversion queued"}]}
    database.command("collMod", "visstoredatas", validator=rule)
    insert(database, "good")
    assert drain(a_store(database)) == ["good"]


def test_the_order_is_priority_then_time_of_request(database: Database[dict[str, Any]]) -> None:
    store = a_store(database)
    store.ensure_indexes()
    for name, priority in (("low", -5), ("a", None), ("b", 0), ("odd", "zzz"), ("high", 2.5)):
        insert(database, name, {"priority": priority} if priority is not None else None)
        store.stamp()
    assert drain(store) == ["high", "a", "b", "odd", "low"]


def test_a_document_put_back_keeps_its_place(database: Database[dict[str, Any]]) -> None:
    store = a_store(database)
    for name in ("a", "b"):
        insert(database, name)
        store.stamp()
    claim = store.claim()
    assert claim is not None
    assert store.release(claim)
    assert drain(store) == ["a", "b"]


def test_a_request_made_again_goes_to_the_end(database: Database[dict[str, Any]]) -> None:
    store = a_store(database)
    insert(database, "a")
    assert drain(store) == ["a"]
    insert(database, "b")
    store.stamp()
    database.visstoredatas.update_one({"uuid": "a"}, {"$set": {"status": "conversion queued"}})
    store.stamp()
    assert drain(store) == ["b", "a"]


def test_the_unstamped_do_not_starve(database: Database[dict[str, Any]]) -> None:
    """With a clock that never lets the stamp become due, they are claimed all the same."""
    times = iter([0.0] * 10_000)
    store = DatasetStore(database, owner="one", lease_seconds=15, clock=lambda: next(times))
    assert store.claim() is None
    for number in range(20):
        insert(database, f"u{number}")
    assert len(drain(store)) == 20


def test_the_waiting_do_not_stop_those_behind_them(database: Database[dict[str, Any]]) -> None:
    store = a_store(database)
    store.ensure_indexes()
    for number in range(50):
        waiting = {"token": "t", "not_before": LATER, "attempts": 1}
        insert(database, f"w{number}", {"priority": 9, "waiting": waiting})
    insert(database, "u1")
    store.stamp()
    assert drain(store) == ["u1"]


def test_services_that_compete_claim_each_dataset_once(
    database: Database[dict[str, Any]],
) -> None:
    names = [f"u{number}" for number in range(300)]
    a_store(database).ensure_indexes()
    for name in names:
        insert(database, name)
    claimed: list[str] = []

    def work(owner: str) -> None:
        claimed.extend(drain(a_store(database, owner)))

    threads = [threading.Thread(target=work, args=(f"s{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(claimed) == sorted(names)
    assert a_store(database).counts() == {"done": 300}


def _claim_all(url: str, name: str, results: Any) -> None:
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        results.put(drain(a_store(client[name], uuid.uuid4().hex)))


def test_processes_that_compete_claim_each_dataset_once(
    mongo_url: str, database: Database[dict[str, Any]]
) -> None:
    for number in range(100):
        insert(database, f"u{number}")
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [
        context.Process(target=_claim_all, args=(mongo_url, database.name, results), daemon=True)
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    claimed = [name for _ in workers for name in results.get(timeout=60)]
    for worker in workers:
        worker.join(30)
    assert len(claimed) == len(set(claimed)) == 100


def test_rescuers_that_compete_requeue_a_claim_once(database: Database[dict[str, Any]]) -> None:
    stores = [a_store(database, f"s{number}") for number in range(4)]
    for number in range(40):
        insert(database, f"u{number}")
    while stores[0].claim():
        pass
    database.visstoredatas.update_many({}, {"$set": {"conversion.lease.expires_at": LONG_AGO}})
    rescued: list[Any] = []
    threads = [
        threading.Thread(target=lambda s=store: rescued.extend(s.rescue().lost)) for store in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(rescued) == 40
    lost = [claim.lost for claim in iter(stores[1].claim, None)]
    assert lost == [1] * 40
