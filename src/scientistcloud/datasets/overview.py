"""What people see of the datasets: lists, one dataset in detail, its place in the queue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scientistcloud.datasets.collection import Document, GuardedCollection
from scientistcloud.datasets.document import DatasetStatus
from scientistcloud.datasets.order import EPOCH, LOWEST, ORDER, STAMPED, UNSTAMPED
from scientistcloud.datasets.report import why_waiting

ACTIVE = (DatasetStatus.CONVERTING.value, DatasetStatus.QUEUED.value)
_FIELDS = {
    "uuid": 1,
    "name": 1,
    "status": 1,
    "sensor": 1,
    "progress": 1,
    "status_message": 1,
    "conversion_last_error": 1,
    "error_message": 1,
    "dimensions": 1,
    "data_size": 1,
    "created_at": 1,
    "updated_at": 1,
    "completed_at": 1,
    "conversion": 1,
}


def list_datasets(collection: GuardedCollection, limit: int) -> list[Document]:
    """Up to `limit` datasets: those being converted, then the queue in its order, then the rest.

    The rest are those that changed last.
    """
    found: list[Document] = []
    parts: tuple[tuple[dict[str, Any], list[tuple[str, int]]], ...] = (
        ({"status": DatasetStatus.CONVERTING.value}, [("conversion.request.at", 1)]),
        ({"status": DatasetStatus.QUEUED.value}, list(ORDER)),
        ({"status": {"$nin": list(ACTIVE)}}, [("updated_at", -1)]),
    )
    for query, order in parts:
        if len(found) < limit:
            found += collection.find(query, _FIELDS, sort=order, limit=limit - len(found))
    return found


def place_in_queue(collection: GuardedCollection, document: Mapping[str, Any]) -> int | None:
    """Which one it is in the queue, from 1, those that wait to be tried again included.

    None if it is not queued.
    """
    if document.get("status") != DatasetStatus.QUEUED.value:
        return None
    conversion = document.get("conversion")
    facts = conversion if isinstance(conversion, Mapping) else {}
    priority, queued_at = facts.get("priority"), facts.get("queued_at")
    if isinstance(priority, int | float) and priority >= LOWEST and isinstance(queued_at, datetime):
        earlier = {"conversion.queued_at": {"$gte": EPOCH, "$lt": queued_at}}
        twin = {"conversion.queued_at": queued_at, "_id": {"$lt": document["_id"]}}
        more = {"conversion.priority": {"$gt": priority}}
        same = {"conversion.priority": priority, "$or": [earlier, twin]}
        ahead: dict[str, Any] = {"$and": [STAMPED, {"$or": [more, same]}]}
    else:  # one that no service has seen yet comes after all that were
        unseen = {"$and": [UNSTAMPED, {"_id": {"$lt": document["_id"]}}]}
        ahead = {"$or": [STAMPED, unseen]}
    with collection.guard() as raw:
        return 1 + raw.count_documents(ahead)


def describe(collection: GuardedCollection, document: Mapping[str, Any]) -> dict[str, Any]:
    """One dataset as commands show it: plain values, and why it waits where it does."""
    conversion = document.get("conversion")
    facts = conversion if isinstance(conversion, Mapping) else {}
    queued = document.get("status") == DatasetStatus.QUEUED.value
    due_at = _due_at(facts) if queued else None
    return {
        "uuid": document.get("uuid"),
        "name": document.get("name"),
        "status": document.get("status"),
        "progress": _number(document.get("progress")),
        "message": document.get("status_message"),
        "dimensions": document.get("dimensions"),
        "data_size": _number(document.get("data_size")),
        "error": _error(document, facts),
        "attempts": _number(facts.get("attempts")),
        "updated_at": document.get("updated_at"),
        "completed_at": document.get("completed_at"),
        "owner": _text(facts.get("lease"), "owner"),
        "position": place_in_queue(collection, document),
        "waiting": _why(document, due_at) if queued else None,
        "due_at": due_at,
    }


def result_of(document: Mapping[str, Any], converted: Path) -> Path | None:
    """Where its converted dataset lies, whether it is there or not; None without a usable uuid."""
    uuid = document.get("uuid")
    return converted / uuid / "visus.idx" if isinstance(uuid, str) else None


def _error(document: Mapping[str, Any], facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    error = facts.get("error")
    if isinstance(error, Mapping) and error.get("message"):
        return {key: error.get(key) for key in ("code", "message", "remedy")}
    text = document.get("conversion_last_error") or document.get("error_message")
    return {"code": None, "message": str(text), "remedy": None} if text else None


def _due_at(facts: Mapping[str, Any]) -> datetime | None:
    """When it may be claimed again, if that is still to come."""
    waiting = facts.get("waiting")
    found = waiting.get("not_before") if isinstance(waiting, Mapping) else None
    return found if isinstance(found, datetime) and found > datetime.now(UTC) else None


def _why(document: Mapping[str, Any], due_at: datetime | None) -> str:
    if due_at is not None:
        return why_waiting(document)
    return "No service is free: all are busy with datasets before it, or none is running."


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any, key: str) -> str | None:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else None
