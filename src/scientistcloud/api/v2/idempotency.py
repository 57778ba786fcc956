"""The same request sent twice makes one thing: `once`."""

from __future__ import annotations

import hashlib
import uuid as uuids
from datetime import UTC, datetime

from scientistcloud.datasets.documents.collection import GuardedCollection


def once(collection: GuardedCollection, who: str, key: str | None) -> str:
    """The uuid of what a key makes: the same for the same person and key; new without a key."""
    made = str(uuids.uuid4())
    if not key:
        return made
    name = hashlib.sha256(f"{who}\0{key}".encode()).hexdigest()
    with collection.guard() as raw:
        raw.update_one(
            {"_id": name}, {"$setOnInsert": {"uuid": made, "at": datetime.now(UTC)}}, upsert=True
        )
    found = collection.find_one({"_id": name})
    return str(found["uuid"]) if found else made
