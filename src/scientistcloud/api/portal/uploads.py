"""``/api/upload``: as the portal, its clients and scripts bring files in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from starlette.concurrency import run_in_threadpool

from scientistcloud.access.action import Action
from scientistcloud.access.caller import Caller
from scientistcloud.access.listing import owned_by
from scientistcloud.access.rights import is_true
from scientistcloud.api.audit import note
from scientistcloud.api.bodies import pour
from scientistcloud.api.callers import speaks_for
from scientistcloud.api.context import ApiContext, context_of
from scientistcloud.api.portal.jobs import NOT_FETCHED, SOURCES, job_of, status_of
from scientistcloud.api.rights import Granted, grant, permitted, require
from scientistcloud.datasets.catalogue.editing import create
from scientistcloud.datasets.documents.document import USABLE_UUID
from scientistcloud.readers.base import Sensor, parse_sensor
from scientistcloud.refusals import BadRequest, NotAllowed, NotOffered, UploadNotFound
from scientistcloud.uploads.forms import FormFields, FormReader, Sink
from scientistcloud.uploads.held import HeldFile
from scientistcloud.uploads.incoming import new_id
from scientistcloud.uploads.intake import NewFile
from scientistcloud.uploads.sinks import FileSink

router = APIRouter(prefix="/api/upload", tags=["portal: uploads"])

Anybody = Annotated[Granted, permitted(Action.ANYTHING)]
Person = Annotated[Granted, permitted(Action.CREATE)]
Object = Annotated[dict[str, Any], Body()]
LARGE_BYTES = 100 << 20
_COPY_BYTES = 4 << 20


@router.post("/upload")
async def upload(request: Request, granted: Anybody) -> dict[str, Any]:
    """One file by form; several with the same `dataset_identifier` are one dataset."""
    context = granted.context
    held: list[HeldFile] = []

    def open_sink(name: str, filename: str, fields: FormFields) -> Sink:
        sink = HeldFile(context.intake, filename)
        held.append(sink)
        return sink

    # Whoever is nobody may still be named by a trusted portal, in a field that may come later.
    reader = FormReader(request.headers.get("content-type", ""), open_sink)
    try:
        is_whole = await pour(request, reader.write)
        await run_in_threadpool(reader.close, is_whole=is_whole)
        if not held:
            raise BadRequest("There is no file in the form.")
        return await run_in_threadpool(_take, request, reader.fields, held)
    finally:
        for each in held:
            await run_in_threadpool(each.forget)


@router.post("/upload-path")
async def upload_path(request: Request, granted: Anybody) -> dict[str, Any]:
    """A file that the server sees already, from folders that UPLOAD_PATH_FOLDERS lists."""
    fields = await _form(request)
    return await run_in_threadpool(_take_path, request, fields)


@router.post("/initiate")
def initiate(request: Request, granted: Anybody, body: Object) -> dict[str, Any]:
    """Have the server fetch files from a URL or S3."""
    kind = str(body.get("source_type") or "")
    if kind not in (*SOURCES, *NOT_FETCHED):
        raise BadRequest(
            f"There is no source {kind[:40]!r}.", remedy=f"One of: {', '.join(SOURCES)}."
        )
    if kind not in SOURCES:
        raise NotOffered(f"Files cannot be fetched from {kind[:40]!r} here.")
    fields = {key: str(value) for key, value in body.items() if not isinstance(value, dict)}
    caller = speaks_for(request, fields.get("user_email", ""))
    document = dataset_for(request, caller, fields, granted.context)
    config = body.get("source_config")
    job_id = _job_id()
    granted.context.importer.start(
        document, caller.email, kind, config if isinstance(config, dict) else {}, job_id
    )
    return _queued(document, job_id, "standard", 300)


@router.get("/status/{job_id}")
def status(request: Request, job_id: str, granted: Anybody) -> dict[str, Any]:
    """Upload, check and conversion of a job as stages, live."""
    found = job_of(granted.context, job_id)
    if found is None:
        return status_of(job_id, None, None)
    document, running = found
    require(request, _caller(request), Action.SEE, document)
    return status_of(job_id, document, running)


@router.post("/cancel/{job_id}")
def cancel(request: Request, job_id: str, granted: Anybody) -> dict[str, Any]:
    """Give up what is still coming; never what is queued or done already."""
    context = granted.context
    if job_id.startswith("dataset_"):
        found = grant(request, Action.CHANGE, job_id.removeprefix("dataset_"), _caller(request))
        done = context.store.cancel(found.uuid)
        note(found, "cancel", found.uuid)
        message = "Conversion cancelled" if done else "It is neither queued nor being converted."
        return {"success": done, "message": message}
    job = job_of(context, job_id)
    if job is None:
        raise UploadNotFound
    document, running = job
    require(request, _caller(request), Action.CHANGE, document)
    if running is None:
        return {"success": False, "message": "The upload has ended already."}
    context.intake.abandon(context.intake.incoming.facts(running["_id"]))
    return {"success": True, "message": "Upload job cancelled successfully"}


@router.post("/cancel")
def cancel_named(request: Request, granted: Anybody, body: Object) -> dict[str, Any]:
    """As above, the job in the body."""
    return cancel(request, str(body.get("job_id") or ""), granted)


@router.get("/jobs")
def jobs(
    request: Request,
    granted: Person,
    user_id: str = "",
    user_email: str = "",
    status: str = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> dict[str, Any]:
    """The caller's uploads, newest first."""
    query: dict[str, Any] = owned_by(granted.caller.email)
    with granted.context.datasets.guard() as raw:
        total = raw.count_documents(query)
        found = list(raw.find(query, sort=[("created_at", -1)], skip=offset, limit=limit))
    shown = [
        status_of(str(each.get("job_id") or f"dataset_{each.get('uuid')}"), each, None)
        for each in found
    ]
    if status:
        shown = [each for each in shown if each["status"] == status]
    return {"jobs": shown, "total": total, "limit": limit, "offset": offset}


