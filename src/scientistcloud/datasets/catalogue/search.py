"""Lists of datasets, newest first, a page at a time: `search`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId, encode, json_util

from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.refusals import BadRequest

ORDER = [("created_at", -1), ("_id", -1)]
_LONGEST_CURSOR = 400
_HEAVY = {"conversion.history": 0, "files": 0}


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; None or empty for all.

    Attributes
    ----------
    visible : Mapping
        The query for what the caller may see.
    """

    visible: Mapping[str, Any]
    text: str = ""
    status: str = ""
    team: str = ""
    owner: str = ""
    tag: str = ""
    limit: int = 50
    cursor: str = ""


def search(collection: GuardedCollection, wanted: Search) -> tuple[list[Document], str | None]:
    """One page of documents, and the cursor of the next page, None on the last.

    Raises
    ------
    BadRequest
        The cursor is none of ours.
    """
    parts: list[Mapping[str, Any]] = [wanted.visible] if wanted.visible else []
    if wanted.text:
        word = re.compile(re.escape(wanted.text), re.IGNORECASE)
        parts.append({"$or": [{key: word} for key in ("name", "uuid", "tags", "description")]})
    if wanted.status:
        parts.append({"status": {"$eq": wanted.status}})
    if wanted.team:
        parts.append({"team_uuid": {"$eq": wanted.team}})
    if wanted.owner:
        parts.append({"user": re.compile(rf"^\s*{re.escape(wanted.owner)}\s*$", re.IGNORECASE)})
    if wanted.tag:
        parts.append({"tags": re.compile(rf"(^|,)\s*{re.escape(wanted.tag)}\s*(,|$)")})
    if wanted.cursor:
        parts.append(_after(wanted.cursor))
    query = {"$and": parts} if parts else {}
    found = collection.find(query, _HEAVY, sort=ORDER, limit=wanted.limit + 1)
    page = found[: wanted.limit]
    return page, _cursor(page[-1]) if len(found) > wanted.limit else None


def _cursor(document: Document) -> str:
    place = [document.get("created_at"), document["_id"]]
    return base64.urlsafe_b64encode(json_util.dumps(place).encode()).decode()


def _after(cursor: str) -> Document:
    """What comes after a place in the order; documents without a date come last."""
    try:
        if len(cursor) > _LONGEST_CURSOR:
            raise ValueError
        created_at, document_id = json_util.loads(base64.urlsafe_b64decode(cursor.encode()))
        if not isinstance(document_id, str | int | ObjectId):
            raise ValueError
        encode({"at": created_at, "id": document_id})
    except Exception:  # a forged one can make the decoder fail in any way
        raise BadRequest("The cursor is none that this server has given.") from None
    undated = {"created_at": {"$not": {"$type": "date"}}}
    if not isinstance(created_at, datetime):
        return {"$and": [undated, {"_id": {"$lt": document_id}}]}
    at = created_at.replace(tzinfo=created_at.tzinfo or UTC)
    same = {"created_at": at, "_id": {"$lt": document_id}}
    return {"$or": [{"created_at": {"$lt": at}}, same, undated]}
