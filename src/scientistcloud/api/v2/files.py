"""What belongs to a dataset on disk: metadata, log, files, zip."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from scientistcloud.access.action import Action
from scientistcloud.api.http.answers import serve_file
from scientistcloud.api.rights import Granted, allowed
from scientistcloud.datasets.documents.document import USABLE_UUID
from scientistcloud.refusals import NotFound, ResultNotFound, UnusableName
from scientistcloud.uploads.folders import FoundFile, find_file, list_files
from scientistcloud.uploads.zip_stream import zip_stream

router = APIRouter(prefix="/api/v2/datasets", tags=["files"])

Where = Literal["upload", "converted"]
Seen = Annotated[Granted, allowed(Action.SEE)]
Downloading = Annotated[Granted, allowed(Action.DOWNLOAD)]
_LOG_BYTES = 1 << 20
_MOST_FILES = 10_000


@router.get("/{uuid}/metadata")
def get_metadata(uuid: str, granted: Seen) -> Response:
    """``metadata.json``: what the source says of itself and how it was converted."""
    path = folder_of(granted, "converted") / "metadata.json"
    try:
        return JSONResponse(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise ResultNotFound from None


@router.get("/{uuid}/log", response_class=PlainTextResponse)
def get_log(
    uuid: str, granted: Seen, lines: Annotated[int, Query(ge=1, le=100_000)] = 200
) -> PlainTextResponse:
    """The last lines of ``conversion.log``."""
    path = folder_of(granted, "converted") / "conversion.log"
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        raise ResultNotFound("There is no log yet.") from None
    return PlainTextResponse("\n".join(text.splitlines()[-lines:]) + "\n")


@router.get("/{uuid}/files")
def get_files(
    uuid: str,
    granted: Downloading,
    directory: Where = "upload",
    limit: Annotated[int, Query(ge=1, le=_MOST_FILES)] = 1000,
    after: Annotated[str, Query(max_length=4096)] = "",
) -> dict[str, Any]:
    """The files of the upload or the result, by name; `next` goes on where `limit` ended."""
    found = list_files(folder_of(granted, directory), after=after, limit=limit + 1)
    page = found[:limit]
    return {
        "files": [_shown(each) for each in page],
        "next": page[-1].name if len(found) > limit else None,
    }


@router.get("/{uuid}/files/{directory}/{path:path}", response_class=Response)
@router.head("/{uuid}/files/{directory}/{path:path}", include_in_schema=False)
def get_file(
    request: Request, uuid: str, directory: Where, path: str, granted: Downloading
) -> Response:
    """One file, whole or by ranges, with an ETag."""
    found = find_file(folder_of(granted, directory), path)
    media_type = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
    return serve_file(request, found, download=True, media_type=media_type)


@router.get("/{uuid}/zip", response_class=Response)
def get_zip(uuid: str, granted: Downloading, directory: Where = "upload") -> StreamingResponse:
    """All files as one ZIP, made while it is sent."""
    folder = folder_of(granted, directory)
    name = f"{_plain(str(granted.document.get('name') or granted.uuid))}_{directory}.zip"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_zipped(folder), media_type="application/zip", headers=headers)


def folder_of(granted: Granted, directory: str) -> Path:
    """The folder of a dataset's upload or result; raises `NotFound` where there can be none."""
    uuid, settings = granted.document.get("uuid"), granted.context.settings
    if not isinstance(uuid, str) or not USABLE_UUID.fullmatch(uuid):
        raise UnusableName("The dataset's uuid is no name of a folder.")
    root = settings.in_data_dir if directory == "upload" else settings.out_data_dir
    return root / uuid


def _zipped(folder: Path) -> Iterator[bytes]:
    if not folder.is_dir():
        raise NotFound("There are no files.")
    return zip_stream(folder)


def _shown(file: FoundFile) -> dict[str, Any]:
    return {"name": file.name, "size": file.size_bytes, "modified": file.modified_at}


def _plain(name: str) -> str:
    return "".join(
        each if each.isascii() and (each.isalnum() or each in "-_.") else "_" for each in name
    )
