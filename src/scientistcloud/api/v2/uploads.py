"""Files of a dataset by form, and the end of an upload."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from scientistcloud.access.action import Action
from scientistcloud.api.audit import note
from scientistcloud.api.bodies import pour
from scientistcloud.api.rights import Granted, allowed
from scientistcloud.api.v2.models import Dataset
from scientistcloud.api.v2.shown import show
from scientistcloud.refusals import BadRequest
from scientistcloud.uploads.forms import FormFields, FormReader, Sink
from scientistcloud.uploads.intake import NewFile
from scientistcloud.uploads.sinks import FileSink

router = APIRouter(prefix="/api/v2/datasets", tags=["uploads"])

Changing = Annotated[Granted, allowed(Action.CHANGE)]


@router.post("/{uuid}/files", status_code=201)
async def add_files(request: Request, uuid: str, granted: Changing) -> dict[str, Any]:
    """Any number of files in one form (`multipart/form-data`), straight to disk.

    A file's name may hold folders; or a field `relative_path` before it names its folder.
    """
    sinks: list[FileSink] = []
    intake = granted.context.intake

    def open_sink(name: str, filename: str, fields: FormFields) -> Sink:
        file = NewFile(filename, None, fields.get("relative_path"))
        sink = FileSink(intake, granted.document, granted.caller.email, file)
        sinks.append(sink)
        return sink

    reader = FormReader(request.headers.get("content-type", ""), open_sink)
    is_whole = False
    try:
        is_whole = await pour(request, reader.write)
    finally:
        if not is_whole:
            await run_in_threadpool(_give_up, reader)
    await run_in_threadpool(reader.close, is_whole=True)
    if not sinks:
        raise BadRequest("There is no file in the form.")
    note(granted, "add files", granted.uuid)
    files = [
        {"name": each.facts.name, "size": each.facts.size_bytes, "sha256": each.sha256}
        for each in sinks
    ]
    return {"uuid": granted.uuid, "files": files}


@router.post("/{uuid}/finish")
def finish(uuid: str, granted: Changing) -> Dataset:
    """All files are in, or on their way: it is queued as soon as the last one is whole."""
    document = granted.context.intake.finish(granted.document)
    note(granted, "finish", granted.uuid)
    return show(granted.context, granted.caller, document)


def _give_up(reader: FormReader) -> None:
    try:
        reader.close(is_whole=False)
    except BadRequest:
        return
