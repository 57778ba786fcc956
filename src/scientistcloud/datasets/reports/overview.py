"""What people see of the datasets: lists, and one dataset in detail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.datasets.documents.document import ACTIVE, DatasetStatus, value_at
from scientistcloud.datasets.documents.queue_order import ORDER
from scientistcloud.datasets.queue.forecast import (
    Forecast,
    Scene,
    expected_start,
    forecast_start,
    read_scene,
)

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
    "user": 1,
    "team_uuid": 1,
}


def list_datasets(collection: GuardedCollection, limit: int) -> list[Document]:
    """Up to `limit` datasets: those being converted, then the queue in its order, then the rest.

    The rest are those that changed last.
    """
    found: list[Document] = []
    parts: tuple[tuple[dict[str, Any], list[tuple[str, int]]], ...] = (
        ({"status": DatasetStatus.CONVERTING.value}, [("conversion.request.at", 1)]),
        ({"status": DatasetStatus.QUEUED.value}, list(ORDER)),
        ({"status": {"$nin": ACTIVE}}, [("updated_at", -1)]),
    )
    for query, order in parts:
        if len(found) < limit:
            found += collection.find(query, _FIELDS, sort=order, limit=limit - len(found))
    return found


def describe(
    collection: GuardedCollection, document: Mapping[str, Any], scene: Scene | None = None
) -> dict[str, Any]:
    """One dataset as commands show it: plain values, and why it waits where it does.

    `scene` saves reading the queue for each of many.
    """
    conversion = document.get("conversion")
    queued = document.get("status") == DatasetStatus.QUEUED.value
    due_at = _due_at(conversion) if queued else None
    forecast = (
        forecast_start(collection, document, scene or read_scene(collection)) if queued else None
    )
    return {
        "uuid": document.get("uuid"),
        "name": document.get("name"),
        "status": document.get("status"),
        "progress": _number(document.get("progress")),
        "message": document.get("status_message"),
        "dimensions": document.get("dimensions"),
        "data_size": _number(document.get("data_size")),
        "error": _error(document),
        "attempts": _number(value_at(conversion, "attempts")),
        "updated_at": document.get("updated_at"),
        "completed_at": document.get("completed_at"),
        "owner": _text(value_at(conversion, "lease", "owner")),
        "position": forecast.position if forecast else None,
        "waiting": _why(document, due_at, forecast) if forecast else None,
        "due_at": due_at,
        "expected_start": (
            expected_start(forecast, due_at, datetime.now(UTC)) if forecast else None
        ),
    }


def place_and_start(
    collection: GuardedCollection, document_id: Any
) -> tuple[int | None, datetime | None]:
    """A dataset's place in the queue and when it may start; None for what is not known."""
    document = collection.find_one({"_id": document_id}, _FIELDS)
    if document is None:
        return None, None
    shown = describe(collection, document)
    return shown["position"], shown["expected_start"]


def result_of(document: Mapping[str, Any], converted: Path) -> Path | None:
    """Where its converted dataset lies, whether it is there or not; None without a usable uuid."""
    uuid = document.get("uuid")
    return converted / uuid / "visus.idx" if isinstance(uuid, str) else None


def _error(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    error = value_at(document, "conversion", "error")
    if isinstance(error, Mapping) and error.get("message"):
        return {key: error.get(key) for key in ("code", "message", "remedy")}
    text = document.get("conversion_last_error") or document.get("error_message")
    return {"code": None, "message": str(text), "remedy": None} if text else None


def _due_at(conversion: Any) -> datetime | None:
    """When it may be claimed again, if that is still to come."""
    found = value_at(conversion, "waiting", "not_before")
    return found if isinstance(found, datetime) and found > datetime.now(UTC) else None


def _why(document: Mapping[str, Any], due_at: datetime | None, forecast: Forecast) -> str:
    if due_at is None and forecast.is_limited:
        return (
            f"{forecast.running_of_user} of its user's datasets are being converted, and it is "
            f"number {forecast.of_user} of those that wait: more at a time than "
            "MAX_CONVERTING_PER_USER allows."
        )
    if due_at is None:
        return "No service is free: all are busy with datasets before it, or none is running."
    reason = str(document.get("conversion_last_error") or "its service was stopped")
    return f"It is tried again at {due_at:%Y-%m-%d %H:%M:%S %Z}: {reason}"


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
