"""Several services, people and accidents in any order: the lease protocol as a state machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from pymongo.database import Database

from scientistcloud.datasets.documents.document import Claim, PortalSummary
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import AttemptCrashed, CorruptSource, OutOfSpace

OUTCOMES = ("done", "failed", "counted", "delayed", "released")
ACTIONS = Counter(
    dict.fromkeys(OUTCOMES, 2),
    queue=4,
    claim=8,
    renew=3,
    requeue=1,
    cancel=1,
    delete=1,
    let_time_pass=3,
    rescue=2,
    garble=1,
    foreign_claim=1,
    foreign_end=1,
)
"""What can happen, and how often as compared with the rest."""

USERS = {"a": "ann", "b": "ann", "c": "bob"}
GARBAGE = "garbage"
PAST = datetime.now(UTC) - timedelta(days=1)
FUTURE = datetime.now(UTC) + timedelta(days=1)


@dataclass
class Expected:
    """What a document must be.

    `token` is that of the claim that is held; `lease` that of the lease in the document, which
    other programs leave there when they change the status.
    """

    status: str = "conversion queued"
    waiting: bool = False
    due: bool = True
    attempts: int = 0
    lost: int = 0
    request_id: str = ""
    token: str = ""
    lease: str = ""
    garbled: bool = False
    expired: bool = False
    settled: set[str] = field(default_factory=set)

    @property
    def eligible(self) -> bool:
        return self.status == "conversion queued" and (self.due or not self.waiting)

    def put_back(self, *, due: bool) -> None:
        self.status, self.waiting, self.due = "conversion queued", True, due
        self.token, self.lease, self.garbled = "", "", False

    def end(self, status: str) -> None:
        self.status, self.waiting, self.token = status, False, ""
        self.lease, self.garbled = "", False

    def set_by_others(self, status: str) -> None:
        self.status = status
        self.token = self.lease if status == "converting" else ""


class LeaseProtocol(RuleBasedStateMachine):
    """Whatever happens, each document is where the protocol says, and held by one owner at most."""

    def __init__(self, database: Database[dict[str, Any]], limit: int = 0) -> None:
        super().__init__()
        self.collection = database.visstoredatas
        self.collection.delete_many({})
        self.limit = limit
        # Their clock runs so fast that nothing they know is recent.
        ticks = count(0, 10)
        self.services = [
            DatasetStore(
                database,
                owner=f"service {number}",
                lease_seconds=600,
                limit_per_user=limit,
                clock=lambda: float(next(ticks)),
            )
            for number in range(3)
        ]
        self.expected: dict[str, Expected] = {}
        self.taken: list[Claim] = []

    # One rule, because several would be switched off at random, and most paths need them all.
    @rule(
        action=st.sampled_from(sorted(ACTIONS.elements())),
        name=st.sampled_from(["a", "b", "c"]),
        service=st.integers(0, 2),
        pick=st.integers(0, 99),
    )
    def act(self, action: str, name: str, service: int, pick: int) -> None:
        store = self.services[service]
        if action in OUTCOMES:
            # The newest claims are the ones that may be held.
            if self.taken:
                self.settle(self.taken[-1 - pick % min(4, len(self.taken))], store, action)
        elif action == "renew":
            if self.taken:
                self.renew(self.taken[-1 - pick % min(6, len(self.taken))], store)
        else:
            getattr(self, action)(name, store)

    def queue(self, name: str, store: DatasetStore) -> None:
        """Somebody uploads it, or writes the status and nothing else, as the portal does."""
        queued = {"$set": {"status": "conversion queued", "user": USERS[name]}}
        self.collection.update_one({"uuid": name}, queued, upsert=True)
        value = self.expected.setdefault(name, Expected())
        if value.status != "conversion queued":
            value.set_by_others("conversion queued")

    def claim(self, name: str, store: DatasetStore) -> None:
        before = {document["uuid"]: document for document in self.collection.find()}
        running = Counter(USERS[each] for each in before if self.is_running(before[each]))
        eligible = {
            name
            for name, value in self.expected.items()
            if value.eligible and not (self.limit and running[USERS[name]] >= self.limit)
        }
        claim = store.claim()
        if claim is None:
            assert not eligible
            return
        assert claim.uuid in eligible
        user = USERS[claim.uuid]
        assert running[user] == min(running[USERS[each]] for each in eligible)
        same = [before[each] for each in eligible if USERS[each] == user]
        assert before[claim.uuid] == min(same, key=since)
        assert claim.problem is None
        value = self.expected[claim.uuid]
        if not value.waiting:
            value.attempts = value.lost = 0
        assert (claim.attempt, claim.lost) == (value.attempts + 1, value.lost)
        assert (claim.request_id == value.request_id) == value.waiting
        value.status, value.waiting, value.expired = "converting", False, False
        value.request_id, value.token = claim.request_id, claim.token
        value.lease, value.garbled = claim.token, False
        self.taken.append(claim)

    def is_running(self, document: dict[str, Any]) -> bool:
        """Whether it counts as its user's: with a limit only what services of ours hold."""
        conversion = document.get("conversion")
        if document["status"] != "converting" or not isinstance(conversion, dict):
            return False
        return "share" in conversion and ("lease" in conversion or not self.limit)

    def holds(self, claim: Claim) -> bool:
        value = self.expected.get(claim.uuid)
        return value is not None and value.status == "converting" and value.token == claim.token

    def renew(self, claim: Claim, store: DatasetStore) -> None:
        held = self.holds(claim)
        assert store.renew(claim, (50.0, "half")) is held
        if held:
            self.expected[claim.uuid].expired = False
        else:
            self.lose(claim)

    def lose(self, claim: Claim) -> None:
        """Its service found the claim lost: it mends what is garbled, and clears up."""
        value = self.expected.get(claim.uuid)
        if value is None or self.collection.count_documents({"_id": claim.id}) == 0:
            return
        if value.status == "converting" and value.garbled:
            value.attempts, value.lost = claim.attempt - 1, claim.lost + 1
            value.request_id = claim.request_id
            value.put_back(due=True)
        elif value.status in ("done", "conversion failed") and value.lease == claim.token:
            value.lease = ""

    def settle(self, claim: Claim, store: DatasetStore, how: str) -> None:
        held = self.holds(claim)
        value = self.expected.get(claim.uuid, Expected())
        if claim.token in value.settled:
            return  # its owner has been told, and does not ask again
        if how == "done":
            matched = store.complete(claim, PortalSummary())
        elif how == "failed":
            matched = store.fail(claim, CorruptSource())
        elif how == "released":
            matched = store.release(claim)
        else:
            error = AttemptCrashed() if how == "counted" else OutOfSpace()
            matched = store.retry(claim, error, 3600, counted=how == "counted")
        assert matched is held
        if not held:
            self.lose(claim)
            return
        value.settled.add(claim.token)
        if how in ("done", "failed"):
            value.end("done" if how == "done" else "conversion failed")
        else:
            value.attempts += how == "counted"
            value.put_back(due=how == "released")

    def requeue(self, name: str, store: DatasetStore) -> None:
        assert store.requeue(name) is (name in self.expected)
        if name in self.expected:
            self.expected[name].end("conversion queued")

    def cancel(self, name: str, store: DatasetStore) -> None:
        value = self.expected.get(name)
        active = value is not None and value.status in ("conversion queued", "converting")
        assert store.cancel(name) is active
        if value is not None and active:
            value.end("cancelled")

    def delete(self, name: str, store: DatasetStore) -> None:
        self.collection.delete_one({"uuid": name})
        self.expected.pop(name, None)

    def let_time_pass(self, name: str, store: DatasetStore) -> None:
        """Its lease runs out, its delay ends."""
        for path in ("conversion.lease.expires_at", "conversion.waiting.not_before"):
            self.collection.update_one(
                {"uuid": name, path: {"$exists": True}}, {"$set": {path: PAST}}
            )
        if name in self.expected:
            self.expected[name].due = True
            self.expected[name].expired = bool(self.expected[name].lease)

    def garble(self, name: str, store: DatasetStore) -> None:
        """Somebody overwrites what the protocol goes by, of a dataset that is converting."""
        value = self.expected.get(name)
        if value is not None and value.status == "converting":
            self.collection.update_one({"uuid": name}, {"$set": {"conversion": GARBAGE}})
            value.garbled, value.token, value.lease, value.waiting = True, "", "", False

    def foreign_claim(self, name: str, store: DatasetStore) -> None:
        """An older service had found it queued: it comes when it comes."""
        change = {"status": "converting", "updated_at": datetime.now(UTC)}
        self.collection.update_one({"uuid": name}, {"$set": change})
        if name in self.expected and self.expected[name].status != "converting":
            value = self.expected[name]
            value.set_by_others("converting")
            # What was garbled is mended when the request gets its place in the queue.
            found = self.collection.find_one({"uuid": name, "conversion": GARBAGE})
            value.garbled = found is not None

    def foreign_end(self, name: str, store: DatasetStore) -> None:
        """An older service is done with it."""
        value = self.expected.get(name)
        if value is not None and value.status == "converting":
            self.collection.update_one({"uuid": name}, {"$set": {"status": "done"}})
            value.set_by_others("done")

    def rescue(self, name: str, store: DatasetStore) -> None:
        rescued = {claim.uuid for claim in store.rescue().lost}
        for uuid, value in self.expected.items():
            taken = value.status == "converting" and value.expired and bool(value.token)
            assert (uuid in rescued) == taken
            if taken:
                value.lost += 1
                value.put_back(due=True)
            elif value.status not in ("conversion queued", "converting"):
                value.waiting = False  # another program ended what waited

    @invariant()
    def each_document_is_where_it_must_be(self) -> None:
        found = {document["uuid"]: document for document in self.collection.find()}
        assert found.keys() == self.expected.keys()
        for name, value in self.expected.items():
            document = found[name]
            conversion = document.get("conversion", {})
            assert document["status"] == value.status
            if value.garbled and conversion == GARBAGE:
                continue
            assert not (value.garbled and value.status == "converting")
            assert ("waiting" in conversion) == value.waiting
            assert len(conversion.get("history", [])) <= 10
            assert conversion.get("lease", {}).get("token", "") == value.lease
            if value.status == "converting" and value.token:
                assert document["conversion_retry_count"] == value.attempts

    @invariant()
    def nobody_has_more_than_the_limit(self) -> None:
        if self.limit:
            users = [USERS[name] for name, value in self.expected.items() if value.token]
            assert max(Counter(users).values(), default=0) <= self.limit


def since(document: dict[str, Any]) -> tuple[Any, Any]:
    """What the datasets of one user are sorted by; those not seen yet come last."""
    conversion = document.get("conversion")
    found = conversion.get("queued_at") if isinstance(conversion, dict) else None
    return (found or FUTURE, document["_id"])


@pytest.mark.parametrize(("indexed", "limit"), [(False, 0), (True, 0), (True, 1)])
def test_the_lease_protocol_holds(
    database: Database[dict[str, Any]], indexed: bool, limit: int
) -> None:
    if indexed:
        DatasetStore(database, owner="", lease_seconds=1).ensure_indexes()
    checks = settings(
        max_examples=40,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],  # to shrink a failure takes minutes: add Phase.shrink for it
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: LeaseProtocol(database, limit), settings=checks)