@router.get("/supported-sources")
def supported_sources(granted: Anybody) -> dict[str, Any]:
    """From where files can come."""
    return {
        "source_types": ["local", *SOURCES],
        "sensor_types": [each.value for each in Sensor],
        "required_parameters": {
            "local": ["file", "user_email", "dataset_name", "sensor"],
            "url": ["url"],
            "s3": ["bucket_name", "object_key"],
        },
        "optional_parameters": {
            "all": ["convert", "is_public", "folder", "team_uuid", "tags", "dataset_identifier"]
        },
        "large_file_threshold_mb": LARGE_BYTES >> 20,
    }


@router.get("/limits")
def limits(granted: Anybody) -> dict[str, Any]:
    """What an upload may be."""
    settings = granted.context.settings
    return {
        "max_file_size_bytes": settings.upload_most_bytes,
        "max_file_size_tb": settings.upload_most_bytes / 1024**4,
        "large_file_threshold_bytes": LARGE_BYTES,
        "large_file_threshold_mb": LARGE_BYTES >> 20,
        "chunk_size_bytes": LARGE_BYTES,
        "chunk_size_mb": LARGE_BYTES >> 20,
        "resumable_upload_timeout_days": settings.upload_expiry_seconds / 86400,
        "supported_source_types": ["local", *SOURCES],
        "temp_directory": "",
    }


