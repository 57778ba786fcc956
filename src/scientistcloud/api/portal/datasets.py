"""``/api/v1/datasets``: as the portal calls it; thin translations onto the functions of v2."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request

from scientistcloud.access.action import Action
from scientistcloud.access.listing import PUBLIC, owned_by, visible_to
from scientistcloud.access.rights import is_true
from scientistcloud.api.audit import note
from scientistcloud.api.portal import shapes
from scientistcloud.api.rights import Granted, identified, permitted, require
from scientistcloud.datasets.catalogue.editing import CHANGEABLE, change
from scientistcloud.datasets.documents.document import DatasetStatus
from scientistcloud.refusals import BadRequest, Conflict, NotSignedIn

router = APIRouter(tags=["portal: datasets"])

Anybody = Annotated[Granted, permitted(Action.ANYTHING)]
Seen = Annotated[Granted, identified(Action.SEE)]
Changing = Annotated[Granted, identified(Action.CHANGE)]
Text = Annotated[str, Query(max_length=320)]
Object = Annotated[dict[str, Any], Body()]
_MOST = 5000
_MANAGED = frozenset({"is_public", "is_public_downloadable", "team_uuid"})
_SETTINGS = tuple(each for each in CHANGEABLE if each != "conversion_parameters")
QUEUED = DatasetStatus.QUEUED.value


@router.get("/api/v1/datasets")
def list_datasets(
    granted: Anybody,
    name: Text = "",
    slug: Text = "",
    id: Annotated[int | None, Query(ge=0, le=2**31)] = None,
    user_email: Text = "",
    team_uuid: Text = "",
    team: Text = "",
    folder: Text = "",
    public_only: bool = False,
    status: Text = "",
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 1000,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> dict[str, Any]:
    """Datasets that fit all filters, of those that the caller may see."""
    exact = {"name": name, "slug": slug, "status": status}
    parts: list[dict[str, Any]] = [{key: {"$eq": each}} for key, each in exact.items() if each]
    if id is not None:
        parts.append({"id": id})
    if user_email and user_email.strip().lower() != granted.caller.email:
        parts.append(owned_by(user_email))
    if team_uuid or team:
        parts.append({"team_uuid": {"$eq": team_uuid or team}})
    if folder:
        named = [{"folder_uuid": {"$eq": folder}}, {"metadata.folder_uuid": {"$eq": folder}}]
        parts.append({"$or": named})
    parts.append(PUBLIC if public_only else visible_to(granted.caller))
    found = _find(granted, parts, limit, (page - 1) * limit)
    return {
        "success": True,
        "datasets": [shapes.whole(each) for each in found],
        "count": len(found),
    }


@router.get("/api/v1/datasets/by-user")
def by_user(request: Request, granted: Anybody, user_email: Text = "") -> dict[str, Any]:
    """The portal's main list: own datasets, those shared, those of teams."""
    caller = granted.caller
    if caller.is_nobody:
        raise NotSignedIn("user_email is needed, from a portal that this server trusts.")
    server = str(request.base_url).rstrip("/")
    own = {} if caller.is_admin and caller.email == "local" else owned_by(caller.email)
    team = {"team_uuid": {"$in": sorted(caller.teams)}}
    with_me: dict[str, Any] = {"uuid": {"$in": sorted(caller.shared)}}
    groups = {
        "my": _find(granted, [own], _MOST),
        "shared": _find(granted, [with_me, {"$nor": [own]} if own else {}], _MOST),
        "team": _find(granted, [team, {"$nor": [own, with_me]} if own else {}], _MOST),
    }
    return {
        "success": True,
        "datasets": {key: [shapes.listed(each, server) for each in g] for key, g in groups.items()},
        "counts": {key: len(found) for key, found in groups.items()},
    }


@router.get("/api/datasets")
def flat_list(granted: Anybody, user_email: Text = "", user_id: Text = "") -> dict[str, Any]:
    """Own, shared and team datasets in one list."""
    if granted.caller.is_nobody:
        raise BadRequest("user_email or user_id is needed.")
    found = _find(granted, [visible_to(granted.caller, with_public=False)], _MOST)
    return {"success": True, "datasets": [shapes.whole(each) for each in found]}


@router.get("/api/v1/datasets/{identifier}")
def get_dataset(identifier: str, granted: Seen) -> dict[str, Any]:
    """One dataset, by uuid, id, slug or name."""
    return {
        "success": True,
        "identifier": identifier,
        "resolved_uuid": granted.uuid,
        "dataset": shapes.whole(granted.document),
    }


@router.put("/api/v1/datasets/{identifier}")
def put_dataset(
    request: Request, identifier: str, granted: Changing, body: Object
) -> dict[str, Any]:
    """Change fields; `status: "conversion queued"` asks for a conversion."""
    document, fields = _change(request, granted, body)
    return {
        "success": True,
        "message": "Dataset updated successfully",
        "updated_fields": fields,
        "dataset": shapes.whole(document),
    }


