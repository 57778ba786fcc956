"""Finding documents as the URLs of the portal name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scientistcloud.datasets.documents.collection import Document, GuardedCollection

STATUS_FIELDS = {
    "uuid": 1,
    "status": 1,
    "progress": 1,
    "status_message": 1,
    "conversion_last_error": 1,
    "error_message": 1,
    "updated_at": 1,
}

_LARGEST_INT = 2**63 - 1


def find_named(collection: GuardedCollection, identifier: str) -> Document | None:
    """The dataset that `identifier` names, or None.

    36 characters with 4 hyphens are a uuid, digits an ``id``, a text with a hyphen a slug, any
    other an exact name; where that finds nothing, the identifier is tried as the others.
    """
    for query in _queries(identifier):
        found = collection.find_one(query)
        if found is not None:
            return found
    return None


def list_statuses(
    collection: GuardedCollection,
    visible: Mapping[str, Any],
    *,
    status: str | None,
    limit: int,
    offset: int,
) -> list[Document]:
    """The status fields of what is `visible`, or of those in one status, in the order of `_id`."""
    parts = [each for each in (visible, {"status": {"$eq": status}} if status else {}) if each]
    query: Mapping[str, Any] = {"$and": parts} if parts else {}
    with collection.guard() as raw:
        return list(raw.find(query, STATUS_FIELDS, sort=[("_id", 1)], skip=offset, limit=limit))


def _queries(identifier: str) -> Iterator[dict[str, Any]]:
    by_uuid = {"uuid": {"$eq": identifier}}
    by_slug = {"slug": {"$eq": identifier}}
    if len(identifier) == 36 and identifier.count("-") == 4:
        yield by_uuid
        yield by_slug
    elif identifier.isascii() and identifier.isdigit():
        if len(identifier) < 20 and int(identifier) <= _LARGEST_INT:
            yield {"id": {"$eq": int(identifier)}}
        yield by_uuid
    elif "-" in identifier:
        yield by_slug
        yield by_uuid
    else:
        yield {"name": {"$eq": identifier}}
        yield by_uuid
        return
    yield {"name": {"$eq": identifier}}
