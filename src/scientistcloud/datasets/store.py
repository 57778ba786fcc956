"""`DatasetStore`: one method a transition."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from scientistcloud.datasets.documents import expression, transition
from scientistcloud.datasets.documents.claim_record import held
from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.datasets.documents.document import ACTIVE, Claim, DatasetStatus, PortalSummary
from scientistcloud.datasets.documents.lost_claim import look_after
from scientistcloud.datasets.documents.rescue import Rescued, Rescuer
from scientistcloud.datasets.indexes import ensure_indexes
from scientistcloud.datasets.queue.claiming import Queue
from scientistcloud.datasets.reports import operators as report
from scientistcloud.datasets.reports.gauges import QueueGauges, measure_queue
from scientistcloud.errors import ConversionError, DuplicateUuid

UPLOADING = ("uploading", "upload queued", "unzipping")
"""Statuses in which the files are not there yet."""


class DatasetStore:
    """The documents of the datasets, seen by one service.

    Every method is one statement, or reads and then one conditional statement, and raises
    `DatabaseUnavailable` while the server is away. A method that settles a claim returns whether
    the claim was still held; False means that it is lost and that nothing was written.
    Safe to use from several threads, except for `claim` and `rescue`, which belong to one each.

    Parameters
    ----------
    database : Database
        The driver's.
    collection : str
        Name of the collection (`COLLECTION_VISSTOREDATAS`).
    owner : str
        Names this service in leases and history.
    lease_seconds : float
        How long a claim holds without renewal.
    limit_per_user : int
        The most datasets of one user that services may convert at a time; 0 for no limit.
    foreign_claim_minutes : float
        How long ``converting`` without a lease may stay untouched.
    clock : callable
        Monotonic seconds. Leases go by the server's clock, not by this one.

    Attributes
    ----------
    database : Database
        As given.
    collection : Collection
        The driver's, for `watch_queue`.
    """

    def __init__(
        self,
        database: Database[Document],
        *,
        collection: str = "visstoredatas",
        owner: str,
        lease_seconds: float,
        limit_per_user: int = 0,
        foreign_claim_minutes: float = 180.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner = owner
        self.lease_seconds = lease_seconds
        # A renewal that hangs must leave time for another before the lease runs out.
        timeout_seconds = min(5.0, max(1.0, lease_seconds / 3))
        guarded = GuardedCollection(
            database, collection, timeout_seconds=timeout_seconds, clock=clock
        )
        self._collection = guarded
        self.database = database
        self.collection = guarded.raw
        self._queue = Queue(
            guarded,
            owner=owner,
            lease_seconds=lease_seconds,
            limit=limit_per_user,
            clock=clock,
        )
        self._rescuer = Rescuer(
            guarded,
            lease_seconds=lease_seconds,
            foreign_claim_minutes=foreign_claim_minutes,
            clock=clock,
        )

    @property
    def is_reachable(self) -> bool:
        """Whether MongoDB answered when it was last asked anything."""
        return self._collection.is_reachable

    def gauges(self) -> QueueGauges:
        """What dashboards show of the queue."""
        return measure_queue(self._collection)

    def ensure_indexes(self) -> list[str]:
        """Create the indexes, where allowed; names of those that could not be created.

        Everything works without them, only slower.
        """
        return ensure_indexes(self._collection)

    def claim(self) -> Claim | None:
        """The next due document, now ``converting`` and ours; None if there is none.

        A claim with a `Claim.problem` is to be failed with it, without touching any file.
        """
        return self._queue.claim()

    def stamp(self) -> int:
        """Note the time of requests not yet seen; how many there were. `claim` does it too."""
        return self._queue.stamp()

    def renew(
        self,
        claim: Claim,
        progress: tuple[float, str] | None = None,
        plan: Mapping[str, Any] | None = None,
    ) -> bool:
        """Prolong the lease, with progress (percent, message); False means that it is lost.

        A lease that ran out is renewed as long as nobody took it. What is being made, `plan`, is
        shown under `conversion.plan`.
        """
        before = self._collection.exchange_id(
            held(claim),
            transition.renewing(self.lease_seconds, progress, plan),
            {"uuid": 1, "updated_at": 1, "conversion.lease.written_at": 1},
            after=False,
        )
        if before is None:
            look_after(self._collection, claim)
            return False
        if before.get("updated_at") == before["conversion"]["lease"].get("written_at"):
            return True
        # Somebody else wrote to it: harmless, unless it is another dataset now.
        return bool(before.get("uuid") == claim.uuid)

    def held_tokens(self, tokens: Collection[str]) -> set[str]:
        """Which of these tokens are in the lease of a claim now, whoever holds it."""
        query: Document = {"status": DatasetStatus.CONVERTING.value}
        query |= {"conversion.lease.token": {"$in": list(tokens)}, "$expr": expression.LEASED}
        found = self._collection.find(query, {"conversion.lease.token": 1})
        return {document["conversion"]["lease"]["token"] for document in found}

    def wanted(self, uuids: Collection[str]) -> set[str]:
        """Which of these datasets are queued or being converted, by whomever."""
        query: Document = {"uuid": {"$in": list(uuids)}, "status": {"$in": ACTIVE}}
        return {document["uuid"] for document in self._collection.find(query, {"uuid": 1})}

    def exists(self, claim: Claim) -> bool:
        """Whether the document is still there, whoever holds it."""
        return self._collection.find_one({"_id": claim.id}, {"_id": 1}) is not None

    def complete(self, claim: Claim, summary: PortalSummary) -> bool:
        """``converting`` -> ``done``."""
        return self._settle(claim, "done", transition.completing(claim, summary))

    def retry(
        self, claim: Claim, error: ConversionError, delay_seconds: float, counted: bool
    ) -> bool:
        """``converting`` -> ``conversion queued``, due after a delay."""
        update = transition.retrying(claim, error, delay_seconds, counted=counted)
        return self._settle(claim, "retry", update)

    def fail(self, claim: Claim, error: ConversionError, counted: bool = False) -> bool:
        """``converting`` -> ``conversion failed``."""
        update = transition.failing(claim, error, counted=counted)
        return self._settle(claim, "failed", update)

    def release(self, claim: Claim) -> bool:
        """``converting`` -> ``conversion queued`` as if it had not been claimed."""
        return self._settle(claim, "released", transition.releasing(claim))

    def rescue(self) -> Rescued:
        """Requeue what vanished owners and older services left behind."""
        return self._rescuer.rescue()

    def clear_cancelled(self) -> int:
        """Remove what vanished owners left in cancelled documents; how many there were."""
        return self._rescuer.clear_cancelled()

    def cancel(self, uuid: str) -> bool:
        """Whatever is queued or converting under this uuid becomes ``cancelled``."""
        return self._change(uuid, {"$in": ACTIVE}, transition.cancelling())

    def requeue(self, uuid: str) -> bool:
        """A new request for this dataset, whatever became of the former one.

        False if there is no such dataset, or it is still being uploaded.
        """
        return self._change(uuid, {"$nin": list(UPLOADING)}, transition.requeueing())

    def insert(self, document: Mapping[str, Any]) -> Any:
        """Insert a new document with the server's dates; its `_id`.

        Raises
        ------
        DuplicateUuid
            If its uuid is taken.
        """
        values = dict(document)
        document_id = values.pop("_id", None) or ObjectId()
        if "uuid" in values and self.find(values["uuid"]) is not None:
            raise DuplicateUuid(f"A dataset with the uuid {values.get('uuid')} exists already.")
        dates = {"created_at": expression.NOW, "updated_at": expression.NOW}
        update: list[expression.Stage] = [
            {"$replaceWith": {"$mergeObjects": ["$$ROOT", dates, expression.literal(values)]}}
        ]
        if values.get("status") == DatasetStatus.QUEUED:
            update += transition.stamping()
        with self._collection.guard() as collection:
            collection.update_one({"_id": document_id}, update, upsert=True)
        return document_id

    def find(self, uuid: Any) -> Document | None:
        """The document with this uuid."""
        return self._collection.find_one({"uuid": {"$eq": uuid}})

    def counts(self) -> dict[str, int]:
        """How many documents there are by status."""
        return report.counts(self._collection)

    def oldest_queued(self) -> Document | None:
        """The queued document that has been waiting longest."""
        return report.oldest_queued(self._collection)

    def recent_failures(self, limit: int = 5) -> list[Document]:
        """The last failed documents, newest first."""
        return report.recent_failures(self._collection, limit)

    def next_due_seconds(self) -> float | None:
        """When to look again for what waits: None if nothing does."""
        return self._queue.next_due_seconds()

    def _settle(self, claim: Claim, outcome: str, update: list[expression.Stage]) -> bool:
        if self._collection.update_id(held(claim), update):
            self._queue.settled()
            return True
        # The same call may have been carried out before, and only its answer been lost.
        entry = {"token": claim.token, "outcome": outcome}
        written = {"_id": claim.id, "conversion.history": {"$elemMatch": entry}}
        if self._collection.find_one(written, {"_id": 1}) is not None:
            return True
        look_after(self._collection, claim)
        return False

    def _change(self, uuid: str, status: Any, update: list[expression.Stage]) -> bool:
        found = self._collection.find({"uuid": {"$eq": uuid}, "status": status}, {"_id": 1})
        changed = [
            self._collection.update_id({"_id": document["_id"], "status": status}, update)
            for document in found
        ]
        return any(changed)
