"""The queue: which document comes next, and the one conditional update that claims it."""

from __future__ import annotations

import random
import time
import uuid as uuids
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pymongo.errors import OperationFailure

from scientistcloud.datasets.documents import expression, transition
from scientistcloud.datasets.documents.claim_record import CLAIM_FIELDS, claim_from, held
from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.datasets.documents.document import Claim, DatasetStatus, identity_problem
from scientistcloud.datasets.documents.queue_order import EPOCH, LEASED_RUNNING, UNSTAMPED
from scientistcloud.datasets.queue.candidates import Candidates
from scientistcloud.errors import DuplicateUuid

STAMP_SECONDS = 1.0
REFUSED_SECONDS = 600.0
MOST_REFUSED = 100
"""Beyond this number the fault is not in the documents."""

WIDEST = 32.0
WIDENING = 2.0
NARROWING = 0.97
WINDOW_PER_WIDTH = 32
"""A service at full width plans 32 claims among the next 1024 documents.

Chosen by ``benchmarks.claims``: of the claims that 8 services try, one in eight is lost.
"""

CALM_SECONDS = 1.0
"""After so long without a claim there is no contention, and the order is strict again."""

SPREAD_SECONDS = 0.02
"""Over which services that nothing was found for spread their next look."""

HELD_BACK_SECONDS = 1.0
"""How often a service looks whether a user is below the limit again."""

PLAN_SECONDS = 0.25
"""How old a plan may be: bounds how long an urgent request waits behind it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that may be claimed; `twins` if others have the same uuid."""

    id: Any
    twins: bool


