"""What is kept of uploads in MongoDB: those under way, the files that have come, the quotas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from scientistcloud.access.listing import owned_by
from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.refusals import QuotaExceeded

_TIMEOUT_SECONDS = 5.0


class Ledger:
    """``sclib_uploads`` (under way) and ``sclib_files`` (whole, with size and SHA-256).

    Parameters
    ----------
    quota_bytes : int
        For each user, and for each team; 0 for none.
    """

    def __init__(
        self, database: Database[Document], datasets: GuardedCollection, quota_bytes: int
    ) -> None:
        self._uploads = GuardedCollection(
            database, "sclib_uploads", timeout_seconds=_TIMEOUT_SECONDS
        )
        self._files = GuardedCollection(database, "sclib_files", timeout_seconds=_TIMEOUT_SECONDS)
        self._datasets = datasets
        self.quota_bytes = quota_bytes

    def ensure_indexes(self) -> None:
        self._uploads.create_index([("uuid", 1)])
        self._uploads.create_index([("email", 1)])
        self._uploads.create_index([("job_id", 1)])
        self._files.create_index([("uuid", 1), ("name", 1)], unique=True)

    def reserve(
        self, upload_id: str, uuid: str, email: str, size_bytes: int, *, name: str = "",
        team: str = "", job_id: str = "",
    ) -> None:  # fmt: skip
        """Count an upload that begins.

        It is written down before quotas are added up, so that of two that begin at once neither
        passes over the other.

        Raises
        ------
        QuotaExceeded
        """
        now = datetime.now(UTC)
        entry = {
            "_id": upload_id, "uuid": uuid, "email": email, "size": size_bytes, "name": name,
            "team": team, "job_id": job_id, "began_at": now, "touched_at": now,
        }  # fmt: skip
        with self._uploads.guard() as uploads:
            uploads.replace_one({"_id": upload_id}, entry, upsert=True)
        if not self.quota_bytes:
            return
        used = self.used_by_user(email)
        in_team = self.used_by_team(team) if team else 0
        if max(used, in_team) > self.quota_bytes:
            self.drop(upload_id)
            left = self.quota_bytes - max(used, in_team) + size_bytes
            raise QuotaExceeded(
                f"The quota is {self.quota_bytes} bytes, of which {max(0, left)} are left; "
                f"{size_bytes} are to come.",
                facts={"quota_bytes": self.quota_bytes, "left_bytes": max(0, left)},
            )

    def used_by_user(self, email: str) -> int:
        """Bytes of a user's datasets, with what is under way."""
        return self._sum(owned_by(email), {"email": email})

    def used_by_team(self, team: str) -> int:
        return self._sum({"team_uuid": {"$eq": team}}, {"team": team})

    def touch(self, upload_id: str, offset: int) -> None:
        """Something has come."""
        changes = {"touched_at": datetime.now(UTC), "offset": offset}
        with self._uploads.guard() as uploads:
            uploads.update_one({"_id": upload_id}, {"$set": changes})

    def drop(self, upload_id: str) -> None:
        """It is whole, or will not come."""
        with self._uploads.guard() as uploads:
            uploads.delete_one({"_id": upload_id})

    def under_way(self, uuid: str) -> list[Document]:
        """The uploads of a dataset that are not whole."""
        return self._uploads.find({"uuid": {"$eq": uuid}})

    def by_job(self, job_id: str) -> Document | None:
        return self._uploads.find_one({"job_id": {"$eq": job_id}})

    def add_file(self, uuid: str, name: str, size_bytes: int, sha256: str) -> int:
        """A file is whole; the bytes of one of the same name that it replaces (-1: none)."""
        entry = {"size": size_bytes, "sha256": sha256, "at": datetime.now(UTC)}
        with self._files.guard() as files:
            before = files.find_one_and_update(
                {"uuid": uuid, "name": name}, {"$set": entry}, upsert=True
            )
        return int(before["size"]) if before else -1

    def file(self, uuid: str, name: str) -> Document | None:
        """What is known of a whole file."""
        return self._files.find_one({"uuid": {"$eq": uuid}, "name": {"$eq": name}})

    def forget(self, uuid: str) -> None:
        """The files of a dataset are gone."""
        with self._files.guard() as files:
            files.delete_many({"uuid": uuid})

    def _sum(self, owned: Mapping[str, Any], running: Mapping[str, Any]) -> int:
        whole = self._datasets.aggregate(
            [{"$match": owned}, {"$group": {"_id": None, "bytes": {"$sum": "$total_size_bytes"}}}]
        )
        under_way = self._uploads.aggregate(
            [{"$match": running}, {"$group": {"_id": None, "bytes": {"$sum": "$size"}}}]
        )
        return sum(int(each["bytes"]) for each in (*whole, *under_way))
