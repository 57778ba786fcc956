"""tus 1.0.0 (https://tus.io/protocols/resumable-upload): files that go on where they stopped.

Extensions: creation (with upload, deferred length), checksum, expiration, termination,
concatenation.
"""

from __future__ import annotations

import base64
import binascii
from contextlib import ExitStack
from email.utils import formatdate
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from scientistcloud.access.action import Action
from scientistcloud.api.bodies import pour
from scientistcloud.api.context import ApiContext
from scientistcloud.api.rights import Granted, grant, permitted
from scientistcloud.refusals import BadRequest, NotFound, UploadNotFound
from scientistcloud.uploads.incoming import UploadFacts
from scientistcloud.uploads.intake import NewFile
from scientistcloud.uploads.receiving import ALGORITHMS, Receiver

router = APIRouter(prefix="/api/v2/tus", tags=["uploads"])

VERSION = "1.0.0"
_HEADERS = {"tus-resumable": VERSION, "cache-control": "no-store"}
_BODY = "application/offset+octet-stream"
_EXTENSIONS = (
    "creation,creation-with-upload,creation-defer-length,checksum,expiration,termination,"
    "concatenation"
)
_LONGEST_METADATA = 16 << 10
_MOST_PARTS = 1000

Anybody = Annotated[Granted, permitted(Action.ANYTHING)]
Uploader = Annotated[Granted, permitted(Action.CREATE)]


@router.options("/", status_code=204)
@router.options("/{upload_id}", status_code=204, include_in_schema=False)
def options(granted: Anybody) -> Response:
    """What is offered."""
    more = {
        "tus-version": VERSION,
        "tus-extension": _EXTENSIONS,
        "tus-max-size": str(granted.context.settings.upload_most_bytes),
        "tus-checksum-algorithm": ",".join(ALGORITHMS),
    }
    return Response(status_code=204, headers=_HEADERS | more)


@router.post("/", status_code=201)
@router.post("", status_code=201, include_in_schema=False)
async def create(request: Request, granted: Uploader) -> Response:
    """Begin a file; metadata: `dataset`, `filename`, `relative_path`, and `sha256` if known."""
    _require_version(request)
    facts = await run_in_threadpool(_begin, request, granted.context)
    headers = _HEADERS | {"location": _address(request, facts), "upload-offset": "0"}
    concat = request.headers.get("upload-concat", "")
    if concat.startswith("final"):
        await run_in_threadpool(_join, facts, concat, granted.context)
        return Response(status_code=201, headers=headers)
    if request.headers.get("content-type") == _BODY:
        offset = await _receive(request, granted.context, facts)
        headers["upload-offset"] = str(offset)
    elif facts.size_bytes == 0 and facts.concat != "partial":
        await run_in_threadpool(granted.context.intake.complete, facts)
    return Response(status_code=201, headers=headers | _expires(granted.context, facts))


@router.head("/{upload_id}")
def head(request: Request, upload_id: str, granted: Uploader) -> Response:
    """How many bytes have come."""
    _require_version(request)
    facts = _own(granted, upload_id)
    headers = {"upload-offset": str(granted.context.intake.incoming.offset(upload_id))}
    if facts.size_bytes is None:
        headers["upload-defer-length"] = "1"
    else:
        headers["upload-length"] = str(facts.size_bytes)
    if facts.metadata:
        headers["upload-metadata"] = facts.metadata
    if facts.concat:
        headers["upload-concat"] = facts.concat
    return Response(status_code=200, headers=_HEADERS | headers | _expires(granted.context, facts))


@router.patch("/{upload_id}", status_code=204)
async def patch(request: Request, upload_id: str, granted: Uploader) -> Response:
    """Append bytes at `Upload-Offset`."""
    _require_version(request)
    if request.headers.get("content-type") != _BODY:
        return Response(status_code=415, headers=_HEADERS)
    facts = await run_in_threadpool(_own, granted, upload_id)
    length = request.headers.get("upload-length")
    if length is not None and facts.size_bytes is None:
        size_bytes = _whole(length, "Upload-Length")
        facts = await run_in_threadpool(granted.context.intake.know_size, facts, size_bytes)
    offset = await _receive(request, granted.context, facts)
    headers = {"upload-offset": str(offset)} | _expires(granted.context, facts)
    return Response(status_code=204, headers=_HEADERS | headers)


@router.delete("/{upload_id}", status_code=204)
def delete(request: Request, upload_id: str, granted: Uploader) -> Response:
    """Give an upload up."""
    _require_version(request)
    granted.context.intake.abandon(_own(granted, upload_id))
    return Response(status_code=204, headers=_HEADERS)


@router.post("/{upload_id}", include_in_schema=False)
async def override(request: Request, upload_id: str, granted: Uploader) -> Response:
    """For networks that know no PATCH and DELETE (`X-HTTP-Method-Override`)."""
    method = request.headers.get("x-http-method-override", "").upper()
    if method == "PATCH":
        return await patch(request, upload_id, granted)
    if method == "DELETE":
        return await run_in_threadpool(delete, request, upload_id, granted)
    raise NotFound


