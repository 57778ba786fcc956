"""What a dataset's document says of its files while these come in, and when it is queued."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scientistcloud.datasets.catalogue.facts import UPLOADING
from scientistcloud.datasets.documents import transition
from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.datasets.documents.document import ACTIVE, DatasetStatus
from scientistcloud.datasets.documents.expression import literal
from scientistcloud.refusals import Conflict

NOW = "$$NOW"


def open_for_files(collection: GuardedCollection, document: Mapping[str, Any]) -> None:
    """Files are about to come: the dataset is ``uploading`` from now on.

    Raises
    ------
    Conflict
        It is queued or being converted: files that come now would be half of a conversion.
    """
    if document.get("status") in ACTIVE:
        raise Conflict(
            "The dataset is queued or being converted.",
            remedy="Wait until that has ended, or cancel it; then add files.",
        )
    query = {"_id": document["_id"], "status": {"$nin": ACTIVE}}
    changes = {"status": DatasetStatus.UPLOADING.value, "updated_at": NOW, "upload_seen_at": NOW}
    if not collection.update_id(query, [{"$set": changes}, {"$unset": "upload_finished"}]):
        raise Conflict("The dataset was queued or deleted meanwhile.")


def note_file(
    collection: GuardedCollection, document_id: Any, size_bytes: int, replaced_bytes: int
) -> None:
    """A file is whole: count it, or its size in place of one that it replaces (-1: none)."""
    more, files = (size_bytes, 1) if replaced_bytes < 0 else (size_bytes - replaced_bytes, 0)
    changes = {
        "file_count": {"$add": [{"$ifNull": ["$file_count", 0]}, files]},
        "total_size_bytes": {"$add": [{"$ifNull": ["$total_size_bytes", 0]}, more]},
        "updated_at": NOW,
        "upload_seen_at": NOW,
    }
    collection.update_id({"_id": document_id}, [{"$set": changes}])


def note_life(collection: GuardedCollection, document_id: Any) -> None:
    """Something is coming: an upload that lives must keep being seen."""
    query = {"_id": document_id, "status": {"$in": list(UPLOADING)}}
    collection.update_id(query, [{"$set": {"updated_at": NOW, "upload_seen_at": NOW}}])


def note_finished(collection: GuardedCollection, document_id: Any) -> None:
    """No further file will be begun: it is queued as soon as those that are coming are in."""
    collection.update_id({"_id": document_id}, [{"$set": {"upload_finished": True}}])


def close(collection: GuardedCollection, document: Mapping[str, Any]) -> bool:
    """All files are in: ``uploading`` -> ``conversion queued``, or ``done`` where that was asked.

    False if somebody cancelled, queued or removed it meanwhile.
    """
    query = {"_id": document["_id"], "status": DatasetStatus.UPLOADING.value}
    if document.get("convert") is False:
        done: Mapping[str, Any] = {
            "status": DatasetStatus.DONE.value,
            "completed_at": NOW,
            "updated_at": NOW,
        }
        return collection.update_id(query, [{"$set": done}, {"$unset": ["upload_finished"]}])
    update: list[Mapping[str, Any]] = [
        {"$set": {"data_conversion_needed": True}},
        {"$unset": ["upload_finished", "upload_seen_at"]},
        *transition.requeueing(),
        *transition.stamping(),
    ]
    return collection.update_id(query, update)


def fail(collection: GuardedCollection, document_id: Any, problem: str) -> None:
    """Its files cannot be had: ``uploading`` -> ``failed``."""
    query = {"_id": document_id, "status": DatasetStatus.UPLOADING.value}
    changes = {"status": "failed", "updated_at": NOW, "error_message": literal(problem)}
    collection.update_id(query, [{"$set": changes}])


def quiet(collection: GuardedCollection, before: datetime) -> list[Document]:
    """Datasets that have files, of which nothing has come since `before`; a few of them."""
    query = {
        "status": DatasetStatus.UPLOADING.value,
        "upload_seen_at": {"$lt": before},
        "file_count": {"$gt": 0},
    }
    return collection.find(query, limit=100)