def _take(request: Request, fields: FormFields, held: list[HeldFile]) -> dict[str, Any]:
    context = context_of(request)
    flat = {key: values[-1] for key, values in fields.values.items()}
    caller = speaks_for(request, flat.get("user_email", ""))
    document = dataset_for(request, caller, flat, context)
    job_id = _job_id()
    for each in held:
        each.enter(document, caller.email, flat.get("relative_path", ""), job_id)
    remember(context, document, job_id)
    size_bytes = sum(each.size_bytes for each in held)
    kind = "chunked" if size_bytes >= LARGE_BYTES else "standard"
    return _queued(document, job_id, kind, max(1, size_bytes // (50 << 20)))


def _take_path(request: Request, fields: Mapping[str, str]) -> dict[str, Any]:
    context = context_of(request)
    caller = speaks_for(request, fields.get("user_email", ""))
    source = _allowed_path(context, fields.get("file_path", ""))
    document = dataset_for(request, caller, fields, context)
    job_id = _job_id()
    name = fields.get("original_filename") or source.name
    file = NewFile(name, source.stat().st_size, fields.get("relative_path", ""), job_id=job_id)
    sink = FileSink(context.intake, document, caller.email, file)
    try:
        with source.open("rb") as data:
            while piece := data.read(_COPY_BYTES):
                sink.write(piece)
    except BaseException:
        sink.give_up()
        raise
    sink.close()
    remember(context, document, job_id)
    source.unlink(missing_ok=True)
    return _queued(document, job_id, "path", 1)


def _allowed_path(context: ApiContext, text: str) -> Path:
    """A plain file in one of the folders that the setting lists, links followed before looking."""
    folders = [Path(each).resolve() for each in context.settings.upload_path_folders]
    if not folders:
        raise NotAllowed(
            "Files are not taken over from folders here.",
            remedy="Upload the file, or set UPLOAD_PATH_FOLDERS.",
        )
    path = Path(text).resolve()
    if not any(path.is_relative_to(folder) for folder in folders):
        raise NotAllowed("This folder is none from which files are taken over.")
    if not path.is_file():
        raise BadRequest("There is no such file.")
    return path


def dataset_for(
    request: Request, caller: Caller, fields: Mapping[str, str], context: ApiContext
) -> dict[str, Any]:
    """The dataset that a file is for: one that is there, or a new one."""
    require(request, caller, Action.CREATE, None)
    uuid = fields.get("dataset_identifier") or fields.get("dataset_uuid") or ""
    sensor = fields.get("sensor") or "OTHER"
    if parse_sensor(sensor) is None:
        raise BadRequest(f"There is no sensor {sensor[:40]!r}.")
    if uuid and not USABLE_UUID.fullmatch(uuid):
        raise BadRequest("dataset_identifier cannot be the name of a folder.")
    if uuid and context.store.find(uuid) is not None:
        return grant(request, Action.CHANGE, uuid, caller).document
    public = is_true(fields.get("is_public"))
    convert = "convert" not in fields or is_true(fields["convert"])
    values = {
        "uuid": uuid or None,
        "name": (fields.get("dataset_name") or "")[:255] or None,
        "sensor": sensor,
        "convert": convert,
        "data_conversion_needed": convert,
        "is_public": public,
        "is_public_downloadable": public and is_true(fields.get("is_public_downloadable")),
        "folder_uuid": fields.get("folder") or None,
        "team_uuid": fields.get("team_uuid") or None,
        "tags": ",".join(
            each.strip() for each in fields.get("tags", "").split(",") if each.strip()
        ),
        "preferred_dashboard": fields.get("preferred_dashboard") or None,
        "dimensions": fields.get("dimensions") or None,
        "description": fields.get("description") or None,
    }
    return create(context.store, caller.email, values)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, whichever way it is written."""
    form = await request.form(max_files=0, max_fields=200)
    return {key: str(value) for key, value in form.items()}


def _caller(request: Request) -> Caller:
    return speaks_for(request, request.query_params.get("user_email", ""))


def remember(context: ApiContext, document: Mapping[str, Any], job_id: str) -> None:
    """So that the job is found as long as its dataset is."""
    changes = {"job_id": job_id}
    context.datasets.update_id(
        {"_id": document["_id"]},
        [{"$set": {**changes, "job_ids": {"$slice": [{"$concatArrays": [
            {"$ifNull": ["$job_ids", []]}, [job_id]]}, -1000]}}}],
    )  # fmt: skip


def _queued(document: Mapping[str, Any], job_id: str, kind: str, seconds: int) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "status": "queued",
        "message": "Upload received",
        "estimated_duration": seconds,
        "upload_type": kind,
        "dataset_uuid": document["uuid"],
        "success": True,
    }


def _job_id() -> str:
    return f"upload_{int(datetime.now(UTC).timestamp())}_{new_id()[:12]}"
