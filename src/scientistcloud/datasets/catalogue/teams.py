"""Teams: their members, and who may change them (their owners)."""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from scientistcloud.datasets.catalogue.sharing import require_email
from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.refusals import BadRequest, NotAllowed, NotFound

_LONGEST_NAME = 255
_MOST_MEMBERS = 10_000


class Teams:
    """The documents of ``teams``: `uuid`, `team_name`, `owner`, `emails` (with the owner's)."""

    def __init__(self, collection: GuardedCollection) -> None:
        self._collection = collection

    def create(
        self, owner: str, name: str, emails: Sequence[str], parents: Sequence[str]
    ) -> Document:
        """A new team; raises `BadRequest` where the name is taken or unusable."""
        name = _usable_name(name)
        if self._collection.find_one({"team_name": {"$eq": name}}, {"_id": 1}) is not None:
            raise BadRequest(f"There is a team called {name!r} already.")
        team = {
            "uuid": str(uuids.uuid4()),
            "team_name": name,
            "owner": owner,
            "emails": _members(owner, emails),
            "parents": [str(each) for each in parents],
            "created_at": datetime.now(UTC),
        }
        with self._collection.guard() as raw:
            raw.insert_one(dict(team))
        return team

    def find(self, uuid: str) -> Document:
        """The team with this uuid; raises `NotFound`."""
        found = self._collection.find_one({"uuid": {"$eq": uuid}}, {"_id": 0})
        if found is None:
            raise NotFound("There is no such team.")
        return found

    def named(self, name: str) -> Document | None:
        """The team with this name, None where there is none or several."""
        found = self._collection.find({"team_name": {"$eq": name}}, {"_id": 0}, limit=2)
        return found[0] if len(found) == 1 else None

    def change(
        self, uuid: str, caller: str, changes: Mapping[str, Any], *, is_admin: bool
    ) -> Document:
        """Set name, members or parents; raises `NotFound`, `NotAllowed`, `BadRequest`."""
        team = self._owned(uuid, caller, is_admin=is_admin)
        values: dict[str, Any] = {}
        if changes.get("team_name") is not None:
            values["team_name"] = _usable_name(changes["team_name"])
            other = self._collection.find_one({"team_name": {"$eq": values["team_name"]}})
            if other is not None and other.get("uuid") != uuid:
                raise BadRequest("Another team has this name.")
        if changes.get("emails") is not None:
            values["emails"] = _members(str(team.get("owner", "")), changes["emails"])
        if changes.get("parents") is not None:
            values["parents"] = [str(each) for each in changes["parents"]]
        if not values:
            raise BadRequest("There is nothing to change.")
        with self._collection.guard() as raw:
            raw.update_one({"uuid": uuid}, {"$set": values})
        return {**team, **values}

    def leave(self, uuid: str, email: str) -> None:
        """A member goes."""
        same = re.compile(rf"^\s*{re.escape(email)}\s*$", re.IGNORECASE)
        with self._collection.guard() as raw:
            raw.update_one({"uuid": uuid}, {"$pull": {"emails": same}})

    def delete(self, uuid: str, caller: str, *, is_admin: bool) -> None:
        """Raises `NotFound`, `NotAllowed`."""
        self._owned(uuid, caller, is_admin=is_admin)
        with self._collection.guard() as raw:
            raw.delete_one({"uuid": uuid})

    def _owned(self, uuid: str, caller: str, *, is_admin: bool) -> Document:
        team = self.find(uuid)
        if is_admin or str(team.get("owner", "")).strip().lower() == caller:
            return team
        if caller not in [str(each).strip().lower() for each in team.get("emails", [])]:
            raise NotFound("There is no such team.")
        raise NotAllowed("Only the owner of a team may change it.")


def _usable_name(name: object) -> str:
    text = name.strip() if isinstance(name, str) else ""
    if not 1 <= len(text) <= _LONGEST_NAME or not text.isprintable():
        raise BadRequest("The name of a team has 1 to 255 printable characters.")
    return text


def _members(owner: str, emails: Sequence[str]) -> list[str]:
    if len(emails) > _MOST_MEMBERS:
        raise BadRequest(f"A team has {_MOST_MEMBERS} members at most.")
    found = [require_email(each) for each in emails]
    return list(dict.fromkeys([owner, *found]))
