"""What operators ask about the queue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from scientistcloud.datasets import expression
from scientistcloud.datasets.collection import Document, GuardedCollection
from scientistcloud.datasets.document import DatasetStatus
from scientistcloud.datasets.order import STAMPED, UNSTAMPED

QUEUED = DatasetStatus.QUEUED.value
NOT_FREE = "No service is free: all are busy with datasets before it, or none is running."


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


def next_due_seconds(collection: GuardedCollection, refused: list[Any]) -> float | None:
    """Seconds until the next waiting document is due (0 if one is), by the server's clock."""
    not_before = "conversion.waiting.not_before"
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    found = collection.aggregate(
        [
            {"$match": {not_before: {"$gte": epoch}, "status": QUEUED, "_id": {"$nin": refused}}},
            {"$match": {"$expr": expression.WAITING}},
            {"$sort": {not_before: 1}},
            {"$limit": 1},
            {"$project": {"due_ms": {"$subtract": [f"${not_before}", expression.NOW]}}},
        ]
    )
    return max(0.0, float(found[0]["due_ms"]) / 1000) if found else None


def why_waiting(document: Mapping[str, Any]) -> str:
    """Why this document is not being converted now, in a sentence."""
    status = document.get("status")
    if status == DatasetStatus.CONVERTING:
        return "It is being converted."
    if status != DatasetStatus.QUEUED:
        return f"It is not queued: its status is {status!r}, not {QUEUED!r}."
    conversion = document.get("conversion")
    waiting = conversion.get("waiting") if isinstance(conversion, Mapping) else None
    not_before = waiting.get("not_before") if isinstance(waiting, Mapping) else None
    if not isinstance(not_before, datetime):
        return NOT_FREE
    reason = str(document.get("conversion_last_error") or "its service was stopped")
    return f"It is tried again at {not_before:%Y-%m-%d %H:%M:%S %Z}: {reason}"
