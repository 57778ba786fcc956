"""The indexes of the datasets' collection: all works without them, only slower."""

from __future__ import annotations

from scientistcloud.datasets.documents.collection import GuardedCollection
from scientistcloud.datasets.documents.queue_order import ORDER, SHARE_ORDER

INDEXES: dict[str, list[tuple[str, int]]] = {
    "conversion_order": [("status", 1), *ORDER],
    "conversion_shares": [("status", 1), *SHARE_ORDER],
    "conversion_contested": [("conversion.contested.at", -1)],
    "conversion_due": [("conversion.waiting.not_before", 1)],
    "dataset_completed": [("completed_at", -1)],
    "dataset_uuid": [("uuid", 1)],
    "dataset_id": [("id", 1)],
    "dataset_name": [("name", 1)],
    "dataset_slug": [("slug", 1)],
}
SPARSE = frozenset({
    "conversion_contested", "conversion_due", "dataset_completed", "dataset_id", "dataset_slug",
})  # fmt: skip


def ensure_indexes(collection: GuardedCollection) -> list[str]:
    """Create the indexes, where allowed; names of those that could not be created."""
    return [
        name
        for name, keys in INDEXES.items()
        if not collection.create_index(keys, name=name, sparse=name in SPARSE)
    ]
