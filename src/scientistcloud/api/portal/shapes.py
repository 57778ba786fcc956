"""Documents in the shapes that the portal and its clients read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bson import ObjectId

from scientistcloud.datasets.catalogue.facts import tags_of

SECRETS = frozenset({"accesskey", "secretkey", "access_key_id", "secret_access_key", "conversion"})
"""Never given out: keys to other stores, and the records of services (tokens of leases)."""


def whole(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document, unknown fields included, as JSON can hold it; without secrets."""
    return {key: _plain(value) for key, value in document.items() if key not in SECRETS}


def listed(document: Mapping[str, Any], server: str) -> dict[str, Any]:
    """One item of the portal's main list."""
    link = document.get("google_drive_link")
    uuid = document.get("uuid")
    names = (
        "uuid", "name", "data_size", "folder_uuid", "team_uuid", "sensor", "status",
        "compression_status", "google_drive_link", "bucket", "prefix", "is_public",
        "is_public_downloadable", "dimensions", "preferred_dashboard", "created_at", "updated_at",
        "date_updated", "completed_at",
    )  # fmt: skip
    found = {name: _plain(document.get(name)) for name in names}
    return found | {
        "folder": found["folder_uuid"],
        "team": found["team_uuid"],
        "time": _plain(document.get("time") or document.get("created_at")),
        "tags": tags_of(document),
        "user": _plain(document.get("user")),
        "url": link if link else f"{server}/mod_visus?dataset={uuid}&&server=false",
    }


def shared(document: Mapping[str, Any]) -> dict[str, Any]:
    """One item of what was shared."""
    names = ("uuid", "name", "sensor", "status", "data_size", "created_at")
    return {name: _plain(document.get(name)) for name in names}


def team(found: Mapping[str, Any], email: str = "") -> dict[str, Any]:
    """A team, with whether the caller owns it."""
    plain = {key: _plain(value) for key, value in found.items() if key != "_id"}
    return plain | {"is_owner": str(found.get("owner", "")).strip().lower() == email}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items() if key not in SECRETS}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)
