"""What becomes of a dataset, as plain facts: status, stage, percent, time left, error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from scientistcloud.datasets.documents.document import DatasetStatus, value_at

UPLOADING = ("uploading", "upload queued", "unzipping", "submitted")
_PHASES = {
    "Reading": "reading",
    "Converting": "converting",
    "Verifying": "verifying",
    "Publishing": "publishing",
    "Unpacking": "unpacking",
}
_LEAST_PERCENT = 1.0


def stage_of(document: Mapping[str, Any]) -> str:
    """In which part of its way a dataset is: upload, queue, reading, converting, ..., done."""
    status = document.get("status")
    if status in UPLOADING:
        return "upload"
    if status == DatasetStatus.QUEUED:
        return "queue"
    if status == DatasetStatus.CONVERTING:
        message = document.get("status_message")
        word = message.split(":")[0].split(" ")[0] if isinstance(message, str) else ""
        return _PHASES.get(word, "converting")
    if status in ("done", "completed", "ready"):
        return "done"
    if isinstance(status, str) and ("failed" in status or "error" in status):
        return "failed"
    return str(status or "")


def percent_of(document: Mapping[str, Any]) -> float:
    """How far it is, 0 to 100."""
    if stage_of(document) == "done":
        return 100.0
    progress = document.get("progress")
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return 0.0
    return min(100.0, max(0.0, float(progress)))


def seconds_left(document: Mapping[str, Any], now: datetime | None = None) -> float | None:
    """The time that is left of a conversion that goes on as so far; None where nobody knows."""
    if document.get("status") != DatasetStatus.CONVERTING:
        return None
    began, percent = value_at(document, "conversion", "lease", "taken_at"), percent_of(document)
    if not isinstance(began, datetime) or percent < _LEAST_PERCENT:
        return None
    elapsed = ((now or datetime.now(UTC)) - began).total_seconds()
    return round(max(0.0, elapsed * (100.0 - percent) / percent), 1)


def error_of(document: Mapping[str, Any]) -> dict[str, str] | None:
    """What went wrong, with what to do about it; None where nothing did."""
    error = value_at(document, "conversion", "error")
    if isinstance(error, Mapping) and error.get("message"):
        return {key: str(error.get(key) or "") for key in ("code", "message", "remedy")}
    text = document.get("conversion_last_error") or document.get("error_message")
    if stage_of(document) != "failed" or not text:
        return None
    return {"code": "", "message": str(text), "remedy": ""}


def tags_of(document: Mapping[str, Any]) -> list[str]:
    """The tags, which uploads keep as text with commas and edits as a list."""
    tags = document.get("tags")
    parts = tags.split(",") if isinstance(tags, str) else tags if isinstance(tags, list) else []
    return [each.strip() for each in parts if isinstance(each, str) and each.strip()]
