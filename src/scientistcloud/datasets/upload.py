"""A dataset whose files are being brought in: from its announcement to the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scientistcloud.datasets.documents import transition
from scientistcloud.datasets.documents.collection import GuardedCollection
from scientistcloud.datasets.documents.document import DatasetStatus
from scientistcloud.datasets.store import DatasetStore


class Upload:
    """One document in ``uploading``, until its files are there."""

    def __init__(
        self, store: DatasetStore, collection: GuardedCollection, document: Mapping[str, Any]
    ) -> None:
        """Insert `document` as ``uploading``.

        Raises
        ------
        DuplicateUuid
        """
        self._collection = collection
        self.id = store.insert({**document, "status": DatasetStatus.UPLOADING.value})

    def _unfinished(self) -> dict[str, Any]:
        return {"_id": self.id, "status": DatasetStatus.UPLOADING.value}

    def queue(self) -> bool:
        """All files are there: ``uploading`` -> ``conversion queued``.

        False if somebody cancelled or removed the dataset meanwhile.
        """
        update = [*transition.requeueing(), *transition.stamping()]
        return self._collection.update_id(self._unfinished(), update)

    def abandon(self) -> None:
        """Remove the document, if nobody did anything with it."""
        with self._collection.guard() as collection:
            collection.delete_one(self._unfinished())
