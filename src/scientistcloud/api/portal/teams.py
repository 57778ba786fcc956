"""Teams and sharing, as the portal calls them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request

from scientistcloud.access.action import Action
from scientistcloud.api.audit import note
from scientistcloud.api.portal import shapes
from scientistcloud.api.rights import Granted, grant, permitted
from scientistcloud.datasets.catalogue.editing import change
from scientistcloud.refusals import BadRequest, NotAllowed, NotFound

router = APIRouter(prefix="/api/v1", tags=["portal: teams"])

Person = Annotated[Granted, permitted(Action.TEAMS)]
Text = Annotated[str, Query(max_length=320)]
Object = Annotated[dict[str, Any], Body()]


@router.post("/teams")
def make_team(granted: Person, body: Object, owner_email: Text = "") -> dict[str, Any]:
    """A team, owned by the caller."""
    emails, parents = _texts(body.get("emails") or []), _texts(body.get("parents") or [])
    team = granted.context.teams.create(
        granted.caller.email, str(body.get("team_name") or ""), emails, parents
    )
    granted.context.people.forget()
    note(granted, "make team", team["uuid"])
    return {"success": True, "message": "Team created successfully", "team": shapes.team(team)}


@router.get("/teams/by-user")
def teams_by_user(granted: Person, user_email: Text = "") -> dict[str, Any]:
    """The caller's teams."""
    email = granted.caller.email
    found = [shapes.team(each, email) for each in granted.context.people.teams_of(email)]
    return {"success": True, "teams": found, "count": len(found)}


@router.get("/teams/{uuid}")
def get_team(uuid: str, granted: Person, user_email: Text = "") -> dict[str, Any]:
    """A team that the caller is a member of."""
    team = granted.context.teams.find(uuid)
    if uuid not in granted.caller.teams and not granted.caller.is_admin:
        raise NotFound("There is no such team.")
    return {"success": True, "team": shapes.team(team, granted.caller.email)}


@router.put("/teams/{uuid}")
def put_team(uuid: str, granted: Person, body: Object, user_email: Text = "") -> dict[str, Any]:
    """Change a team of one's own."""
    changes = {key: body.get(key) for key in ("team_name", "emails", "parents")}
    for key in ("emails", "parents"):
        if changes[key] is not None:
            changes[key] = _texts(changes[key])
    caller = granted.caller
    team = granted.context.teams.change(uuid, caller.email, changes, is_admin=caller.is_admin)
    granted.context.people.forget()
    note(granted, "change team", uuid)
    return {"success": True, "message": "Team updated successfully", "team": shapes.team(team)}


@router.delete("/teams/{uuid}")
def delete_team(uuid: str, granted: Person, user_email: Text = "") -> dict[str, Any]:
    """Delete a team of one's own."""
    caller = granted.caller
    granted.context.teams.delete(uuid, caller.email, is_admin=caller.is_admin)
    granted.context.people.forget()
    note(granted, "delete team", uuid)
    return {"success": True, "message": "Team deleted successfully"}


@router.post("/share/user")
def share_user(
    request: Request, granted: Person, body: Object, owner_email: Text = ""
) -> dict[str, Any]:
    """Share a dataset of one's own with a person."""
    found = grant(request, Action.MANAGE, str(body.get("dataset_uuid") or ""), granted.caller)
    email = body.get("user_email")
    if not granted.context.sharing.with_user(found.uuid, str(email), body.get("google_drive_link")):
        raise BadRequest("Dataset is already shared with this user")
    return _shared(found, {"dataset_uuid": found.uuid, "user_email": email})


@router.post("/share/team")
def share_team(
    request: Request, granted: Person, body: Object, owner_email: Text = ""
) -> dict[str, Any]:
    """Share a dataset of one's own with a team."""
    context = granted.context
    found = grant(request, Action.MANAGE, str(body.get("dataset_uuid") or ""), granted.caller)
    name, uuid = body.get("team_name"), body.get("team_uuid")
    team = context.teams.find(str(uuid)) if uuid else context.teams.named(str(name or ""))
    if team is None:
        raise NotFound("There is no such team.")
    if name and team["team_name"] != name:
        raise BadRequest("Name and uuid of the team differ.")
    if not context.sharing.with_team(found.uuid, team, body.get("google_drive_link")):
        raise BadRequest("Dataset is already shared with this team")
    return _shared(found, {"dataset_uuid": found.uuid, "team_name": team["team_name"]})


@router.post("/share/unshare")
def unshare(
    request: Request, granted: Person, body: Object, owner_email: Text = ""
) -> dict[str, Any]:
    """Share it no longer."""
    context = granted.context
    found = grant(request, Action.MANAGE, str(body.get("dataset_uuid") or ""), granted.caller)
    email, team = str(body.get("user_email") or ""), str(body.get("team_name") or "")
    if bool(email) == bool(team):
        raise BadRequest("user_email or team_name is needed.")
    context.sharing.end(found.uuid, email=email, team=team)
    if team and found.document.get("team_uuid") == team:
        change(context.datasets, found.document, {"team_uuid": ""})
    context.people.forget()
    note(found, "unshare", found.uuid)
    return {"success": True, "message": "Dataset unshared successfully"}


@router.get("/share/user/{email}")
def shared_with_user(email: str, granted: Person) -> dict[str, Any]:
    """What was shared with the caller."""
    if email.strip().lower() != granted.caller.email and not granted.caller.is_admin:
        raise NotAllowed("These are another person's datasets.")
    return _listed(granted, granted.context.sharing.uuids_with_user(email))


@router.get("/share/team/{name}")
def shared_with_team(name: str, granted: Person) -> dict[str, Any]:
    """What was shared with a team of the caller's."""
    if name not in granted.caller.teams and not granted.caller.is_admin:
        raise NotFound("There is no such team.")
    return _listed(granted, granted.context.sharing.uuids_with_team(name))


def _shared(granted: Granted, share: dict[str, Any]) -> dict[str, Any]:
    granted.context.people.forget()
    note(granted, "share", granted.uuid)
    return {"success": True, "message": "Dataset shared successfully", "share": share}


def _listed(granted: Granted, uuids: list[str]) -> dict[str, Any]:
    found = granted.context.datasets.find({"uuid": {"$in": uuids}})
    return {
        "success": True,
        "datasets": [shapes.shared(each) for each in found],
        "count": len(found),
    }


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadRequest("A list of texts is needed.")
    return value
