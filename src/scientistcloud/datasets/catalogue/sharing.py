"""With whom datasets are shared: the documents of ``shared_user`` and ``shared_team``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.refusals import BadRequest, NotFound

_EMAIL = re.compile(r"[^@\s]{1,128}@[^@\s]{1,253}")


def require_email(text: object) -> str:
    """The e-mail as it is kept; raises `BadRequest` for anything that is none."""
    email = text.strip().lower() if isinstance(text, str) else ""
    if not _EMAIL.fullmatch(email):
        raise BadRequest("This is no e-mail address.")
    return email


class Sharing:
    """Shares of datasets with persons and teams.

    Parameters
    ----------
    users, teams : GuardedCollection
        ``shared_user`` and ``shared_team``.
    """

    def __init__(self, users: GuardedCollection, teams: GuardedCollection) -> None:
        self._users = users
        self._teams = teams

    def with_user(self, uuid: str, email: str, link: str | None = None) -> bool:
        """Share with a person; False where that was so before."""
        email = require_email(email)
        document = {"uuid": uuid, "user": email, "google_drive_link": link}
        return _add(self._users, {"uuid": uuid, "user": email}, document)

    def with_team(self, uuid: str, team: Mapping[str, Any], link: str | None = None) -> bool:
        """Share with a team; False where that was so before."""
        key = {"uuid": uuid, "team_uuid": team.get("uuid")}
        document = {**key, "team": team.get("team_name"), "google_drive_link": link}
        return _add(self._teams, key, document)

    def end(self, uuid: str, *, email: str = "", team: str = "") -> None:
        """Share no longer with a person, or a team (by name or uuid).

        Raises
        ------
        NotFound
            It was not shared so.
        """
        if email:
            same = re.compile(rf"^\s*{re.escape(email.strip())}\s*$", re.IGNORECASE)
            collection, query = self._users, {"uuid": uuid, "user": same}
        else:
            named = [{"team": {"$eq": team}}, {"team_uuid": {"$eq": team}}]
            collection, query = self._teams, {"uuid": uuid, "$or": named}
        with collection.guard() as raw:
            if raw.delete_many(query).deleted_count == 0:
                raise NotFound("It was not shared so.")

    def of(self, uuid: str) -> dict[str, list[Document]]:
        """With whom a dataset is shared."""
        users = self._users.find({"uuid": {"$eq": uuid}}, {"_id": 0}, sort=[("user", 1)])
        teams = self._teams.find({"uuid": {"$eq": uuid}}, {"_id": 0}, sort=[("team", 1)])
        return {"users": users, "teams": teams}

    def uuids_with_user(self, email: str) -> list[str]:
        same = re.compile(rf"^\s*{re.escape(email.strip())}\s*$", re.IGNORECASE)
        return _uuids(self._users.find({"user": same}, {"uuid": 1}))

    def uuids_with_team(self, team: str) -> list[str]:
        named = [{"team": {"$eq": team}}, {"team_uuid": {"$eq": team}}]
        return _uuids(self._teams.find({"$or": named}, {"uuid": 1}))

    def forget(self, uuid: str) -> None:
        """End all shares of a dataset."""
        for collection in (self._users, self._teams):
            with collection.guard() as raw:
                raw.delete_many({"uuid": uuid})


def _add(collection: GuardedCollection, key: Document, document: Document) -> bool:
    with collection.guard() as raw:
        result = raw.update_one(key, {"$setOnInsert": document}, upsert=True)
    return result.upserted_id is not None


def _uuids(found: list[Document]) -> list[str]:
    return [each["uuid"] for each in found if isinstance(each.get("uuid"), str)]
