"""Every transition of a dataset's document, against a real MongoDB."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Code
from pymongo.database import Database

from scientistcloud.datasets.documents.document import Claim, DatasetStatus, PortalSummary
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import (
    AttemptCrashed,
    CorruptSource,
    DuplicateUuid,
    OutOfMemory,
    OutOfSpace,
    RemoteDataset,
)

QUEUED, CONVERTING = DatasetStatus.QUEUED, DatasetStatus.CONVERTING
LONG_AGO = datetime.now(UTC) - timedelta(days=30)


@pytest.fixture
def store(database: Database[dict[str, Any]]) -> DatasetStore:
    return a_store(database)


def a_store(database: Database[dict[str, Any]], **changes: Any) -> DatasetStore:
    values = {"owner": "one", "lease_seconds": 15.0} | changes
    store = DatasetStore(database, **values)
    assert store.ensure_indexes() == []
    return store


def queue(store: DatasetStore, uuid: Any, **fields: Any) -> None:
    """As the portal and people in the shell do it."""
    store.collection.insert_one({"uuid": uuid, "status": "conversion queued"} | fields)


def edit(store: DatasetStore, known_as: str, **fields: Any) -> None:
    assert store.collection.update_one({"uuid": known_as}, {"$set": fields}).matched_count == 1


def claimed(store: DatasetStore) -> Claim:
    claim = store.claim()
    assert claim is not None
    return claim


def document(store: DatasetStore, uuid: Any) -> Mapping[str, Any]:
    found = store.find(uuid)
    assert found is not None
    return found


def make_due(store: DatasetStore, uuid: str) -> None:
    edit(store, uuid, **{"conversion.waiting.not_before": LONG_AGO})


def run_out(store: DatasetStore, uuid: str) -> None:
    edit(store, uuid, **{"conversion.lease.expires_at": LONG_AGO})


def test_a_claim_moves_the_document_and_says_what_it_holds(store: DatasetStore) -> None:
    parameters = {"Xs": "$entry/x", "$where": "1"}
    queue(store, "u1", sensor="tiff", conversion_parameters=parameters, name="$n", extra=[1, 2])
    claim = claimed(store)
    assert (claim.uuid, claim.sensor, claim.parameters) == ("u1", "tiff", parameters)
    assert (claim.attempt, claim.owner, claim.problem) == (1, "one", None)
    after = document(store, "u1")
    assert after["status"] == "converting"
    assert after["extra"] == [1, 2]
    lease = after["conversion"]["lease"]
    assert lease["token"] == claim.token
    assert lease["expires_at"] - after["updated_at"] == timedelta(seconds=15)
    assert abs(after["updated_at"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert after["conversion"]["request"]["id"] == claim.request_id
    assert store.claim() is None


def test_only_queued_documents_are_claimed(store: DatasetStore) -> None:
    for status in ("uploading", "converting", "done", "conversion failed", "cancelled", 7, None):
        store.collection.insert_one({"uuid": f"s-{status}", "status": status})
    assert store.claim() is None


def test_completion_keeps_up_what_the_portal_reads(store: DatasetStore) -> None:
    queue(store, "u1", conversion_last_error="old", error_message="old", unknown={"a": 1})
    claim = claimed(store)
    outcome = PortalSummary("1024x1024x100", 0.25, {"path": "$x", "fields": [{"name": "a"}]})
    assert store.complete(claim, outcome)
    after = document(store, "u1")
    assert after["status"] == "done"
    assert (after["dimensions"], after["data_size"]) == ("1024x1024x100", 0.25)
    assert (after["progress"], after["status_message"]) == (100, "Converted")
    assert after["completed_at"] == after["updated_at"]
    assert after["unknown"] == {"a": 1}
    assert after["conversion"]["result"] == {"path": "$x", "fields": [{"name": "a"}]}
    assert not {"lease", "waiting", "queued_at", "error"} & set(after["conversion"])
    assert not {"conversion_last_error", "error_message"} & set(after)


def test_settling_again_is_the_same_as_once(store: DatasetStore) -> None:
    """The answer to the first call may have been lost on its way."""
    queue(store, "u1")
    claim = claimed(store)
    assert store.complete(claim, PortalSummary())
    assert store.complete(claim, PortalSummary())
    assert not store.fail(claim, CorruptSource())
    assert len(document(store, "u1")["conversion"]["history"]) == 1


def test_failure_shows_the_error_and_its_remedy(store: DatasetStore) -> None:
    queue(store, "u1")
    assert store.fail(claimed(store), CorruptSource("$a.tif is cut short.", remedy="Again."))
    after = document(store, "u1")
    assert after["status"] == "conversion failed"
    assert after["conversion_last_error"] == "$a.tif is cut short. Again."
    assert after["conversion"]["error"]["code"] == "CorruptSource"
    assert [found["uuid"] for found in store.recent_failures()] == ["u1"]


def test_counted_retries_go_on_counting_and_wait(store: DatasetStore) -> None:
    queue(store, "u1")
    first = claimed(store)
    assert store.retry(first, AttemptCrashed(), 60, counted=True)
    after = document(store, "u1")
    assert (after["status"], after["conversion_retry_count"]) == ("conversion queued", 1)
    assert "lease" not in after["conversion"]
    assert "crashed" in after["conversion_last_error"]
    assert store.claim() is None
    assert 55 < (store.next_due_seconds() or 0) <= 60
    make_due(store, "u1")
    assert store.next_due_seconds() == 0
    second = claimed(store)
    assert (second.attempt, second.request_id) == (2, first.request_id)
    assert second.token != first.token
    assert document(store, "u1")["conversion_retry_count"] == 1
    assert store.fail(second, AttemptCrashed(), counted=True)
    assert document(store, "u1")["conversion_retry_count"] == 2


def test_uncounted_delays_and_releases_cost_no_attempt(store: DatasetStore) -> None:
    queue(store, "u1")
    assert store.retry(claimed(store), OutOfSpace(), 60, counted=False)
    make_due(store, "u1")
    second = claimed(store)
    assert (second.attempt, second.delays) == (1, 1)
    assert store.release(second)
    assert document(store, "u1")["status"] == "conversion queued"
    third = claimed(store)
    assert (third.attempt, third.delays, third.request_id) == (1, 1, second.request_id)


def test_what_ran_out_of_memory_is_remembered_by_the_same_request(store: DatasetStore) -> None:
    queue(store, "u1")
    assert store.retry(claimed(store), OutOfMemory(), 0, counted=False)
    second = claimed(store)
    assert (second.attempt, second.smaller) == (1, 1)
    assert store.release(second)
    third = claimed(store)
    assert third.smaller == 1
    assert store.retry(third, OutOfSpace(), 0, counted=False)
    assert claimed(store).smaller == 1
    assert store.requeue("u1")
    assert claimed(store).smaller == 0


def test_a_request_from_outside_starts_afresh(store: DatasetStore) -> None:
    queue(store, "u1")
    first = claimed(store)
    assert store.retry(first, AttemptCrashed(), 0, counted=True)
    second = claimed(store)
    assert store.fail(second, AttemptCrashed(), counted=True)
    edit(store, "u1", status="conversion queued")  # the portal's button writes nothing else
    third = claimed(store)
    assert (third.attempt, third.lost, third.delays) == (1, 0, 0)
    assert third.request_id not in {first.request_id, second.request_id}
    after = document(store, "u1")
    assert after["conversion_retry_count"] == 0
    assert "conversion_last_error" not in after
    assert "error" not in after["conversion"]


def test_a_request_during_the_conversion_takes_the_claim_away(store: DatasetStore) -> None:
    queue(store, "u1")
    first = claimed(store)
    edit(store, "u1", status="conversion queued")
    assert not store.renew(first, (50.0, "half"))
    assert not store.complete(first, PortalSummary())
    assert document(store, "u1")["status"] == "conversion queued"
    second = claimed(store)
    assert second.request_id != first.request_id
    for settle in (
        lambda: store.complete(first, PortalSummary()),
        lambda: store.retry(first, AttemptCrashed(), 0, counted=True),
        lambda: store.fail(first, CorruptSource()),
        lambda: store.release(first),
        lambda: store.renew(first),
    ):
        assert settle() is False
    assert store.renew(second)


def test_cancel_and_requeue_take_effect_in_every_status(store: DatasetStore) -> None:
    queue(store, "u1")
    assert store.cancel("u1")
    assert document(store, "u1")["status"] == "cancelled"
    assert not store.cancel("u1")
    assert store.requeue("u1")
    claim = claimed(store)
    assert store.cancel("u1")
    assert not store.renew(claim)
    assert store.requeue("u1")
    claim = claimed(store)
    assert store.requeue("u1")
    assert not store.renew(claim)
    assert store.retry(claimed(store), AttemptCrashed(), 600, counted=True)
    assert store.requeue("u1")
    assert claimed(store).attempt == 1
    assert not store.requeue("nobody")
    store.collection.insert_one({"uuid": "u2", "status": "uploading"})
    assert not store.requeue("u2")


def test_a_deleted_document_is_a_lost_claim(store: DatasetStore) -> None:
    queue(store, "u1")
    claim = claimed(store)
    store.collection.delete_one({"uuid": "u1"})
    assert not store.renew(claim)
    assert not store.complete(claim, PortalSummary())
    assert not store.exists(claim)
    assert store.collection.count_documents({}) == 0


def test_renewal_shows_what_is_being_made(store: DatasetStore) -> None:
    queue(store, "u1")
    claim = claimed(store)
    plan = {"total_bytes": 7, "datasets": [{"name": "$x", "fields": ["$$NOW"]}]}
    assert store.renew(claim, (0.0, "Converting"), plan)
    assert store.renew(claim)
    assert document(store, "u1")["conversion"]["plan"] == plan


def test_renewal_writes_progress_and_survives_edits_by_others(store: DatasetStore) -> None:
    queue(store, "u1")
    claim = claimed(store)
    assert store.renew(claim, (41.26, "$Converting: 41 %"))
    after = document(store, "u1")
    assert (after["progress"], after["status_message"]) == (41.3, "$Converting: 41 %")
    assert after["updated_at"] == after["conversion"]["lease"]["written_at"]
    edit(store, "u1", name="new", updated_at=LONG_AGO)
    assert store.renew(claim, (250.0, "over"))
    after = document(store, "u1")
    assert (after["name"], after["progress"], after["status_message"]) == ("new", 100.0, "over")
    edit(store, "u1", uuid="u2", updated_at=LONG_AGO)
    assert not store.renew(claim), "its files are other files now"


def test_an_expired_lease_that_nobody_took_is_renewed(store: DatasetStore) -> None:
    queue(store, "u1")
    claim = claimed(store)
    run_out(store, "u1")
    assert store.renew(claim)
    assert not store.rescue()
    assert store.renew(claim)


def test_rescue_requeues_an_expired_lease_at_once_and_uncounted(
    store: DatasetStore, database: Database[dict[str, Any]]
) -> None:
    queue(store, "u1")
    claim = claimed(store)
    other = a_store(database, owner="two")
    assert not other.rescue()
    run_out(store, "u1")
    assert [lost.uuid for lost in other.rescue().lost] == ["u1"]
    assert not other.rescue()
    assert not store.renew(claim)
    again = claimed(other)
    assert (again.attempt, again.lost, again.request_id) == (1, 1, claim.request_id)
    assert other.renew(again)


def test_a_dataset_that_loses_host_after_host_is_given_up(store: DatasetStore) -> None:
    queue(store, "u1")
    for _ in range(20):
        claimed(store)
        run_out(store, "u1")
        assert store.rescue()
    assert claimed(store).lost == 20
    run_out(store, "u1")
    assert store.rescue()
    after = document(store, "u1")
    assert (after["status"], after["conversion"]["error"]["code"]) == (
        "conversion failed",
        "HostLost",
    )
    assert len(after["conversion"]["history"]) == 10


@pytest.mark.parametrize("conversion", [None, "x", [], {"lease": 7}, {"lease": {"token": 1}}])
def test_a_foreign_claim_is_taken_over_when_it_is_old(store: DatasetStore, conversion: Any) -> None:
    young = datetime.now(UTC) - timedelta(minutes=179)
    old = datetime.now(UTC) - timedelta(minutes=181)
    common = {"status": "converting", "conversion": conversion}
    store.collection.insert_one({"uuid": "young", "updated_at": young} | common)
    store.collection.insert_one({"uuid": "old", "updated_at": old} | common)
    store.collection.insert_one({"uuid": "undated", "updated_at": "yesterday"} | common)
    assert len(store.rescue().foreign) == 1
    assert not store.rescue()
    assert document(store, "young")["status"] == "converting"
    assert isinstance(document(store, "undated")["updated_at"], datetime)
    claim = claimed(store)
    assert (claim.uuid, claim.attempt) == ("old", 1)


def test_waiting_left_over_by_another_program_is_dropped(store: DatasetStore) -> None:
    queue(store, "u1")
    assert store.retry(claimed(store), AttemptCrashed(), 0, counted=True)
    edit(store, "u1", status="conversion error")  # an older service took it, and failed
    store.rescue()
    edit(store, "u1", status="conversion queued")
    assert claimed(store).attempt == 1


def test_two_documents_of_one_uuid_both_fail_without_a_file_touched(store: DatasetStore) -> None:
    queue(store, "u1")
    queue(store, "u1", status="done")
    queue(store, "u2")
    claims = [claimed(store), claimed(store)]
    problems = {claim.uuid: claim.problem for claim in claims}
    assert isinstance(problems["u1"], DuplicateUuid)
    assert problems["u2"] is None


@pytest.mark.parametrize(
    ("uuid", "code"),
    [
        (None, "MissingUuid"),
        ("", "MissingUuid"),
        ("..", "UnusableUuid"),
        (".hidden", "UnusableUuid"),
        ("/abs", "UnusableUuid"),
        ("a/b", "UnusableUuid"),
        ("a\n", "UnusableUuid"),
        ("a\0b", "UnusableUuid"),
        ("ä", "UnusableUuid"),
        ("x" * 129, "UnusableUuid"),
        (7, "UnusableUuid"),
        (Code("plain"), "UnusableUuid"),
        ({"$ne": 1}, "UnusableUuid"),
        (["u1"], "UnusableUuid"),
    ],
)
def test_an_unusable_uuid_is_named(store: DatasetStore, uuid: Any, code: str) -> None:
    store.collection.insert_one({"uuid": uuid, "status": "conversion queued"})
    claim = claimed(store)
    assert claim.problem is not None
    assert claim.problem.code == code
    assert store.fail(claim, claim.problem)
    assert store.counts() == {"conversion failed": 1}


def test_a_document_without_any_uuid_fails_alone(store: DatasetStore) -> None:
    store.collection.insert_one({"status": "conversion queued"})
    store.collection.insert_one({"status": "conversion queued"})
    for _ in range(2):
        problem = claimed(store).problem
        assert problem is not None
        assert problem.code == "MissingUuid"


@pytest.mark.parametrize(
    ("link", "remote"),
    [
        ("https://example.org/visus.idx", True),
        ("http://10.0.0.1/x", True),
        ("https://drive.google.com/file/d/1", False),
        ("1AbC", False),
        (5, False),
    ],
)
def test_a_dataset_on_another_server_is_told_apart(
    store: DatasetStore, link: Any, remote: bool
) -> None:
    queue(store, "u1", google_drive_link=link)
    assert isinstance(claimed(store).problem, RemoteDataset) is remote


def test_inserted_documents_carry_the_servers_dates(store: DatasetStore) -> None:
    fields = {"uuid": "u1", "status": "conversion queued", "name": "$n", "tags": ["$a"]}
    document_id = store.insert(fields)
    after = document(store, "u1")
    assert after["_id"] == document_id
    assert {name: after[name] for name in fields} == fields
    assert after["created_at"] == after["updated_at"] == after["conversion"]["queued_at"]
    with pytest.raises(DuplicateUuid, match="u1"):
        store.insert(fields)


def test_reports_for_operators(store: DatasetStore) -> None:
    assert (store.oldest_queued(), store.next_due_seconds(), store.counts()) == (None, None, {})
    queue(store, "u1")
    store.stamp()
    queue(store, "u2")
    queue(store, "odd", status=7)
    oldest = store.oldest_queued()
    assert oldest is not None
    assert oldest["uuid"] == "u1"
    assert store.counts() == {"conversion queued": 2, "7": 1}
