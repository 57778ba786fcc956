"""What dashboards show of the queue; cheap enough to be asked by every service all the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from scientistcloud.datasets.collection import GuardedCollection
from scientistcloud.datasets.document import DatasetStatus

QUEUED = DatasetStatus.QUEUED.value
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class QueueGauges:
    """How many datasets there are by status, and how long the oldest queued one has waited.

    Those `waiting` to be tried again are among the queued ones.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    oldest_queued_seconds: float = 0.0


def measure_queue(collection: GuardedCollection) -> QueueGauges:
    """Count by the index on the status, and look at one document, by the server's clock.

    Raises
    ------
    DatabaseUnavailable
    """
    counts = {}
    for status in DatasetStatus:
        with collection.guard() as raw:
            counts[status.value] = raw.count_documents({"status": status.value})
    with collection.guard() as raw:
        # Through the sparse index of those that wait, as `next_due_seconds` asks.
        waiting = raw.count_documents(
            {"conversion.waiting.not_before": {"$gte": _EPOCH}, "status": QUEUED}
        )
    return QueueGauges(counts, waiting, _oldest_seconds(collection))


def _oldest_seconds(collection: GuardedCollection) -> float:
    queued_at = "conversion.queued_at"
    found = collection.aggregate(
        [
            {"$match": {"status": QUEUED, queued_at: {"$gte": _EPOCH}}},
            {"$sort": {queued_at: 1}},
            {"$limit": 1},
            {"$project": {"age_ms": {"$subtract": ["$$NOW", f"${queued_at}"]}}},
        ]
    )
    return max(0.0, float(found[0]["age_ms"]) / 1000) if found else 0.0
