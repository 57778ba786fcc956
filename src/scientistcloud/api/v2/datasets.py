"""``/api/v2/datasets``: list, make, read, change, delete and bring back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from scientistcloud.access.action import Action
from scientistcloud.access.listing import visible_to
from scientistcloud.api.audit import note
from scientistcloud.api.rights import Granted, allowed, permitted
from scientistcloud.api.v2.idempotency import once
from scientistcloud.api.v2.models import Changes, Dataset, DatasetPage, NewDataset, Retry
from scientistcloud.api.v2.shown import show, show_all
from scientistcloud.datasets.catalogue.editing import change, create, version_of
from scientistcloud.datasets.catalogue.search import Search, search
from scientistcloud.readers.base import parse_sensor
from scientistcloud.refusals import BadRequest, Conflict, DatasetNotFound

router = APIRouter(prefix="/api/v2/datasets", tags=["datasets"])

Text = Annotated[str, Query(max_length=255)]
Seen = Annotated[Granted, allowed(Action.SEE)]
Changing = Annotated[Granted, allowed(Action.CHANGE)]
Deleting = Annotated[Granted, allowed(Action.DELETE)]


@router.get("")
def list_datasets(
    granted: Annotated[Granted, permitted(Action.ANYTHING)],
    status: Text = "",
    q: Annotated[str, Query(max_length=255, description="in name, tags, uuid, description")] = "",
    team: Text = "",
    owner: Text = "",
    tag: Text = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str, Query(max_length=400)] = "",
    mine: bool = False,
) -> DatasetPage:
    """The datasets that the caller may see, newest first; `next` is the cursor of what follows."""
    visible = visible_to(granted.caller, with_public=not mine)
    wanted = Search(visible, q, status, team, owner, tag, limit, cursor)
    found, following = search(granted.context.datasets, wanted)
    return DatasetPage(datasets=show_all(granted.context, granted.caller, found), next=following)


@router.post("", status_code=201)
def create_dataset(
    request: Request,
    response: Response,
    body: NewDataset,
    granted: Annotated[Granted, permitted(Action.CREATE)],
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> Dataset:
    """Make a dataset; then bring its files, and finish it.

    The same `Idempotency-Key` from the same person makes one dataset, however often it is sent.
    """
    context, caller = granted.context, granted.caller
    values = _values(body)
    values["uuid"] = once(context.idempotency, caller.email, idempotency_key)
    known = context.store.find(values["uuid"]) if idempotency_key else None
    document = known or create(context.store, caller.email, values)
    note(granted, "create", str(document["uuid"]))
    context.looking.prepare()
    response.headers["location"] = (
        f"{request.scope.get('root_path', '')}/api/v2/datasets/{document['uuid']}"
    )
    return show(context, caller, context.store.find(document["uuid"]) or document)


@router.get("/{uuid}")
def get_dataset(uuid: str, granted: Seen, response: Response) -> Dataset:
    """One dataset, with its place in the queue, progress, and what went wrong."""
    response.headers["etag"] = f'"{version_of(granted.document)}"'
    response.headers["cache-control"] = "private, no-cache"
    return show(granted.context, granted.caller, granted.document)


@router.patch("/{uuid}")
def change_dataset(
    uuid: str,
    body: Changes,
    granted: Changing,
    response: Response,
    if_match: Annotated[str | None, Header(max_length=255)] = None,
) -> Dataset:
    """Change name, tags and the like; visibility and team are the owner's.

    With `If-Match`, only where nobody has changed it since.
    """
    changes = body.model_dump(exclude_none=True)
    if changes.keys() & {"is_public", "is_public_downloadable", "team_uuid"}:
        granted = _again(granted, Action.MANAGE)
    if "parameters" in changes:
        changes["conversion_parameters"] = changes.pop("parameters")
    _require_sensor(changes.get("sensor"))
    if not changes:
        raise BadRequest("There is nothing to change.")
    version = if_match.strip().strip('"') if if_match and if_match.strip() != "*" else None
    document = change(granted.context.datasets, granted.document, changes, version=version)
    note(granted, "change", granted.uuid, sorted(changes))
    response.headers["etag"] = f'"{version_of(document)}"'
    return show(granted.context, granted.caller, document)


@router.delete("/{uuid}")
def delete_dataset(uuid: str, granted: Deleting) -> dict[str, Any]:
    """Delete a dataset. It can be brought back until `gone_at`; then its files go."""
    context = granted.context
    if context.datasets.find_one({"_id": granted.document["_id"]}, {"_id": 1}) is None:
        raise DatasetNotFound("This dataset has been deleted already.")
    gone_at = context.trash.delete(
        granted.document, granted.caller.email, context.settings.delete_grace_seconds
    )
    note(granted, "delete", granted.uuid)
    return {"uuid": granted.uuid, "deleted_at": datetime.now(UTC), "gone_at": gone_at}


@router.post("/{uuid}/restore")
def restore_dataset(uuid: str, granted: Deleting) -> Dataset:
    """Bring a deleted dataset back."""
    document = granted.context.trash.restore(granted.uuid)
    note(granted, "restore", granted.uuid)
    return show(granted.context, granted.caller, document)


@router.post("/{uuid}/retry")
def retry_dataset(uuid: str, granted: Changing, body: Retry | None = None) -> Dataset:
    """Queue it again, with other choices if any are given: a new request, old errors are gone."""
    context = granted.context
    changes: dict[str, Any] = {}
    if body is not None and body.parameters is not None:
        changes["conversion_parameters"] = body.parameters
    if body is not None and body.sensor is not None:
        _require_sensor(body.sensor)
        changes["sensor"] = body.sensor
    if changes:
        change(context.datasets, granted.document, changes)
    if not context.store.requeue(granted.uuid):
        raise Conflict(
            "It is still being uploaded.", remedy="Finish the upload, or wait until it has ended."
        )
    note(granted, "retry", granted.uuid, sorted(changes))
    return show(context, granted.caller, context.store.find(granted.uuid) or granted.document)


@router.post("/{uuid}/cancel")
def cancel_dataset(uuid: str, granted: Changing) -> Dataset:
    """Take it out of the queue, or stop its conversion; files and a former result stay."""
    context = granted.context
    if not context.store.cancel(granted.uuid):
        raise Conflict("It is neither queued nor being converted.")
    note(granted, "cancel", granted.uuid)
    return show(context, granted.caller, context.store.find(granted.uuid) or granted.document)


def _again(granted: Granted, action: Action) -> Granted:
    """The same dataset for another action, which needs another right."""
    from scientistcloud.access.rights import decide
    from scientistcloud.refusals import NotAllowed

    decision = decide(granted.caller, action, granted.document)
    if not decision.is_allowed:
        raise NotAllowed(decision.reason)
    return granted


def _values(body: NewDataset) -> dict[str, Any]:
    _require_sensor(body.sensor)
    values = body.model_dump(exclude_none=True)
    values["conversion_parameters"] = values.pop("parameters", None)
    values["announced_files"] = values.pop("files", None)
    values["data_conversion_needed"] = body.convert
    return values


def _require_sensor(text: str | None) -> None:
    if text is not None and parse_sensor(text) is None:
        raise BadRequest(
            f"There is no sensor {text!r}.",
            remedy="One of: IDX, TIFF, TIFF RGB, NETCDF, HDF5, 4D_NEXUS, RGB, MAPIR, OTHER.",
        )
