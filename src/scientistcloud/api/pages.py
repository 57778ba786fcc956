"""The page: its one document for every address of it, and its built files."""

from __future__ import annotations

import mimetypes
from functools import cache
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from scientistcloud.access.action import Action
from scientistcloud.api.rights import Granted, permitted
from scientistcloud.refusals import NotFound

router = APIRouter(include_in_schema=False)

Anybody = Annotated[Granted, permitted(Action.ANYTHING)]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; font-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
_FOREVER = "public, max-age=31536000, immutable"


@router.get("/", response_class=HTMLResponse)
@router.get("/upload", response_class=HTMLResponse)
@router.get("/view/{name}", response_class=HTMLResponse)
@router.get("/system", response_class=HTMLResponse)
@router.get("/account", response_class=HTMLResponse)
def page(request: Request, granted: Anybody) -> HTMLResponse:
    """The same document everywhere; its script looks at the address. No data are in it."""
    root = request.scope.get("root_path", "").rstrip("/") + "/"
    text = _document().replace('<base href="/"', f'<base href="{root}"')
    headers = {"content-security-policy": POLICY, "cache-control": "no-cache"}
    return HTMLResponse(text, headers=headers)


@router.get("/assets/{name}")
def asset(name: str, granted: Anybody) -> Response:
    """A built file; its name changes with its content."""
    return _file(f"assets/{name}", _FOREVER)


@router.get("/icon.svg")
def icon(granted: Anybody) -> Response:
    return _file("icon.svg", "public, max-age=86400")


@cache
def _document() -> str:
    return files("scientistcloud.web").joinpath("built/index.html").read_text()


def _file(name: str, caching: str) -> Response:
    if "/" in name.removeprefix("assets/") or ".." in name:
        raise NotFound
    found = files("scientistcloud.web").joinpath("built").joinpath(name)
    if not found.is_file():
        raise NotFound("There is no such file.")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {"cache-control": caching, "x-content-type-options": "nosniff"}
    return Response(found.read_bytes(), media_type=kind, headers=headers)
