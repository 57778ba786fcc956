"""The rescuer's work: takes back what vanished owners and older services left ``converting``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scientistcloud.datasets import transition
from scientistcloud.datasets.collection import GuardedCollection
from scientistcloud.datasets.document import Claim, DatasetStatus
from scientistcloud.datasets.queue import CLAIM_FIELDS, claim_from
from scientistcloud.datasets.retry import Fail, decide
from scientistcloud.errors import HostLost

CONVERTING = DatasetStatus.CONVERTING.value


@dataclass(frozen=True, slots=True)
class Rescued:
    """What one round took back: claims of ours whose lease ran out, and `_id` of foreign ones."""

    lost: tuple[Claim, ...] = ()
    foreign: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lost or self.foreign)


class Rescuer:
    """Requeues expired claims, of any owner, and claims without a lease that nobody touches."""

    def __init__(
        self, collection: GuardedCollection, *, lease_seconds: float, foreign_claim_minutes: float
    ) -> None:
        self._collection = collection
        self._lease_seconds = lease_seconds
        self._foreign_seconds = foreign_claim_minutes * 60

    def rescue(self) -> Rescued:
        """One round. After the server was away, owners have one lease length to renew first."""
        lost = self._expired()
        if self._collection.seconds_since_outage < self._lease_seconds:
            return Rescued()
        taken = tuple(claim for claim in lost if self._requeue_lost(claim))
        self._date_undated()
        foreign = tuple(id for id in self._abandoned() if self._requeue_foreign(id))
        self._drop_stale_waiting()
        return Rescued(taken, foreign)

    def _expired(self) -> list[Claim]:
        query = {"status": CONVERTING, "$expr": _EXPIRED}
        return [claim_from(found) for found in self._collection.find(query, CLAIM_FIELDS)]

    def _requeue_lost(self, claim: Claim) -> bool:
        error = HostLost(f"The service {claim.owner} vanished during the conversion.")
        decision = decide(
            error, attempt=claim.attempt, lost=claim.lost, max_attempts=1, retry_delay_seconds=0
        )
        if isinstance(decision, Fail):
            update = transition.failing(claim, error, counted=False)
        else:
            update = transition.retrying(claim, error, 0.0, counted=False, lost=True)
        query = {
            "_id": claim.id,
            "status": CONVERTING,
            "conversion.lease.token": claim.token,
            "$expr": _EXPIRED,
        }
        return self._collection.update_id(query, update)

    def _date_undated(self) -> None:
        """A foreign claim without a usable date is given the present one, to count from."""
        undated = {"$not": [transition.is_type("$updated_at", "date")]}
        query = {"status": CONVERTING, "$expr": {"$and": [undated, _FOREIGN]}}
        self._collection.update_many(query, [{"$set": {"updated_at": transition.NOW}}])

    def _abandoned(self) -> list[Any]:
        query = {"status": CONVERTING, "$expr": self._foreign_and_old()}
        return [found["_id"] for found in self._collection.find(query, {"_id": 1})]

    def _requeue_foreign(self, document_id: Any) -> bool:
        query = {"_id": document_id, "status": CONVERTING, "$expr": self._foreign_and_old()}
        return self._collection.update_id(query, transition.requeueing())

    def _foreign_and_old(self) -> transition.Stage:
        limit = transition.in_seconds(-self._foreign_seconds)
        old = {"$lt": ["$updated_at", limit]}
        return {"$and": [_FOREIGN, transition.is_type("$updated_at", "date"), old]}

    def _drop_stale_waiting(self) -> None:
        """Where another program claimed what was waiting, the next request is a new one."""
        query = {
            "conversion.waiting.not_before": {"$exists": True},
            "status": {"$nin": [DatasetStatus.QUEUED.value, CONVERTING]},
        }
        self._collection.update_many(query, [{"$unset": "conversion.waiting"}])


_FOREIGN: transition.Stage = {"$not": [transition.LEASED]}
_EXPIRED: transition.Stage = {
    "$and": [transition.LEASED, {"$lt": ["$conversion.lease.expires_at", transition.NOW]}]
}
