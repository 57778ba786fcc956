"""The caller: who that is, keys, sign-in of the page, teams."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from scientistcloud.access.action import Action
from scientistcloud.access.listing import owned_by
from scientistcloud.api.audit import note
from scientistcloud.api.callers import SESSION, caller_of
from scientistcloud.api.rights import Granted, permitted
from scientistcloud.api.v2.models import NewKey, NewTeam, TeamChanges
from scientistcloud.refusals import NotFound, NotSignedIn

router = APIRouter(prefix="/api/v2", tags=["people"])

Anybody = Annotated[Granted, permitted(Action.ANYTHING)]
Person = Annotated[Granted, permitted(Action.TEAMS)]
_SESSION_SECONDS = 12 * 3600


@router.get("/me")
def get_me(granted: Anybody) -> dict[str, Any]:
    """Who the caller is, and how callers are told apart here."""
    caller, settings = granted.caller, granted.context.settings
    used = 0
    if caller.email:
        found = granted.context.datasets.aggregate(
            [
                {"$match": owned_by(caller.email)},
                {"$group": {"_id": None, "bytes": {"$sum": "$total_size_bytes"}}},
            ]
        )
        used = int(found[0]["bytes"]) if found else 0
    return {
        "email": caller.email or None,
        "is_admin": caller.is_admin,
        "teams": sorted(caller.teams),
        "auth": settings.auth,
        "link": caller.link.uuid if caller.link else None,
        "quota_bytes": settings.upload_quota_bytes or None,
        "used_bytes": used,
    }


@router.post("/session")
def sign_in(request: Request, response: Response, granted: Anybody) -> dict[str, Any]:
    """Keep the token or key that was sent as `Authorization` in a cookie of this page."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if granted.caller.is_nobody or scheme.lower() != "bearer":
        raise NotSignedIn("Send a token or key in the header Authorization.")
    response.set_cookie(
        SESSION, text.strip(), max_age=_SESSION_SECONDS, httponly=True, samesite="strict",
        secure=request.url.scheme == "https", path=request.scope.get("root_path") or "/",
    )  # fmt: skip
    return {"email": granted.caller.email}


@router.delete("/session")
def sign_out(request: Request, response: Response, granted: Anybody) -> dict[str, Any]:
    """Forget the cookie."""
    response.delete_cookie(SESSION, path=request.scope.get("root_path") or "/")
    return {"email": None}


@router.get("/keys")
def get_keys(granted: Person) -> dict[str, Any]:
    """The caller's keys; their texts cannot be read again."""
    return {"keys": granted.context.secrets.keys_of(granted.caller.email)}


@router.post("/keys", status_code=201)
def make_key(request: Request, body: NewKey, granted: Person) -> dict[str, Any]:
    """A key for programs, shown once. No key can be made by a key."""
    if caller_of(request).actions is not None:
        raise NotSignedIn("Sign in yourself: a key makes no keys.")
    ends = datetime.now(UTC) + timedelta(days=body.days) if body.days else None
    key, text = granted.context.secrets.make_key(
        granted.caller.email, body.name, tuple(body.scopes), ends
    )
    note(granted, "make key", "")
    return {"key": key, "token": text}


@router.delete("/keys/{key_id}")
def revoke_key(key_id: str, granted: Person) -> dict[str, Any]:
    """The key opens nothing any more."""
    if not granted.context.secrets.revoke_key(granted.caller.email, key_id):
        raise NotFound("There is no such key.")
    note(granted, "revoke key", "")
    return {"revoked": key_id}


@router.get("/teams")
def get_teams(granted: Person) -> dict[str, Any]:
    """The teams that the caller owns or is a member of."""
    found = granted.context.people.teams_of(granted.caller.email)
    return {"teams": [{k: v for k, v in each.items() if k != "_id"} for each in found]}


@router.post("/teams", status_code=201)
def make_team(body: NewTeam, granted: Person) -> dict[str, Any]:
    """A team, owned by the caller."""
    team = granted.context.teams.create(granted.caller.email, body.name, body.emails, [])
    granted.context.people.forget()
    note(granted, "make team", team["uuid"])
    return team


@router.patch("/teams/{team_uuid}")
def change_team(team_uuid: str, body: TeamChanges, granted: Person) -> dict[str, Any]:
    """Change a team of one's own."""
    changes = {"team_name": body.name, "emails": body.emails}
    caller = granted.caller
    team = granted.context.teams.change(team_uuid, caller.email, changes, is_admin=caller.is_admin)
    granted.context.people.forget()
    note(granted, "change team", team_uuid)
    return team


@router.delete("/teams/{team_uuid}")
def delete_team(team_uuid: str, granted: Person, leave: bool = False) -> dict[str, Any]:
    """Delete a team of one's own, or `leave` one of others."""
    caller = granted.caller
    if leave:
        granted.context.teams.leave(team_uuid, caller.email)
    else:
        granted.context.teams.delete(team_uuid, caller.email, is_admin=caller.is_admin)
    granted.context.people.forget()
    note(granted, "leave team" if leave else "delete team", team_uuid)
    return {"team": team_uuid}
