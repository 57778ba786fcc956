"""Who sends a request: by token, key, link, cookie, or in the name of a trusted portal."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import replace

from fastapi import Request

from scientistcloud.access.caller import NOBODY, Caller, plain_email
from scientistcloud.access.secrets import KEY_PREFIX, LINK_PREFIX
from scientistcloud.api.context import ApiContext, context_of
from scientistcloud.refusals import NotAllowed, NotSignedIn

SESSION = "scientistcloud_session"
_COOKIES = (SESSION, "auth_token")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
LOCAL = Caller(email="local", is_admin=True)


def caller_of(request: Request) -> Caller:
    """The sender of `request`, found once for each.

    Raises
    ------
    NotSignedIn
        A token, key or link was sent that is not valid.
    NotAllowed
        A page of another origin is behind it.
    """
    found: Caller | None = getattr(request.state, "caller", None)
    if found is None:
        found = request.state.caller = _find(request, context_of(request))
    return found


def _find(request: Request, context: ApiContext) -> Caller:
    text, is_cookie = _sent(request)
    mode = context.settings.auth
    if mode == "none":
        _require_local_page(request, context)
    elif is_cookie:
        _require_same_origin(request, context)
    if text:
        return _proved(text, context)
    if mode == "none":
        return LOCAL
    if mode == "portal" and _is_portal(request, context):
        return named(plain_email(_stated_email(request)), context)
    return NOBODY


def named(email: str, context: ApiContext, roles: frozenset[str] = frozenset()) -> Caller:
    """The person of this e-mail, with teams and shares; nobody without one."""
    if not email:
        return NOBODY
    settings = context.settings
    is_admin = email in map(plain_email, settings.admin_emails) or settings.admin_role in roles
    teams, shared = context.people.belongings(email)
    return Caller(email, teams, shared, is_admin)


def speaks_for(request: Request, email: str) -> Caller:
    """The caller, or whom a trusted portal names in the body of its request."""
    context = context_of(request)
    caller = caller_of(request)
    if context.settings.auth == "portal" and caller.is_nobody and _is_portal(request, context):
        return named(plain_email(email), context)
    return caller


def _sent(request: Request) -> tuple[str, bool]:
    """The token, key or link that was sent, and whether a browser sends it by itself."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip(), False
    from_address = request.path_params.get("token") or request.query_params.get("token")
    if from_address:
        return str(from_address), False
    for name in _COOKIES:
        if request.cookies.get(name):
            return request.cookies[name], True
    return "", False


def _proved(text: str, context: ApiContext) -> Caller:
    if text.startswith(LINK_PREFIX):
        grant = context.secrets.find_link(text)
        if grant is None:
            raise NotSignedIn("The link has ended or was revoked.")
        return Caller(link=grant)
    if text.startswith(KEY_PREFIX):
        key = context.secrets.find_key(text)
        if key is None:
            raise NotSignedIn("The key has ended or was revoked.")
        if key.email == LOCAL.email and context.settings.auth == "none":
            return replace(LOCAL, actions=key.actions)
        return replace(named(key.email, context), actions=key.actions)
    proof = context.verifier.verify(text)
    return named(proof.email, context, proof.roles)


def _is_portal(request: Request, context: ApiContext) -> bool:
    """Whether the caller proves to be the portal: by its secret, or by its network."""
    secret = context.settings.portal_secret
    sent = request.headers.get("x-portal-secret", "")
    if secret is not None and sent:
        return hmac.compare_digest(sent.encode(), secret.get_secret_value().encode())
    if request.client is None or _is_forwarded(request):
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    networks = context.settings.portal_networks
    return any(address in ipaddress.ip_network(each, strict=False) for each in networks)


def _is_forwarded(request: Request) -> bool:
    """Whether a proxy sent it for somebody else: the proxy's network says nothing of the sender."""
    return any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip"))


def _stated_email(request: Request) -> str:
    for name in ("user_email", "owner_email", "user_id", "email"):
        if "@" in request.query_params.get(name, ""):
            return request.query_params[name]
    return request.headers.get("x-user-email", "")


def _require_local_page(request: Request, context: ApiContext) -> None:
    """No page of another site may use that this computer's user is trusted."""
    name = request.headers.get("host", "localhost").rsplit(":", 1)[0]
    if name not in _LOOPBACK:
        raise NotAllowed(f"This server is for this computer alone, not for {name[:80]!r}.")
    if request.method not in _SAFE:
        _require_same_origin(request, context)


def _require_same_origin(request: Request, context: ApiContext) -> None:
    if request.method in _SAFE:
        return
    origin = request.headers.get("origin")
    if origin is None and request.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    own = {f"http://{host}", f"https://{host}", *context.settings.cors_origins}
    if origin not in own:
        raise NotAllowed("The request comes from a page of another origin.")
