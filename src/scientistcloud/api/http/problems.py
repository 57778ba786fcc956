"""Errors as answers: RFC 9457 problems, which hold what the portal reads (`detail`), too."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from bson.errors import BSONError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from scientistcloud.errors import (
    ConversionError,
    DatabaseUnavailable,
    DuplicateUuid,
    OutOfSpace,
    PermanentError,
    printable,
)
from scientistcloud.refusals import NotSignedIn, Refusal

log = structlog.get_logger(__name__)

PROBLEM = "application/problem+json"
_LONGEST = 500
_SCHEMA = {
    "type": "object",
    "required": ["status", "detail", "code", "remedy"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One readable sentence."},
        "code": {"type": "string", "description": "Stable; docs/errors.md has all."},
        "remedy": {"type": "string", "description": "What to do about it."},
    },
}
_DOCUMENTED = {"content": {PROBLEM: {"schema": _SCHEMA}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "Refused: the problem says why, and what to do.", **_DOCUMENTED},
    "5XX": {"description": "Something is away, full or not offered.", **_DOCUMENTED},
}
"""What every route may answer besides, for the OpenAPI."""
_RETRY_SECONDS = 5


def add_handlers(app: FastAPI) -> None:
    """Have every error of `app` answered."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(ConversionError, _failed)
    app.add_exception_handler(HTTPException, _http)
    for kind in (BSONError, OverflowError, UnicodeEncodeError):
        app.add_exception_handler(kind, _unstorable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _bug)


def problem(
    status: int,
    code: str,
    message: str,
    remedy: str = "",
    facts: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem: `detail` is one readable sentence, `code` stable, `remedy` what to do."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Refused"
    body = {
        "type": "about:blank", "title": title, "status": status, "detail": message,
        "code": code, "remedy": remedy, "success": False, "error": message, "message": message,
        **(facts or {}),
    }  # fmt: skip
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=PROBLEM)


def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    headers = {"www-authenticate": "Bearer"} if isinstance(error, NotSignedIn) else {}
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["retry-after"] = str(_RETRY_SECONDS)
    return problem(error.status, error.code, error.message, error.remedy, error.facts, headers)


def _failed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ConversionError)
    status, headers = HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": str(_RETRY_SECONDS)}
    if isinstance(error, DuplicateUuid):
        status, headers = HTTPStatus.CONFLICT, {}
    elif isinstance(error, OutOfSpace):
        status, headers = HTTPStatus.INSUFFICIENT_STORAGE, {}
    elif isinstance(error, PermanentError):
        status, headers = HTTPStatus.UNPROCESSABLE_ENTITY, {}
    if isinstance(error, DatabaseUnavailable):
        log.warning("MongoDB is away", reason=error.message)
    return problem(status, error.code, error.message, error.remedy, headers=headers)


def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.replace(" ", "")
    headers = dict(error.headers or {})
    return problem(error.status_code, code, str(error.detail), headers=headers)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    parts = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found[:5]]
    message = printable("; ".join(parts))[:_LONGEST]
    details = [{"loc": [str(p) for p in each["loc"]], "msg": each["msg"]} for each in found[:20]]
    return problem(422, "InvalidRequest", message, "Correct the request.", {"errors": details})


def _unstorable(request: Request, error: Exception) -> JSONResponse:
    """NUL, halves of characters, integers over 64 bits: JSON and queries hold them, MongoDB not."""
    log.warning("A value cannot be stored", path=request.url.path[:200], exc_info=error)
    return problem(
        422, "InvalidRequest", "A value cannot be stored: it holds a NUL, half a character, or a "
        "number of more than 64 bits, or is too large.", "Correct the request.",
    )  # fmt: skip


def _bug(request: Request, error: Exception) -> JSONResponse:
    log.error("A request failed", path=request.url.path[:200], exc_info=error)
    return problem(
        500, "InternalError", "Something unexpected went wrong on the server.",
        "Try again; if it happens again, tell the operator.",
    )  # fmt: skip
