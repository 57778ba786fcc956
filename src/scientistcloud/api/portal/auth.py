"""``/api/auth``: who somebody is, as the portal's scripts ask. Nobody signs in by name alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request

from scientistcloud.access.action import Action
from scientistcloud.access.caller import plain_email
from scientistcloud.access.tokens import issue
from scientistcloud.api.callers import caller_of
from scientistcloud.api.portal.shapes import whole
from scientistcloud.api.rights import Granted, permitted
from scientistcloud.refusals import NotAllowed, NotOffered, NotSignedIn, Refusal

router = APIRouter(prefix="/api/auth", tags=["portal: sign-in"])

Anybody = Annotated[Granted, permitted(Action.ANYTHING)]
Person = Annotated[Granted, permitted(Action.TEAMS)]
Object = Annotated[dict[str, Any], Body()]
_ACCESS = timedelta(hours=24)
_REFRESH = timedelta(days=30)


@router.post("/login")
def login(granted: Anybody, body: Object) -> dict[str, Any]:
    """A token for whom a trusted portal names, or for whoever has proved who that is."""
    if granted.caller.actions is not None:
        # The token would reach further than the key, and outlive it.
        raise NotAllowed("A key makes no tokens: send the key itself as the token.")
    email = plain_email(body.get("email"))
    if granted.caller.is_nobody or granted.caller.email != email:
        raise NotSignedIn(
            "An address alone proves nothing.", remedy="Sign in through the portal, or use a key."
        )
    return {"success": True, "message": "Login successful", "data": _tokens(granted, email)}


@router.post("/refresh")
def refresh(granted: Anybody, body: Object) -> dict[str, Any]:
    """New tokens for a refresh token."""
    email = granted.context.verifier.verify_refresh(str(body.get("refresh_token") or ""))
    return {"success": True, "message": "Token refreshed", "data": _tokens(granted, email)}


@router.post("/logout")
def logout(granted: Anybody) -> dict[str, Any]:
    """Tokens end by themselves; the client forgets them."""
    return {"success": True, "message": "Logout successful"}


@router.get("/status")
def status(request: Request) -> dict[str, Any]:
    """Whether anybody is signed in; always an answer."""
    try:
        caller = caller_of(request)
    except Refusal as error:
        return {"is_authenticated": False, "user_email": None, "access_type": "error",
                "error": error.message}  # fmt: skip
    signed_in = not caller.is_nobody
    return {
        "is_authenticated": signed_in,
        "user_email": caller.email or None,
        "access_type": "direct" if signed_in else "none",
        "error": None,
    }


status.action = Action.ANYTHING  # type: ignore[attr-defined]


@router.get("/me")
def me(granted: Person) -> dict[str, Any]:
    """The caller."""
    email = granted.caller.email
    return {"user_id": email, "email": email, "name": email, "email_verified": True}


@router.get("/validate")
def validate(granted: Person) -> dict[str, Any]:
    """Whether the token that was sent is valid."""
    return {"valid": True, "payload": {"email": granted.caller.email}}


@router.get("/user-by-email")
def user_by_email(granted: Person, email: Annotated[str, Query(max_length=320)]) -> dict[str, Any]:
    """The profile of the caller (of others: for administrators)."""
    if plain_email(email) != granted.caller.email and not granted.caller.is_admin:
        raise NotAllowed("This is another person's profile.")
    found = granted.context.people.profiles.find_one({"email": plain_email(email)})
    if found is None:
        return {"user": None, "found": False}
    hidden = ("google_access_token", "google_refresh_token")
    return {"user": {k: v for k, v in whole(found).items() if k not in hidden}, "found": True}


@router.post("/create-user")
def create_user(granted: Person, body: Object) -> dict[str, Any]:
    """Keep the caller's own profile; nothing in it gives a right."""
    email = plain_email(body.get("email"))
    if email != granted.caller.email and not granted.caller.is_admin:
        raise NotAllowed("This is another person's profile.")
    values = {key: body[key] for key in ("name", "picture") if isinstance(body.get(key), str)}
    with granted.context.people.profiles.guard() as profiles:
        profiles.update_one(
            {"email": email}, {"$set": values, "$setOnInsert": {"user_id": email}}, upsert=True
        )
    return {"success": True, "user_id": email, "user": {"email": email, **values}}


def _tokens(granted: Granted, email: str) -> dict[str, Any]:
    settings = granted.context.settings
    if settings.secret_key is None:
        raise NotOffered("This server makes no tokens: SECRET_KEY is not set.")
    secret, audience = settings.secret_key.get_secret_value(), settings.token_audience
    return {
        "access_token": issue(email, secret, audience=audience, lifetime=_ACCESS),
        "refresh_token": issue(email, secret, audience=audience, kind="refresh", lifetime=_REFRESH),
        "expires_in": int(_ACCESS.total_seconds()),
        "token_type": "bearer",
        "user": {"user_id": email, "email": email, "name": email, "email_verified": True},
    }
