"""The services that are alive, as they report themselves in ``sclib_services``: no jobs."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from pymongo.database import Database

from scientistcloud.datasets.documents import expression
from scientistcloud.datasets.documents.collection import Document, GuardedCollection

COLLECTION = "sclib_services"
FORGOTTEN_SECONDS = 600
"""A service not heard of for so long is removed by the server."""

ALIVE_SECONDS = 30.0


class ServiceRegistry:
    """Where a service says that it is alive.

    Parameters
    ----------
    owner : str
        The name that the service's leases carry.
    facts : Mapping, optional
        What does not change about it: `places` (conversions at a time), `limit_per_user`.
    """

    def __init__(
        self,
        database: Database[Document],
        owner: str,
        *,
        version: str,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self._collection = GuardedCollection(database, COLLECTION, timeout_seconds=5.0)
        self._owner = owner
        self._version = version
        self._facts = dict(facts or {})

    def ensure_index(self) -> bool:
        """Let the server forget services that vanished; whether that was possible."""
        return self._collection.create_index(
            [("seen_at", 1)], name="seen_at_ttl", expireAfterSeconds=FORGOTTEN_SECONDS
        )

    def beat(self, running: int, **facts: Any) -> None:
        """Say that this service is alive, how many datasets it converts, and other facts."""
        literal = expression.literal
        changes: expression.Stage = {
            "host": literal(socket.gethostname()),
            "pid": os.getpid(),
            "version": literal(self._version),
            "started_at": {"$ifNull": ["$started_at", expression.NOW]},
            "seen_at": expression.NOW,
            "running": literal(running),
            **{name: literal(value) for name, value in (self._facts | facts).items()},
        }
        with self._collection.guard() as collection:
            collection.update_one({"_id": self._owner}, [{"$set": changes}], upsert=True)

    def leave(self) -> None:
        """Say that this service ends."""
        with self._collection.guard() as collection:
            collection.delete_one({"_id": self._owner})


def alive_services(database: Database[Document]) -> list[Document]:
    """The services heard of lately, by the server's clock, the longest running first.

    Each with ``_id``, host, pid, started_at, seen_at, version, running and its facts.
    """
    limit = expression.in_seconds(-ALIVE_SECONDS)
    collection = GuardedCollection(database, COLLECTION, timeout_seconds=5.0)
    return collection.find({"$expr": {"$gt": ["$seen_at", limit]}}, sort=[("started_at", 1)])
