"""Answers of `streaming` and files as responses: ETags, caching, ranges, compression."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, Response
from isal import isal_zlib

from scientistcloud.api.http.outbox import BoundedResponse
from scientistcloud.streaming.answer import Answer

EXPOSED = (
    "visus-dtype, visus-nsamples, visus-compression, visus-layout, visus-typename, "
    "block-query-support-aggregation, response-compose-num, content-range, content-length, etag, "
    "x-dtype, x-components, x-shape, x-start, x-spacing, x-resolution, x-generation"
)
_FOREVER = "max-age=31536000, immutable"
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_WORTH_BYTES = 1024
_LEVEL = 1


def respond(request: Request, answer: Answer, *, public: bool, deflate: bool = False) -> Response:
    """The response that carries `answer`; 304 where the caller has it already.

    Parameters
    ----------
    public : bool
        Whether caches on the way may keep it.
    deflate : bool
        Whether to compress the body for a client that says it can read that.
    """
    scope = "public" if public else "private"
    headers = dict(answer.headers)
    headers["cache-control"] = f"{scope}, {_FOREVER if answer.immutable else 'no-cache'}"
    headers["access-control-expose-headers"] = EXPOSED
    if answer.etag:
        headers["etag"] = f'"{answer.etag}"'
        if _has(request, headers["etag"]):
            return Response(status_code=304, headers=headers)
    body = answer.body
    if deflate:
        headers["vary"] = "accept-encoding"
        if len(body) >= _WORTH_BYTES and "deflate" in request.headers.get("accept-encoding", ""):
            body = isal_zlib.compress(body, _LEVEL)
            headers["content-encoding"] = "deflate"
    return _ranged(request, body, answer, headers)


def serve_file(request: Request, path: Path, *, download: bool, media_type: str) -> Response:
    """A file, whole or a range of it, from disk."""
    headers = {"x-content-type-options": "nosniff", "cache-control": "private, no-cache"}
    disposition = "attachment" if download else "inline"
    return FileResponse(
        path, media_type=media_type, filename=path.name, headers=headers,
        content_disposition_type=disposition,
    )  # fmt: skip


def _has(request: Request, etag: str) -> bool:
    sent = request.headers.get("if-none-match", "")
    return sent == "*" or etag in (each.strip().removeprefix("W/") for each in sent.split(","))


def _ranged(request: Request, body: bytes, answer: Answer, headers: dict[str, str]) -> Response:
    """One range of the body where one is asked for; other requests get all of it."""
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or not any(asked.groups()) or "content-encoding" in headers:
        return BoundedResponse(
            body, answer.status, headers, answer.media_type, may_refuse=not answer.of_blocks
        )
    first, last = asked.groups()
    size = len(body)
    if first:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
    else:
        start, stop = max(0, size - int(last)), size
    if start >= stop:
        return Response(b"", 416, {**headers, "content-range": f"bytes */{size}"})
    headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    return BoundedResponse(
        body[start:stop], 206, headers, answer.media_type, may_refuse=not answer.of_blocks
    )
