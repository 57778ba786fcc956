"""What dashboards show of the queue; cheap enough to be asked by every service all the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scientistcloud.datasets.documents import expression
from scientistcloud.datasets.documents.collection import GuardedCollection
from scientistcloud.datasets.documents.document import DatasetStatus
from scientistcloud.datasets.documents.queue_order import EPOCH

QUEUED = DatasetStatus.QUEUED.value


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
    counts = {each.value: collection.count({"status": each.value}) for each in DatasetStatus}
    # Through the sparse index of those that wait, as `Queue.next_due_seconds` asks.
    waiting = collection.count({"conversion.waiting.not_before": {"$gte": EPOCH}, "status": QUEUED})
    return QueueGauges(counts, waiting, _oldest_seconds(collection))


def _oldest_seconds(collection: GuardedCollection) -> float:
    queued_at = "conversion.queued_at"
    found = collection.aggregate(
        [
            {"$match": {"status": QUEUED, queued_at: {"$gte": EPOCH}}},
            {"$sort": {queued_at: 1}},
            {"$limit": 1},
            {"$project": {"age_ms": {"$subtract": [expression.NOW, f"${queued_at}"]}}},
        ]
    )
    return max(0.0, float(found[0]["age_ms"]) / 1000) if found else 0.0
