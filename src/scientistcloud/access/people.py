"""What MongoDB says of people: their teams, and what was shared with them. Kept for moments."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from pymongo.database import Database

from scientistcloud.access.caller import plain_email
from scientistcloud.datasets.documents.collection import Document, GuardedCollection

KEEP_SECONDS = 10.0
"""A right that ended ends for running requests, too, within so many seconds and a moment."""
_MOST_KEPT = 10_000
_TIMEOUT_SECONDS = 5.0


class People:
    """Teams and shares; raises `DatabaseUnavailable` while the server is away.

    Parameters
    ----------
    names : Mapping
        Of the collections: ``teams``, ``shared_user``, ``shared_team``, ``user_profile``.
    """

    def __init__(
        self,
        database: Database[Document],
        names: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        def collection(key: str) -> GuardedCollection:
            name = names.get(key, key)
            return GuardedCollection(database, name, timeout_seconds=_TIMEOUT_SECONDS)

        self.teams = collection("teams")
        self.shared_user = collection("shared_user")
        self.shared_team = collection("shared_team")
        self.profiles = collection("user_profile")
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, frozenset[str], frozenset[str]]] = OrderedDict()

    def belongings(self, email: str) -> tuple[frozenset[str], frozenset[str]]:
        """The names and uuids of a person's teams, and the uuids of what was shared with them."""
        now = self._clock()
        with self._lock:
            found = self._kept.get(email)
        if found is not None and now - found[0] < KEEP_SECONDS:
            return found[1], found[2]
        teams = self._teams(email)
        shared = self._shared(email, teams)
        with self._lock:
            self._kept[email] = (now, teams, shared)
            self._kept.move_to_end(email)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return teams, shared

    def forget(self) -> None:
        """Ask again from now on: something was shared, or a team has changed."""
        with self._lock:
            self._kept.clear()

    def teams_of(self, email: str) -> list[Document]:
        """The teams that a person owns or is a member of."""
        same = _same(email)
        return self.teams.find({"$or": [{"emails": same}, {"owner": same}]}, sort=[("_id", 1)])

    def _teams(self, email: str) -> frozenset[str]:
        found: set[str] = set()
        for team in self.teams_of(email):
            uuid, name = team.get("uuid"), team.get("team_name")
            if isinstance(uuid, str) and uuid:
                found.add(uuid)
            # Names stand for teams in older documents; one that two teams have gives no right.
            if isinstance(name, str) and name and self.teams.count({"team_name": name}) == 1:
                found.add(name)
        profile = self.profiles.find_one({"email": _same(email)}, {"team_id": 1}) or {}
        team_id = profile.get("team_id")
        return frozenset(found | {team_id} if isinstance(team_id, str) and team_id else found)

    def _shared(self, email: str, teams: frozenset[str]) -> frozenset[str]:
        found = self.shared_user.find({"user": _same(email)}, {"uuid": 1})
        if teams:
            named = {"$in": sorted(teams)}
            query = {"$or": [{"team_uuid": named}, {"team": named}]}
            found += self.shared_team.find(query, {"uuid": 1})
        return frozenset(each["uuid"] for each in found if isinstance(each.get("uuid"), str))


def _same(email: str) -> Any:
    """Matches an e-mail whatever its case, with blanks around it or not."""
    return re.compile(rf"^\s*{re.escape(plain_email(email))}\s*$", re.IGNORECASE)
