"""Upload jobs as the portal polls them: from the first byte to the end of the conversion."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scientistcloud.api.context import ApiContext
from scientistcloud.datasets.catalogue.facts import error_of, percent_of, stage_of
from scientistcloud.datasets.documents.collection import Document

SOURCES = ("url", "s3")
NOT_FETCHED = ("google_drive", "dropbox", "onedrive")
"""Sources that the portal names, and this server does not fetch from."""
_STATUSES = {
    "upload": "uploading",
    "queue": "processing",
    "done": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "publishing": "processing",
    "verifying": "verifying",
}
_WORDS = {
    "upload": "Uploading",
    "queue": "Waiting in the queue for conversion",
    "reading": "Reading the files",
    "converting": "Converting",
    "verifying": "Verifying the result",
    "publishing": "Publishing the result",
    "done": "Done: the dataset can be viewed",
    "cancelled": "Cancelled",
}


def job_of(context: ApiContext, job_id: str) -> tuple[Document, Document | None] | None:
    """The dataset of a job, and its upload while that is under way."""
    running = context.intake.ledger.by_job(job_id)
    uuid = running["uuid"] if running else None
    if uuid is None and job_id.startswith("dataset_"):
        uuid = job_id.removeprefix("dataset_")
    query: Mapping[str, Any] = (
        {"uuid": {"$eq": uuid}}
        if uuid is not None
        else {"$or": [{"job_id": {"$eq": job_id}}, {"job_ids": {"$eq": job_id}}]}
    )
    document = context.datasets.find_one(query)
    return (document, running) if document is not None else None


def status_of(
    job_id: str, document: Mapping[str, Any] | None, running: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the portal shows: a status, a percentage, and a sentence."""
    if document is None:
        return _status(job_id, "queued", 0.0, "There is no such job on this server yet.")
    stage = stage_of(document)
    total = document.get("total_size_bytes")
    total = int(total) if isinstance(total, int | float) else 0
    if running is not None:
        size, offset = int(running.get("size") or 0), int(running.get("offset") or 0)
        percent = 100.0 * offset / size if size else 0.0
        return _status(
            job_id, "uploading", percent, _WORDS["upload"], document, sent=offset, total=size
        )
    error = error_of(document)
    message = document.get("status_message")
    words = (
        message if isinstance(message, str) and stage == "converting" else _WORDS.get(stage, stage)
    )
    if error is not None and stage == "failed":
        words = f"{error['message']} {error['remedy']}".strip()
    percent = 100.0 if stage in ("done", "upload") else percent_of(document)
    if stage == "upload":
        words = "The file has arrived; waiting for the other files of the dataset"
    status = _STATUSES.get(stage, "processing")
    shown = _status(job_id, status, percent, words, document, sent=total, total=total)
    shown["error"] = words if stage == "failed" else None
    return shown


def _status(
    job_id: str,
    status: str,
    percent: float,
    message: str,
    document: Mapping[str, Any] | None = None,
    *,
    sent: int = 0,
    total: int = 0,
) -> dict[str, Any]:
    document = document or {}
    return {
        "job_id": job_id,
        "status": status,
        "progress_percentage": round(float(percent), 1),
        "bytes_uploaded": sent,
        "bytes_total": total,
        "message": message,
        "error": None,
        "created_at": _date(document.get("created_at")),
        "updated_at": _date(document.get("updated_at")),
        "dataset_uuid": document.get("uuid"),
        "stage": stage_of(document) if document else "queue",
    }


def _date(value: object) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else None