class Queue:
    """Claims documents in order: priority, then fair between users, then the time of the request.

    A service alone takes the first. Where services compete, each spreads over the documents of
    the same priority, the more the more races it loses, and plans a few claims at a time: so they
    do not form a convoy.

    Parameters
    ----------
    limit : int
        The most datasets of one user that services may convert at a time; 0 for no limit.
    """

    def __init__(
        self,
        collection: GuardedCollection,
        *,
        owner: str,
        lease_seconds: float,
        limit: int,
        clock: Callable[[], float],
    ) -> None:
        self._collection = collection
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._limit = limit
        self._clock = clock
        self._random = random.Random()
        self._candidates = Candidates(
            collection,
            limit=limit,
            clock=clock,
            choice=self._random,
            unwanted=self._unwanted,
        )
        self._stamped_at = float("-inf")
        self._width = 1.0
        self._claimed_at = float("-inf")
        self._planned: list[Candidate] = []
        self._planned_at = float("-inf")
        # Documents that the server does not let us write (too large, or against a validator).
        self._refused: list[Any] = []
        self._refused_at = float("-inf")
        # Documents that this call of `claim` put back.
        self._put_back: list[Any] = []
        # Whether the last look was in vain.
        self._idle = False

    def claim(self) -> Claim | None:
        """The next due document, now ours; None if there is none."""
        self._put_back.clear()
        if self._idle and not self._is_anything_due():
            return None
        self._stamp_if_due()
        if self._clock() - self._claimed_at > CALM_SECONDS:
            self._width = 1.0
        while candidate := self._next_candidate():
            claim = self._take(candidate)
            if claim is None:
                self._width = min(WIDEST, self._width * WIDENING)
            elif self._is_within_limit(claim):
                self._width = max(1.0, self._width * NARROWING)
                self._claimed_at = self._clock()
                self._candidates.note(claim.share)
                self._idle = False
                return claim
        self._idle = True
        return None

    def next_due_seconds(self) -> float | None:
        """When to look again for what waits, by the server's clock: None if nothing does."""
        not_before = "conversion.waiting.not_before"
        waiting = {"status": DatasetStatus.QUEUED.value, not_before: {"$gte": EPOCH}}
        found = self._collection.aggregate(
            [
                {"$match": {**waiting, "_id": {"$nin": self._refused_now()}}},
                {"$match": {"$expr": expression.WAITING}},
                {"$sort": {not_before: 1}},
                {"$limit": 1},
                {"$project": {"due_ms": {"$subtract": [f"${not_before}", expression.NOW]}}},
            ]
        )
        due = max(0.0, float(found[0]["due_ms"]) / 1000) if found else None
        if not self._candidates.held_back:
            return due
        # What other services finish wakes nobody here.
        look = HELD_BACK_SECONDS * self._random.uniform(0.75, 1.25)
        return look if due is None else min(look, due)

    def settled(self) -> None:
        """A claim of this service ended: its user may be below the limit again."""
        if self._limit:
            self._candidates.forget()

    def stamp(self) -> int:
        """Give queued documents that lack it their place in the order; how many there were."""
        self._stamped_at = self._clock()
        query = {**UNSTAMPED, "_id": {"$nin": self._refused_now()}}
        return self._collection.update_many(query, transition.stamping())

    def _refused_now(self) -> list[Any]:
        """`_id` of documents that the server did not let us write a short while ago."""
        if self._clock() - self._refused_at > REFUSED_SECONDS:
            self._refused.clear()
        return list(self._refused)

    def _unwanted(self) -> list[Any]:
        return self._refused_now() + self._put_back

    def _stamp_if_due(self) -> None:
        if self._clock() - self._stamped_at < STAMP_SECONDS:
            return
        try:
            self.stamp()
        except OperationFailure:
            # One document that cannot be written stops the statement. The order suffers, the
            # queue does not: `_unstamped` finds what has no stamp.
            return

    def _next_candidate(self) -> Candidate | None:
        alone = self._width < WIDENING
        if alone or self._clock() - self._planned_at > PLAN_SECONDS:
            self._planned.clear()
        if not self._planned:
            self._planned_at = self._clock()
            number = int(self._width)
            window = 1 if alone else int(self._width * WINDOW_PER_WIDTH)
            found = self._candidates.pick(number, window) or self._unstamped(number)
            self._planned = self._with_twins(found)
        return self._planned.pop() if self._planned else None

    def _is_anything_due(self) -> bool:
        """Whether a service that has nothing to do finds something, at the cost of one query.

        A request wakes all services. They look one after another, and the later ones find it gone.
        """
        time.sleep(self._random.uniform(0.0, SPREAD_SECONDS))
        due = {"_id": {"$nin": self._refused_now()}, "$expr": expression.DUE}
        query = {"status": DatasetStatus.QUEUED.value, **due}
        return bool(self._collection.find(query, {"_id": 1}, limit=1))

    def _unstamped(self, limit: int) -> list[Document]:
        due = {"_id": {"$nin": self._unwanted()}, "$expr": expression.DUE}
        return self._collection.find({**UNSTAMPED, **due}, {"uuid": 1}, limit=limit)

    def _is_within_limit(self, claim: Claim) -> bool:
        """Whether the claim may stand; else it was given back.

        Every service looks after its claim is written: of those that claim at once for the same
        user, the last one to write sees all of the others, so that no more than the limit stand.
        """
        if not self._limit:
            return True
        number = self._collection.count(
            {**LEASED_RUNNING, "conversion.share": {"$eq": claim.share}}
        )
        if number <= self._limit:
            return True
        self._put_back.append(claim.id)
        self._planned.clear()
        self._candidates.hold(claim.share)
        self._collection.update_id(held(claim), transition.holding_back(claim))
        return False

    def _with_twins(self, documents: list[Document]) -> list[Candidate]:
        uuids_found = [uuid for found in documents if (uuid := _usable(found))]
        same = (
            self._collection.find({"uuid": {"$in": uuids_found}}, {"uuid": 1})
            if uuids_found
            else []
        )
        counted = Counter(found["uuid"] for found in same if isinstance(found["uuid"], str))
        return [Candidate(found["_id"], counted[_usable(found)] > 1) for found in documents]

    def _take(self, candidate: Candidate) -> Claim | None:
        token, request_id = uuids.uuid4().hex, uuids.uuid4().hex
        query = {
            "_id": candidate.id,
            "status": DatasetStatus.QUEUED.value,
            "$expr": expression.DUE,
        }
        update = transition.claiming(token, self._owner, request_id, self._lease_seconds)
        try:
            found = self._collection.exchange_id(query, update, CLAIM_FIELDS, after=True)
        except OperationFailure:
            if len(self._refused) >= MOST_REFUSED:
                raise
            self._refused.append(candidate.id)
            self._refused_at = self._clock()
            return None
        if found is None:
            return None
        claim = claim_from(found)
        if claim.problem is None and candidate.twins:
            return replace(claim, problem=DuplicateUuid())
        return claim


def _usable(document: Mapping[str, Any]) -> str:
    """The document's uuid, or "" if it is not a usable one."""
    uuid = document.get("uuid")
    return str(uuid) if identity_problem(uuid) is None else ""
