"""The queue: which document comes next, and the one conditional update that claims it."""

from __future__ import annotations

import random
import time
import uuid as uuids
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import OperationFailure

from scientistcloud.datasets import transition
from scientistcloud.datasets.collection import Document, GuardedCollection
from scientistcloud.datasets.document import (
    Claim,
    DatasetStatus,
    identity_problem,
    remote_problem,
)
from scientistcloud.errors import DuplicateUuid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOWEST = float("-inf")
ORDER = (("conversion.priority", -1), ("conversion.queued_at", 1), ("_id", 1))

# Ranges rather than $type, because an index can answer these, also turned round by $not.
STAMPED = {
    "status": DatasetStatus.QUEUED.value,
    "conversion.priority": {"$gte": LOWEST},
    "conversion.queued_at": {"$gte": EPOCH},
}
UNSTAMPED = {
    "status": DatasetStatus.QUEUED.value,
    "$or": [
        {"conversion.queued_at": {"$not": {"$gte": EPOCH}}},
        {"conversion.priority": {"$not": {"$gte": LOWEST}}},
    ],
}

CLAIM_FIELDS = {
    "uuid": 1,
    "sensor": 1,
    "conversion_parameters": 1,
    "name": 1,
    "google_drive_link": 1,
    "conversion.request.id": 1,
    "conversion.attempts": 1,
    "conversion.lost": 1,
    "conversion.delays": 1,
    "conversion.lease.token": 1,
    "conversion.lease.owner": 1,
}
STAMP_SECONDS = 1.0
REFUSED_SECONDS = 600.0
MOST_REFUSED = 100
"""Beyond this number the fault is not in the documents."""

WIDEST = 64
"""Most candidates among which one is picked when services compete."""


class Queue:
    """Claims documents in order: priority, then the time of the request.

    A service alone takes the first. Where services compete for the same document they spread over
    the first few, twice as many after each lost race, so that they do not form a convoy.
    """

    def __init__(
        self,
        collection: GuardedCollection,
        *,
        owner: str,
        lease_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        choice: random.Random | None = None,
    ) -> None:
        self._collection = collection
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._random = choice or random.Random()
        self._stamped_at = float("-inf")
        self._width = 1
        # Documents that the server does not let us write (too large, or against a validator).
        self._refused: list[Any] = []
        self._refused_at = float("-inf")

    def claim(self) -> Claim | None:
        """The next due document, now ours; None if there is none."""
        self._stamp_if_due()
        while candidates := self._candidates():
            while candidates:
                pick = self._random.randrange(min(self._width, len(candidates)))
                claim = self._take(candidates.pop(pick))
                if claim is not None:
                    self._width = max(1, self._width // 2)
                    return claim
                self._width = min(WIDEST, self._width * 2)
        return None

    def stamp(self) -> int:
        """Give queued documents that lack it their place in the order; how many there were."""
        self._stamped_at = self._clock()
        query = {**UNSTAMPED, "_id": {"$nin": self.refused}}
        return self._collection.update_many(query, transition.stamping())

    @property
    def refused(self) -> list[Any]:
        """`_id` of documents that the server did not let us write a short while ago."""
        if self._clock() - self._refused_at > REFUSED_SECONDS:
            self._refused.clear()
        return list(self._refused)

    def _stamp_if_due(self) -> None:
        if self._clock() - self._stamped_at < STAMP_SECONDS:
            return
        try:
            self.stamp()
        except OperationFailure:
            # One document that cannot be written stops the statement. The order suffers, the
            # queue does not: `_candidates` also finds what has no stamp.
            return

    def _candidates(self) -> list[Any]:
        due = {"_id": {"$nin": self.refused}, "$expr": transition.DUE}
        limit = 4 + self._width
        found = self._collection.find({**STAMPED, **due}, {"_id": 1}, sort=ORDER, limit=limit)
        if len(found) < limit:
            found += self._collection.find({**UNSTAMPED, **due}, {"_id": 1}, limit=limit)
        return [document["_id"] for document in found]

    def _take(self, document_id: Any) -> Claim | None:
        token, request_id = uuids.uuid4().hex, uuids.uuid4().hex
        query = {
            "_id": document_id,
            "status": DatasetStatus.QUEUED.value,
            "$expr": transition.DUE,
        }
        update = transition.claiming(token, self._owner, request_id, self._lease_seconds)
        try:
            found = self._collection.exchange_id(query, update, CLAIM_FIELDS, after=True)
        except OperationFailure:
            if len(self._refused) >= MOST_REFUSED:
                raise
            self._refused.append(document_id)
            self._refused_at = self._clock()
            return None
        if found is None:
            return None
        claim = claim_from(found)
        return claim if claim.problem is not None else self._with_duplicates(claim)

    def _with_duplicates(self, claim: Claim) -> Claim:
        twins = self._collection.find({"uuid": claim.uuid}, {"_id": 1}, limit=2)
        if len(twins) < 2:
            return claim
        values = {name: getattr(claim, name) for name in Claim.__dataclass_fields__}
        return Claim(**{**values, "problem": DuplicateUuid()})


def claim_from(document: Mapping[str, Any]) -> Claim:
    """The claim that a document in ``converting`` with a lease of ours describes."""
    conversion: Document = document.get("conversion") or {}
    lease = conversion.get("lease") or {}
    request = conversion.get("request")
    request_id = request.get("id") if isinstance(request, Mapping) else None
    uuid, link = document.get("uuid"), document.get("google_drive_link")
    return Claim(
        id=document["_id"],
        uuid=uuid,
        token=str(lease.get("token", "")),
        owner=str(lease.get("owner", "")),
        request_id=request_id if isinstance(request_id, str) else "",
        attempt=1 + _count(conversion.get("attempts")),
        lost=_count(conversion.get("lost")),
        delays=_count(conversion.get("delays")),
        sensor=document.get("sensor"),
        parameters=document.get("conversion_parameters"),
        name=document.get("name"),
        google_drive_link=link,
        problem=identity_problem(uuid) or remote_problem(link),
    )


def _count(value: Any) -> int:
    usable = isinstance(value, int | float) and 0 <= value <= transition.LARGEST_COUNT
    return int(value) if usable else 0
