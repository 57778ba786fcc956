"""Keys of persons and links to datasets: random texts, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from scientistcloud.access.action import READING, SCOPES, Action
from scientistcloud.access.caller import LinkGrant
from scientistcloud.datasets.documents.collection import Document, GuardedCollection

KEY_PREFIX, LINK_PREFIX = "sck_", "scl_"
_BYTES = 24
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a person: it acts as the person, as far as its scopes reach."""

    id: str
    email: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None

    @property
    def actions(self) -> frozenset[Action]:
        return frozenset().union(*(SCOPES.get(scope, frozenset()) for scope in self.scopes))


@dataclass(frozen=True, slots=True)
class Link:
    """A link to one dataset, for whoever has it."""

    id: str
    uuid: str
    actions: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    uses: int = field(default=0)


class SecretStore:
    """Keys and links in MongoDB (``sclib_keys``, ``sclib_links``), by the hash of their text.

    Raises `DatabaseUnavailable` while the server is away.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._keys = GuardedCollection(database, "sclib_keys", timeout_seconds=_TIMEOUT_SECONDS)
        self._links = GuardedCollection(database, "sclib_links", timeout_seconds=_TIMEOUT_SECONDS)

    def make_key(
        self, email: str, name: str, scopes: tuple[str, ...], expires_at: datetime | None
    ) -> tuple[Key, str]:
        """A new key, and its text, which nobody can read again."""
        text = KEY_PREFIX + secrets.token_urlsafe(_BYTES)
        key = Key(secrets.token_hex(8), email, name, scopes, datetime.now(UTC), expires_at)
        document = {
            "_id": _hash(text), "id": key.id, "email": email, "name": name,
            "scopes": list(scopes), "created_at": key.created_at, "expires_at": expires_at,
        }  # fmt: skip
        with self._keys.guard() as collection:
            collection.insert_one(document)
        return key, text

    def find_key(self, text: str) -> Key | None:
        """The key of this text, unless it has expired or was revoked."""
        found = self._keys.find_one({"_id": _hash(text)})
        return _key(found) if found and not _has_ended(found) else None

    def keys_of(self, email: str) -> list[Key]:
        return [_key(each) for each in self._keys.find({"email": email}, sort=[("created_at", -1)])]

    def revoke_key(self, email: str, key_id: str) -> bool:
        """Whether there was such a key of this person."""
        with self._keys.guard() as collection:
            return collection.delete_one({"id": key_id, "email": email}).deleted_count == 1

    def make_link(
        self, uuid: str, actions: frozenset[Action], email: str, expires_at: datetime | None
    ) -> tuple[Link, str]:
        """A new link, and its text, which nobody can read again."""
        text = LINK_PREFIX + secrets.token_urlsafe(_BYTES)
        names = tuple(sorted(each.value for each in actions & READING))
        link = Link(secrets.token_hex(8), uuid, names, email, datetime.now(UTC), expires_at)
        document = {
            "_id": _hash(text), "id": link.id, "uuid": uuid, "actions": list(names),
            "created_by": email, "created_at": link.created_at, "expires_at": expires_at, "uses": 0,
        }  # fmt: skip
        with self._links.guard() as collection:
            collection.insert_one(document)
        return link, text

    def find_link(self, text: str) -> LinkGrant | None:
        """What the link of this text gives, unless it has ended."""
        found = self._links.find_one({"_id": _hash(text)})
        if not found or _has_ended(found):
            return None
        actions = frozenset(Action(each) for each in found.get("actions", []))
        return LinkGrant(str(found["uuid"]), actions & READING, str(found["id"]))

    def links_of(self, uuid: str) -> list[Link]:
        found = self._links.find({"uuid": uuid}, sort=[("created_at", -1)])
        return [_link(each) for each in found]

    def revoke_link(self, uuid: str, link_id: str) -> bool:
        """Whether there was such a link to this dataset."""
        with self._links.guard() as collection:
            return collection.delete_one({"id": link_id, "uuid": uuid}).deleted_count == 1


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _has_ended(document: Document) -> bool:
    ends = document.get("expires_at")
    return isinstance(ends, datetime) and ends <= datetime.now(UTC)


def _key(document: Document) -> Key:
    values: dict[str, Any] = {name: document.get(name) for name in ("id", "email", "name")}
    return Key(
        **values, scopes=tuple(document.get("scopes", [])),
        created_at=document["created_at"], expires_at=document.get("expires_at"),
    )  # fmt: skip


def _link(document: Document) -> Link:
    return Link(
        str(document["id"]), str(document["uuid"]), tuple(document.get("actions", [])),
        str(document.get("created_by", "")), document["created_at"], document.get("expires_at"),
        int(document.get("uses", 0)),
    )  # fmt: skip
