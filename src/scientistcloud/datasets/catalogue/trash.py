"""Deleted datasets, which can be brought back for a time; then their files go: `Trash`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.datasets.documents.document import ACTIVE, USABLE_UUID, DatasetStatus
from scientistcloud.refusals import Conflict

COLLECTION = "sclib_deleted"


class Trash:
    """Documents that were deleted, with the time at which their files go.

    A document is put here before it is taken away, so that a process that dies between loses
    nothing: at worst it is in both places, and deleting it again does the rest.

    Parameters
    ----------
    datasets : GuardedCollection
    trash : GuardedCollection
        ``sclib_deleted`` of the same database.
    folders : sequence of Path
        Where the dataset's own folders are: of uploads and of results.
    """

    def __init__(
        self, datasets: GuardedCollection, trash: GuardedCollection, folders: Sequence[Path]
    ) -> None:
        self._datasets = datasets
        self._trash = trash
        self._folders = folders

    def delete(self, document: Mapping[str, Any], by: str, grace_seconds: float) -> datetime:
        """Take a dataset away; when it will be gone for good.

        A conversion that is running ends within seconds, as its document is not there any more.
        """
        now = datetime.now(UTC)
        gone_at = now + timedelta(seconds=grace_seconds)
        kept = dict(document)
        if kept.get("status") in ACTIVE:
            kept["status"] = DatasetStatus.CANCELLED.value
            conversion = kept.get("conversion")
            if isinstance(conversion, dict):
                kept["conversion"] = {k: v for k, v in conversion.items() if k != "lease"}
        entry = {"_id": kept["_id"], "uuid": kept.get("uuid"), "document": kept}
        entry |= {"by": by, "deleted_at": now, "gone_at": gone_at}
        with self._trash.guard() as trash:
            trash.replace_one({"_id": kept["_id"]}, entry, upsert=True)
        with self._datasets.guard() as datasets:
            datasets.delete_one({"_id": kept["_id"]})
        return gone_at

    def find(self, uuid: str) -> Document | None:
        """The deleted document with this uuid."""
        found = self._trash.find_one({"uuid": {"$eq": uuid}})
        return found["document"] if found else None

    def restore(self, uuid: str) -> Document:
        """Bring a dataset back as it was.

        Raises
        ------
        Conflict
            It was not deleted, or is gone for good; or another dataset has its uuid now.
        """
        found = self._trash.find_one({"uuid": {"$eq": uuid}})
        if found is None:
            raise Conflict("It was not deleted.", remedy="There is nothing to bring back.")
        document: Document = found["document"]
        other = self._datasets.find_one({"uuid": {"$eq": uuid}}, {"_id": 1})
        if other is not None and other["_id"] != document["_id"]:
            raise Conflict("Another dataset has this uuid now.")
        with self._datasets.guard() as datasets:
            datasets.replace_one({"_id": document["_id"]}, document, upsert=True)
        with self._trash.guard() as trash:
            trash.delete_one({"_id": document["_id"]})
        return document

    def empty(self) -> int:
        """Remove what has been here long enough, files first; how many there were."""
        removed = 0
        for entry in self._trash.find({"gone_at": {"$lte": datetime.now(UTC)}}, {"uuid": 1}):
            uuid = entry.get("uuid")
            used = self._datasets.find_one({"uuid": {"$eq": uuid}}, {"_id": 1})
            if isinstance(uuid, str) and USABLE_UUID.fullmatch(uuid) and used is None:
                for folder in self._folders:
                    shutil.rmtree(folder / uuid, ignore_errors=True)
            with self._trash.guard() as trash:
                removed += trash.delete_one({"_id": entry["_id"]}).deleted_count
        return removed
