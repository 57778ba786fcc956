"""The rescuer's work: takes back what vanished owners and older services left ``converting``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pymongo.errors import OperationFailure

from scientistcloud.datasets.documents import expression, transition
from scientistcloud.datasets.documents.claim_record import CLAIM_FIELDS, claim_from, held
from scientistcloud.datasets.documents.collection import GuardedCollection
from scientistcloud.datasets.documents.document import Claim, DatasetStatus
from scientistcloud.datasets.documents.retry import is_last_loss
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
        self,
        collection: GuardedCollection,
        *,
        lease_seconds: float,
        foreign_claim_minutes: float,
        clock: Callable[[], float],
    ) -> None:
        self._collection = collection
        self._clock = clock
        self._looked_at = clock()
        self._foreign_seconds = foreign_claim_minutes * 60
        # A renewal that hangs when the server comes back, and the next one.
        self._grace_seconds = min(lease_seconds, 2 * collection.timeout_seconds)
        self._given_seconds: dict[str, float] = {}
        self._refusal: OperationFailure | None = None

    def rescue(self) -> Rescued:
        """One round. After the server was away, owners have a while to renew first.

        Raises
        ------
        OperationFailure
            The server lets us write nothing of what there is to do.
        """
        self._refusal = None
        rescued = self._rescue()
        if self._refusal is not None and not rescued:
            raise self._refusal
        return rescued

    def _rescue(self) -> Rescued:
        expired = self._expired()
        since_outage_seconds = self._collection.seconds_since_outage
        calm = since_outage_seconds >= self._grace_seconds
        self._give(expired, since_outage_seconds)
        taken = tuple(
            claim
            for claim in expired
            if (calm or self._given_seconds[claim.token] >= self._grace_seconds)
            and self._is_done(partial(self._requeue_lost, claim))
        )
        if not calm:
            return Rescued(taken)
        self._is_done(self._date_undated)
        self._is_done(self._note_claimed_too)
        abandoned = self._abandoned()
        foreign = tuple(
            each for each in abandoned if self._is_done(partial(self._requeue_foreign, each))
        )
        self._is_done(self._drop_stale_waiting)
        return Rescued(taken, foreign)

    def _is_done(self, work: Callable[[], bool | None]) -> bool:
        """Whether `work` came to something.

        A document that the server does not let us write (too large, or against a validator) keeps
        no other one from being rescued.
        """
        try:
            return bool(work())
        except OperationFailure as error:
            self._refusal = error
            return False

    def _give(self, expired: list[Claim], since_outage_seconds: float) -> None:
        """Note how long owners could have renewed since they were first seen to be late.

        Over several outages: else a server that is away time and again would keep what vanished
        hosts held for ever.
        """
        now = self._clock()
        passed_seconds = min(now - self._looked_at, since_outage_seconds)
        self._looked_at = now
        self._given_seconds = {
            claim.token: self._given_seconds[claim.token] + passed_seconds
            if claim.token in self._given_seconds
            else 0.0
            for claim in expired
        }

    def _expired(self) -> list[Claim]:
        query = {"status": CONVERTING, "$expr": _EXPIRED}
        return [claim_from(found) for found in self._collection.find(query, CLAIM_FIELDS)]

    def _requeue_lost(self, claim: Claim) -> bool:
        error = HostLost(f"The service {claim.owner} vanished during the conversion.")
        if is_last_loss(claim.lost):
            update = transition.failing(claim, error, counted=False)
        else:
            update = transition.retrying(claim, error, 0.0, counted=False, lost=True)
        return self._collection.update_id({**held(claim), "$expr": _EXPIRED}, update)

    def clear_cancelled(self) -> int:
        """Remove what is left of claims from cancelled documents whose owners vanished."""
        query = {
            "status": DatasetStatus.CANCELLED.value,
            "$or": [{field: {"$exists": True}} for field in transition.SETTLED],
        }
        return self._collection.update_many(query, transition.clearing())

    def _date_undated(self) -> None:
        """A foreign claim without a usable date is given the present one, to count from."""
        undated = {"$not": [expression.is_type("$updated_at", "date")]}
        query = {"status": CONVERTING, "$expr": {"$and": [undated, _FOREIGN]}}
        self._collection.update_many(query, [{"$set": {"updated_at": expression.NOW}}])

    def _note_claimed_too(self) -> None:
        """Another program converts what we had converted, without its being queued in between."""
        ours = {"conversion.result": {"$exists": True}, "conversion.queued_at": {"$exists": False}}
        query = {"status": CONVERTING, "$expr": _FOREIGN, **ours}
        query["conversion.contested"] = {"$exists": False}
        self._collection.update_many(query, transition.contesting("claimed"))

    def _abandoned(self) -> list[Any]:
        query = {"status": CONVERTING, "$expr": self._foreign_and_old()}
        return [found["_id"] for found in self._collection.find(query, {"_id": 1})]

    def _requeue_foreign(self, document_id: Any) -> bool:
        query = {"_id": document_id, "status": CONVERTING, "$expr": self._foreign_and_old()}
        return self._collection.update_id(query, transition.requeueing())

    def _foreign_and_old(self) -> expression.Stage:
        limit = expression.in_seconds(-self._foreign_seconds)
        old = {"$lt": ["$updated_at", limit]}
        return {"$and": [_FOREIGN, expression.is_type("$updated_at", "date"), old]}

    def _drop_stale_waiting(self) -> None:
        """Where another program claimed what was waiting, the next request is a new one."""
        query = {
            "conversion.waiting.not_before": {"$exists": True},
            "status": {"$nin": [DatasetStatus.QUEUED.value, CONVERTING]},
        }
        self._collection.update_many(query, [{"$unset": "conversion.waiting"}])


_FOREIGN: expression.Stage = {"$not": [expression.LEASED]}
_EXPIRED: expression.Stage = {
    "$and": [expression.LEASED, {"$lt": ["$conversion.lease.expires_at", expression.NOW]}]
}
