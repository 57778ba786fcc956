"""Making and changing datasets: `create`, `change`."""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from scientistcloud.datasets.documents import expression
from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.datasets.documents.document import USABLE_UUID, DatasetStatus
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.refusals import BadRequest, Changed, Conflict

CHANGEABLE = (
    "name", "description", "tags", "folder_uuid", "team_uuid", "sensor", "dimensions",
    "preferred_dashboard", "is_public", "is_public_downloadable", "data_conversion_needed",
    "conversion_parameters", "google_drive_link",
)  # fmt: skip
"""Fields that edits may set; everything else belongs to services."""


def create(store: DatasetStore, owner: str, values: Mapping[str, Any]) -> Document:
    """Insert a dataset whose files are still to come, and return its document.

    Parameters
    ----------
    owner : str
        The e-mail of the person, or ``local``.
    values : Mapping
        Fields of the document; `uuid` is made where there is none.

    Raises
    ------
    DuplicateUuid, BadRequest
    """
    uuid = values.get("uuid") or str(uuids.uuid4())
    if not isinstance(uuid, str) or not USABLE_UUID.fullmatch(uuid):
        raise BadRequest("The uuid cannot be the name of a folder.")
    name = str(values.get("name") or uuid)
    document = {
        "uuid": uuid,
        "name": name,
        "slug": _slug(owner, name),
        "id": int(datetime.now(UTC).timestamp() * 1000) % 100_000,
        "user": owner,
        "user_id": owner,
        "sensor": "OTHER",
        "convert": True,
        "is_public": False,
        "is_public_downloadable": False,
        "source_type": "local",
        "total_size_bytes": 0,
        "tags": "",
        "status": DatasetStatus.UPLOADING.value,
        **{key: value for key, value in values.items() if value is not None},
    }
    document["uuid"] = uuid
    document["_id"] = store.insert(document)
    return document


def change(
    collection: GuardedCollection,
    document: Mapping[str, Any],
    changes: Mapping[str, Any],
    *,
    version: str | None = None,
) -> Document:
    """Set fields of a dataset, whatever services do to it meanwhile; the document afterwards.

    Parameters
    ----------
    version : str, optional
        The `version_of` that the caller has seen: where another edit came between, nothing is
        changed.

    Raises
    ------
    Changed, BadRequest
    """
    unknown = sorted(set(changes) - set(CHANGEABLE))
    if unknown:
        raise BadRequest(f"{', '.join(unknown)} cannot be changed.")
    query: dict[str, Any] = {"_id": document["_id"]}
    if version is not None:
        if version != version_of(document):
            raise Changed
        query["date_updated"] = document.get("date_updated")
    values = {key: expression.literal(value) for key, value in changes.items()}
    after = collection.exchange_id(
        query, [{"$set": {**values, "date_updated": expression.NOW}}], {}, after=True
    )
    if after is None:
        if version is not None:
            raise Changed
        raise Conflict("The dataset was deleted meanwhile.")
    return after


def version_of(document: Mapping[str, Any]) -> str:
    """Names the state of what edits can change: another edit, another version."""
    at = document.get("date_updated")
    stamp = at.timestamp() if isinstance(at, datetime) else 0
    return f"{document['_id']}-{stamp:.3f}"


def _slug(owner: str, name: str) -> str:
    user = owner.partition("@")[0]
    text = re.sub(r"[^a-z0-9]+", "-", f"{user}-{name}".lower()).strip("-")
    return f"{text[:80]}-{datetime.now(UTC).year}"