@router.delete("/api/v1/datasets/{identifier}")
def delete_dataset(
    identifier: str, granted: Annotated[Granted, identified(Action.DELETE)]
) -> dict[str, Any]:
    """Delete a dataset; it can be brought back for a time."""
    context = granted.context
    context.trash.delete(
        granted.document, granted.caller.email, context.settings.delete_grace_seconds
    )
    note(granted, "delete", granted.uuid)
    return {"success": True, "message": "Dataset deleted successfully"}


@router.post("/api/v1/datasets/{identifier}/convert")
def convert(identifier: str, granted: Changing) -> dict[str, Any]:
    """Queue it again: the portal's Retry."""
    if not granted.context.store.requeue(granted.uuid):
        raise Conflict("The dataset is still being uploaded.")
    note(granted, "retry", granted.uuid)
    return {
        "success": True,
        "message": "Dataset conversion queued successfully",
        "status": QUEUED,
        "dataset_uuid": granted.uuid,
    }


@router.get("/api/v1/datasets/{identifier}/settings")
def get_settings(identifier: str, granted: Seen) -> dict[str, Any]:
    """What can be set, with its values."""
    found = shapes.whole({name: granted.document.get(name) for name in _SETTINGS})
    tags = found.get("tags")
    found["tags"] = ",".join(map(str, tags)) if isinstance(tags, list) else tags
    return {"success": True, "settings": found, "dataset_uuid": granted.uuid}


@router.put("/api/v1/datasets/{identifier}/settings")
def put_settings(
    request: Request, identifier: str, granted: Changing, body: Object
) -> dict[str, Any]:
    """As PUT of the dataset."""
    return put_dataset(request, identifier, granted, body)


@router.patch("/api/v1/datasets/{identifier}/settings/{name}")
def patch_setting(
    request: Request, identifier: str, name: str, granted: Changing,
    setting_value: Annotated[str, Query(max_length=10_000)],
) -> dict[str, Any]:  # fmt: skip
    """Set one field; `status` only where it asks for a conversion or an upload."""
    if name not in (*_SETTINGS, "status"):
        raise BadRequest(f"There is no setting {name[:80]!r}.")
    _change(request, granted, {name: setting_value})
    return {
        "success": True,
        "message": f"Setting '{name}' updated successfully",
        "setting_name": name,
        "setting_value": setting_value,
    }


@router.get("/api/v1/datasets/{identifier}/size")
def get_size(identifier: str, granted: Seen) -> dict[str, Any]:
    """Bytes of the upload."""
    size = granted.document.get("total_size_bytes") or 0
    return {"success": True, "dataset_uuid": granted.uuid, "total_size_bytes": size}


def _change(
    request: Request, granted: Granted, body: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Carry out the changes that a body asks for; nothing of it is passed over in silence."""
    context, values = granted.context, {k: v for k, v in body.items() if v is not None}
    status = values.pop("status", None)
    if status not in (None, QUEUED, "uploading"):
        raise BadRequest(f"The status cannot be set to {str(status)[:80]!r}.")
    if not values and status is None:
        raise BadRequest("There is nothing to change.")
    if _MANAGED & values.keys():
        require(request, granted.caller, Action.MANAGE, granted.document)
    values = {key: _typed(key, value) for key, value in values.items()}
    document = granted.document
    if values:
        document = change(context.datasets, document, values)
    if status is not None and not context.store.requeue(granted.uuid):
        raise Conflict("The dataset is still being uploaded.")
    fields = sorted([*values, *(["status"] if status is not None else [])])
    note(granted, "change", granted.uuid, fields)
    return context.store.find(granted.uuid) or document, fields


def _typed(key: str, value: object) -> object:
    if key in ("is_public", "is_public_downloadable", "data_conversion_needed"):
        return is_true(value)
    if key == "tags":
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list):
            raise BadRequest("tags must be text with commas between, or a list.")
        return [str(each).strip() for each in parts if str(each).strip()]
    if key == "conversion_parameters":
        if not isinstance(value, dict):
            raise BadRequest("conversion_parameters must be an object.")
        return value
    if not isinstance(value, str) or len(value) > 10_000:
        raise BadRequest(f"{key} must be text.")
    return value


def _find(
    granted: Granted, parts: list[dict[str, Any]], limit: int, skip: int = 0
) -> list[dict[str, Any]]:
    query = {"$and": [each for each in parts if each]} if any(parts) else {}
    with granted.context.datasets.guard() as raw:
        fields = {"conversion": 0, "files": 0}
        return list(raw.find(query, fields, sort=[("created_at", -1)], limit=limit, skip=skip))
