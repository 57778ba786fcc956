"""``/api/upload/large``: large files in chunks, as the portal's Python client sends them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from starlette.concurrency import run_in_threadpool

from scientistcloud.access.action import Action
from scientistcloud.api.bodies import pour
from scientistcloud.api.callers import speaks_for
from scientistcloud.api.portal.uploads import dataset_for, remember
from scientistcloud.api.rights import Granted, permitted
from scientistcloud.refusals import BadRequest, TooLarge, UploadNotFound
from scientistcloud.uploads.chunks import CHUNK_BYTES, Chunks
from scientistcloud.uploads.forms import FormFields, FormReader, Sink
from scientistcloud.uploads.held import HeldFile
from scientistcloud.uploads.incoming import UploadFacts

router = APIRouter(prefix="/api/upload/large", tags=["portal: chunks"])

Anybody = Annotated[Granted, permitted(Action.ANYTHING)]
Object = Annotated[dict[str, Any], Body()]
_PREFIX = "large_upload_"


@router.post("/initiate")
def initiate(request: Request, granted: Anybody, body: Object) -> dict[str, Any]:
    """Begin a file; `upload_id` is also its job."""
    size_bytes, name = body.get("file_size"), str(body.get("filename") or "")
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 1:
        raise BadRequest("file_size must be a whole number above 0.")
    fields = {key: str(value) for key, value in body.items() if not isinstance(value, dict)}
    caller = speaks_for(request, fields.get("user_email", ""))
    document = dataset_for(request, caller, fields, granted.context)
    chunks = Chunks(granted.context.intake)
    sha256 = str(body.get("file_hash") or "")
    facts = chunks.begin(document, caller.email, name, size_bytes, sha256)
    upload_id = _PREFIX + facts.id
    remember(granted.context, document, upload_id)
    return {
        "upload_id": upload_id,
        "chunk_size": CHUNK_BYTES,
        "total_chunks": chunks.count(size_bytes),
        "message": "Upload initiated",
        "dataset_uuid": document["uuid"],
    }


@router.post("/chunk/{upload_id}/{index}")
async def put_chunk(
    request: Request, upload_id: str, index: int, granted: Anybody
) -> dict[str, Any]:
    """One chunk, with its SHA-256; in any order, again if need be."""
    facts = await run_in_threadpool(_facts, granted, upload_id)
    chunks, held = Chunks(granted.context.intake), list[HeldFile]()
    most = chunks.size_of(facts, index)
    if int(request.headers.get("content-length") or 0) > most + (1 << 20):
        raise TooLarge("The chunk is longer than it must be.")

    def open_sink(name: str, filename: str, fields: FormFields) -> Sink:
        held.append(HeldFile(granted.context.intake, "chunk"))
        return held[-1]

    reader = FormReader(request.headers.get("content-type", ""), open_sink)
    try:
        is_whole = await pour(request, reader.write)
        await run_in_threadpool(reader.close, is_whole=is_whole)
        if len(held) != 1:
            raise BadRequest("One chunk is needed.")
        sha256 = reader.fields.get("chunk_hash")
        count = await run_in_threadpool(chunks.put, facts, index, held[0].path, sha256)
    finally:
        for each in held:
            await run_in_threadpool(each.forget)
    total = chunks.count(facts.size_bytes or 0)
    return {"message": "Chunk received", "uploaded_chunks": count, "total_chunks": total}


@router.get("/status/{upload_id}")
def status(upload_id: str, granted: Anybody) -> dict[str, Any]:
    """Which chunks have come."""
    facts = _facts(granted, upload_id)
    chunks = Chunks(granted.context.intake)
    here, total = chunks.here(facts), chunks.count(facts.size_bytes or 0)
    return {
        "upload_id": upload_id,
        "uploaded_chunks": here,
        "total_chunks": total,
        "is_complete": len(here) == total,
        "progress_percentage": round(100.0 * len(here) / total, 1),
    }


@router.get("/resume/{upload_id}")
def resume(upload_id: str, granted: Anybody) -> dict[str, Any]:
    """Which chunks are missing."""
    facts = _facts(granted, upload_id)
    chunks = Chunks(granted.context.intake)
    return {
        "upload_id": upload_id,
        "missing_chunks": chunks.missing(facts),
        "total_chunks": chunks.count(facts.size_bytes or 0),
        "can_resume": True,
    }


@router.post("/complete/{upload_id}")
def complete(upload_id: str, granted: Anybody) -> dict[str, Any]:
    """All chunks are there: the file appears in its dataset."""
    facts = _facts(granted, upload_id)
    Chunks(granted.context.intake).complete(facts)
    return {
        "message": "Upload completed",
        "file_path": f"{facts.uuid}/{facts.name}",
        "file_size": facts.size_bytes,
        "job_submitted": True,
    }


@router.delete("/cancel/{upload_id}")
def cancel(upload_id: str, granted: Anybody) -> dict[str, Any]:
    """Give the file up."""
    granted.context.intake.abandon(_facts(granted, upload_id))
    return {"success": True, "message": "Upload cancelled"}


@router.get("/limits")
def limits(granted: Anybody) -> dict[str, Any]:
    """How files are cut."""
    return {
        "chunk_size_bytes": CHUNK_BYTES,
        "max_file_size_bytes": granted.context.settings.upload_most_bytes,
    }


def _facts(granted: Granted, upload_id: str) -> UploadFacts:
    """An upload: its name, which nobody can guess, is the right to go on with it."""
    if not upload_id.startswith(_PREFIX):
        raise UploadNotFound
    facts = granted.context.intake.incoming.facts(upload_id.removeprefix(_PREFIX))
    caller = granted.caller
    if not caller.is_nobody and caller.email != facts.email and not caller.is_admin:
        raise UploadNotFound
    return facts
