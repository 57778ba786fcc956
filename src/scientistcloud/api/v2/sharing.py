"""With whom a dataset is shared, and links to it; both are its owner's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Request

from scientistcloud.access.action import READING, Action
from scientistcloud.api.audit import note
from scientistcloud.api.rights import Granted, allowed
from scientistcloud.api.v2.models import NewLink, NewShare
from scientistcloud.refusals import BadRequest, NotFound

router = APIRouter(prefix="/api/v2/datasets", tags=["sharing"])

Managing = Annotated[Granted, allowed(Action.MANAGE)]


@router.get("/{uuid}/shares")
def get_shares(uuid: str, granted: Managing) -> dict[str, Any]:
    """The persons and teams that it is shared with."""
    return granted.context.sharing.of(granted.uuid)


@router.post("/{uuid}/shares", status_code=201)
def add_share(uuid: str, body: NewShare, granted: Managing) -> dict[str, Any]:
    """Share it with a person or a team: they may see, view and download it."""
    context = granted.context
    if bool(body.email) == bool(body.team):
        raise BadRequest("Share with a person (email) or with a team (team), one at a time.")
    if body.email:
        context.sharing.with_user(granted.uuid, body.email)
    else:
        context.sharing.with_team(granted.uuid, context.teams.find(str(body.team)))
    context.people.forget()
    note(granted, "share", granted.uuid)
    return context.sharing.of(granted.uuid)


@router.delete("/{uuid}/shares")
def end_share(uuid: str, granted: Managing, email: str = "", team: str = "") -> dict[str, Any]:
    """Share it no longer."""
    if bool(email) == bool(team):
        raise BadRequest("Name a person (email) or a team (team).")
    granted.context.sharing.end(granted.uuid, email=email, team=team)
    granted.context.people.forget()
    note(granted, "unshare", granted.uuid)
    return granted.context.sharing.of(granted.uuid)


@router.get("/{uuid}/links")
def get_links(uuid: str, granted: Managing) -> dict[str, Any]:
    """The links to it; their texts cannot be read again."""
    return {"links": granted.context.secrets.links_of(granted.uuid)}


@router.post("/{uuid}/links", status_code=201)
def make_link(request: Request, uuid: str, body: NewLink, granted: Managing) -> dict[str, Any]:
    """A link for whoever has it: to view this dataset, and nothing else. Shown once."""
    actions = READING if body.download else READING - {Action.DOWNLOAD}
    ends = datetime.now(UTC) + timedelta(days=body.days) if body.days else None
    link, text = granted.context.secrets.make_link(
        granted.uuid, actions, granted.caller.email, ends
    )
    note(granted, "link", granted.uuid)
    root = request.scope.get("root_path", "")
    return {
        "link": link,
        "token": text,
        "page": f"{root}/view/{granted.uuid}?token={text}",
        "arco": f"{root}/d/{text}/{granted.uuid}/visus.idx",
        "zarr": f"{root}/zarr/{text}/{granted.uuid}/",
    }


@router.delete("/{uuid}/links/{link_id}")
def revoke_link(uuid: str, link_id: str, granted: Managing) -> dict[str, Any]:
    """The link opens nothing any more."""
    if not granted.context.secrets.revoke_link(granted.uuid, link_id):
        raise NotFound("There is no such link.")
    note(granted, "unlink", granted.uuid)
    return {"revoked": link_id}
