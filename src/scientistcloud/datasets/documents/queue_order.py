"""The order of the queue as MongoDB sees it: what is in it, sorted how, by which index."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from scientistcloud.datasets.documents.document import DatasetStatus

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, tzinfo=UTC)
"""Later dates fit MongoDB, not Python, and cannot be compared with others."""

LOWEST = float("-inf")
TIME_ORDER = (("conversion.queued_at", 1), ("_id", 1))
ORDER = (("conversion.priority", -1), *TIME_ORDER)
SHARE_ORDER = (("conversion.priority", -1), ("conversion.share", 1), *TIME_ORDER)

# Ranges rather than $type, because an index can answer these, also turned round by $not.
STAMPED: dict[str, Any] = {
    "status": DatasetStatus.QUEUED.value,
    "conversion.priority": {"$gte": LOWEST},
    "conversion.share": {"$gte": ""},
    "conversion.queued_at": {"$gte": EPOCH, "$lte": LATEST},
}
"""Queued documents that have their place in the order."""

UNSTAMPED: dict[str, Any] = {
    "$or": [
        {"status": DatasetStatus.QUEUED.value, field: {"$not": STAMPED[field]}}
        for field in ("conversion.queued_at", "conversion.priority", "conversion.share")
    ],
}
"""The other queued documents."""

RUNNING: dict[str, Any] = {
    "status": DatasetStatus.CONVERTING.value,
    "conversion.share": {"$gte": ""},
}
LEASED_RUNNING: dict[str, Any] = {**RUNNING, "conversion.lease.token": {"$gte": ""}}
"""Those of `RUNNING` that a service of ours holds: the ones that a limit counts."""
