"""What operators ask about the queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.datasets.documents.document import DatasetStatus, value_at
from scientistcloud.datasets.documents.queue_order import EPOCH, STAMPED, UNSTAMPED


@dataclass(frozen=True, slots=True)
class Contest:
    """A dataset that another program changed while it was ours.

    Attributes
    ----------
    how : str
        ``written`` (changed while we held it), ``ended`` (its status, instead of us), ``claimed``
        (after we had converted it, without a new request).
    status : str or None
        What its status was after that.
    at : datetime or None
    """

    uuid: str
    how: str
    status: str | None
    at: datetime | None


def counts(collection: GuardedCollection) -> dict[str, int]:
    """How many documents there are by status; a status that is no text is spelled as one."""
    groups = collection.aggregate(
        [{"$group": {"_id": "$status", "count": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
    )
    result: dict[str, int] = {}
    for group in groups:
        status = "(none)" if group["_id"] is None else str(group["_id"])
        result[status] = result.get(status, 0) + int(group["count"])
    return result


def oldest_queued(collection: GuardedCollection) -> Document | None:
    """The queued document that has been waiting longest."""
    oldest = collection.find(STAMPED, sort=[("conversion.queued_at", 1)], limit=1)
    oldest = oldest or collection.find(UNSTAMPED, limit=1)
    return oldest[0] if oldest else None


def recent_failures(collection: GuardedCollection, limit: int) -> list[Document]:
    """The last failed documents, newest first."""
    fields = {"uuid": 1, "name": 1, "updated_at": 1, "conversion_last_error": 1}
    return collection.find(
        {"status": DatasetStatus.FAILED.value},
        {**fields, "conversion.error": 1, "conversion_retry_count": 1},
        sort=[("updated_at", -1)],
        limit=limit,
    )


def failures_by_code(collection: GuardedCollection) -> list[Document]:
    """How many datasets are failed, by the code of their error, the most frequent first."""
    code = {"$ifNull": ["$conversion.error.code", "(none)"]}
    return collection.aggregate(
        [
            {"$match": {"status": DatasetStatus.FAILED.value}},
            {"$group": {"_id": code, "count": {"$sum": 1}}},
            {"$sort": {"count": -1}},
            {"$limit": 50},
        ]
    )


def storage_by_user(collection: GuardedCollection) -> list[Document]:
    """Datasets and uploaded bytes of each user, the largest first."""
    total = {"$sum": {"$cond": [{"$isNumber": "$total_size_bytes"}, "$total_size_bytes", 0]}}
    return collection.aggregate(
        [
            {"$group": {"_id": "$user", "datasets": {"$sum": 1}, "bytes": total}},
            {"$sort": {"bytes": -1}},
            {"$limit": 100},
        ]
    )


def contested(collection: GuardedCollection, limit: int) -> tuple[int, list[Contest]]:
    """How many contested datasets there are, and the last ones, newest first."""
    query = {"conversion.contested.at": {"$gte": EPOCH}}
    number = collection.count(query)
    fields = {"uuid": 1, "conversion.contested": 1}
    order = [("conversion.contested.at", -1)]
    found = collection.find(query, fields, sort=order, limit=limit)
    return number, [_contest(each) for each in found]


def _contest(document: Document) -> Contest:
    names = ("how", "status", "at")
    how, status, at = (value_at(document, "conversion", "contested", name) for name in names)
    return Contest(
        str(document.get("uuid")),
        str(how),
        status if isinstance(status, str) else None,
        at if isinstance(at, datetime) else None,
    )