def _begin(request: Request, context: ApiContext) -> UploadFacts:
    text = request.headers.get("upload-metadata", "")
    metadata = parse_metadata(text)
    uuid = metadata.get("dataset", "")
    granted = grant(request, Action.CHANGE, uuid)
    size_bytes = _size(request)
    concat = request.headers.get("upload-concat", "").partition(";")[0]
    path = metadata.get("relative_path") or metadata.get("relativePath") or ""
    name = metadata.get("filename") or metadata.get("name") or ""
    if path in ("null", "undefined"):  # what browsers' clients make of a file without a folder
        path = ""
    folder = path.removesuffix(name).rstrip("/") if path.endswith(name) else path
    file = NewFile(
        name or path, size_bytes, folder if name else "", metadata.get("sha256", ""),
        text, concat,
    )  # fmt: skip
    return context.intake.begin(granted.document, granted.caller.email, file)


def _size(request: Request) -> int | None:
    if request.headers.get("upload-concat", "").startswith("final"):
        return None
    if request.headers.get("upload-defer-length") == "1":
        return None
    return _whole(request.headers.get("upload-length", ""), "Upload-Length")


def _join(facts: UploadFacts, concat: str, context: ApiContext) -> None:
    addresses = concat.partition(";")[2].split()
    if not addresses or len(addresses) > _MOST_PARTS:
        raise BadRequest(f"1 to {_MOST_PARTS} partial uploads can be joined.")
    intake = context.intake
    parts = [intake.incoming.facts(urlsplit(each).path.rpartition("/")[2]) for each in addresses]
    for part in parts:
        is_whole = part.size_bytes == intake.incoming.offset(part.id)
        if part.concat != "partial" or part.email != facts.email or not is_whole:
            intake.abandon(facts)
            raise BadRequest("Only whole partial uploads of one's own can be joined.")
    intake.join(facts, parts)


async def _receive(request: Request, context: ApiContext, facts: UploadFacts) -> int:
    """Take the body of a request; where the upload stands afterwards."""
    offset = _whole(request.headers.get("upload-offset", "0"), "Upload-Offset")
    checksum = request.headers.get("upload-checksum", "")
    stack = ExitStack()
    part = await run_in_threadpool(
        lambda: stack.enter_context(context.intake.incoming.writing(facts.id))
    )
    try:
        part.require_offset(offset)
        digest = None if facts.concat == "partial" else context.hashes.take(facts.id, offset)
        receiver = Receiver(part, facts.size_bytes, checksum, digest)
        try:
            is_whole = await pour(request, receiver.write)
        finally:
            # Kept even if the rest never comes: the next request goes on from here.
            context.hashes.keep(facts.id, receiver.offset, receiver.digest)
        await run_in_threadpool(receiver.end, is_whole=is_whole)
        reached, digest = receiver.offset, receiver.digest
    finally:
        await run_in_threadpool(stack.close)
    if facts.size_bytes == reached and facts.concat != "partial":
        sha256 = digest.hexdigest() if digest is not None else ""
        context.hashes.take(facts.id, reached)
        await run_in_threadpool(context.intake.complete, facts, sha256)
    else:
        await run_in_threadpool(context.intake.progressed, facts, reached)
    return reached


def _own(granted: Granted, upload_id: str) -> UploadFacts:
    """An upload of the caller's own: only who began it may go on."""
    facts = granted.context.intake.incoming.facts(upload_id)
    if facts.email != granted.caller.email and not granted.caller.is_admin:
        raise UploadNotFound
    return facts


def parse_metadata(text: str) -> dict[str, str]:
    """The pairs of `Upload-Metadata`: a name, and a text in base64; raises `BadRequest`."""
    if len(text) > _LONGEST_METADATA:
        raise BadRequest("Upload-Metadata is too long.")
    found: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError):
            raise BadRequest(f"Upload-Metadata: {name[:40]} is not text in base64.") from None
    return found


def _require_version(request: Request) -> None:
    if request.headers.get("tus-resumable", VERSION) != VERSION:
        raise BadRequest("This server speaks tus 1.0.0.", facts={"tus_version": VERSION})


def _whole(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadRequest(f"{name} must be a whole number.")
    return int(text)


def _address(request: Request, facts: UploadFacts) -> str:
    """Relative to the host, so that it holds behind any proxy."""
    return f"{request.scope.get('root_path', '')}/api/v2/tus/{facts.id}"


def _expires(context: ApiContext, facts: UploadFacts) -> dict[str, str]:
    try:
        touched = context.intake.incoming.touched_at(facts.id)
    except UploadNotFound:
        return {}
    ends = touched + context.settings.upload_expiry_seconds
    return {"upload-expires": formatdate(ends, usegmt=True)}
