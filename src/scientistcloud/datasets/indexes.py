"""The indexes of the datasets' collection: all works without them, only slower."""

from __future__ import annotations

from pymongo.errors import OperationFailure

from scientistcloud.database.connection import is_refused
from scientistcloud.datasets.collection import GuardedCollection
from scientistcloud.datasets.order import ORDER, SHARE_ORDER
from scientistcloud.errors import DatabaseUnavailable

INDEXES: dict[str, list[tuple[str, int]]] = {
    "conversion_order": [("status", 1), *ORDER],
    "conversion_shares": [("status", 1), *SHARE_ORDER],
    "conversion_contested": [("conversion.contested.at", -1)],
    "conversion_due": [("conversion.waiting.not_before", 1)],
    "dataset_completed": [("completed_at", -1)],
    "dataset_uuid": [("uuid", 1)],
}
SPARSE = frozenset({"conversion_contested", "conversion_due", "dataset_completed"})


def ensure_indexes(collection: GuardedCollection) -> list[str]:
    """Create the indexes, where allowed; names of those that could not be created."""
    missing = []
    for name, keys in INDEXES.items():
        try:
            with collection.guard(bounded=False) as raw:
                raw.create_index(keys, name=name, sparse=name in SPARSE)
        except OperationFailure:
            # An index of the same keys or name exists with other options.
            missing.append(name)
        except DatabaseUnavailable as error:
            if not is_refused(error.__cause__):
                raise
            missing.append(name)
    return missing
