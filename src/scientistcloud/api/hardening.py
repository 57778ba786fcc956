"""Headers that every answer carries, origins that may read it, and limits on bodies and rates."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scientistcloud.api.streams.routes import CORS

_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
}
_STREAMS = ("/mod_visus", "/d/", "/zarr/", "/zarr2/")
MOST_JSON_BYTES = 8 << 20
_CHANGES_A_MINUTE = 1200
_MOST_SENDERS = 10_000
_UNLIMITED = ("/api/v2/tus", "/api/upload/large/chunk")


class Hardened:
    """Wraps the application.

    JSON bodies over 8 MiB are refused before they are read; one sender may change things 1,200
    times a minute (pieces of uploads do not count).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._senders: OrderedDict[str, tuple[float, int]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, _bounded(scope, receive), _adorned(scope, send))

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        is_json = b"json" in headers.get(b"content-type", b"")
        if is_json and (not length.isdigit() or int(length) > MOST_JSON_BYTES):
            return _problem(413, "TooLarge", "The body is too large.")
        path = scope["path"]
        if scope["method"] in ("GET", "HEAD", "OPTIONS") or path.startswith(_UNLIMITED):
            return None
        sender = scope["client"][0] if scope.get("client") else ""
        if self._count(sender) > _CHANGES_A_MINUTE:
            return _problem(429, "TooManyRequests", "Too many changes in a short time.")
        return None

    def _count(self, sender: str) -> int:
        now = time.monotonic()
        began, count = self._senders.pop(sender, (now, 0))
        if now - began > 60:
            began, count = now, 0
        self._senders[sender] = (began, count + 1)
        while len(self._senders) > _MOST_SENDERS:
            self._senders.popitem(last=False)
        return count + 1


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """Bodies without a length may be no longer than those with one."""
    headers = dict(scope["headers"])
    if b"json" not in headers.get(b"content-type", b"") or b"content-length" in headers:
        return receive
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > MOST_JSON_BYTES else message

    return counted


def _adorned(scope: Scope, send: Send) -> Callable[[Message], Awaitable[None]]:
    is_stream = scope["path"].startswith(_STREAMS)

    async def adorned(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in (_HEADERS | (CORS if is_stream else {})).items():
                headers.setdefault(name, value)
            if is_stream:
                headers["cross-origin-resource-policy"] = "cross-origin"
        await send(message)

    return adorned


def _problem(status: int, code: str, message: str) -> JSONResponse:
    body = {"status": status, "code": code, "detail": message, "remedy": "Wait, or send less."}
    headers = {"retry-after": "10"} if status == 429 else {}
    return JSONResponse(body, status, headers, media_type="application/problem+json")
