"""Files of a dataset, as the portal shows them."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from scientistcloud.access.action import Action
from scientistcloud.api.http.answers import serve_file
from scientistcloud.api.rights import Granted, identified
from scientistcloud.api.v2.files import folder_of, get_zip
from scientistcloud.refusals import BadRequest, TooLarge
from scientistcloud.uploads.folders import FoundFile, find_file, walk

router = APIRouter(prefix="/api/v1/datasets", tags=["portal: files"])

Downloading = Annotated[Granted, identified(Action.DOWNLOAD)]
Where = Literal["upload", "converted"]
Name = Annotated[str, Query(max_length=4096)]
_TEXTS = frozenset(
    {".txt", ".json", ".idx", ".log", ".xml", ".csv", ".md", ".yaml", ".yml", ".ini", ".conf"}
    | {".cfg"}
)
_IMAGES = frozenset([".tif", ".tiff", ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".svg"])
_MOST_TEXT_BYTES = 5 << 20
_MOST_FILES = 20_000


@router.get("/{identifier}/files")
def get_files(identifier: str, granted: Downloading) -> dict[str, Any]:
    """The trees of upload and result; block files and hidden ones are left out."""
    directories = {name: _tree(folder_of(granted, name)) for name in ("upload", "converted")}
    return {"success": True, "dataset_uuid": granted.uuid, "directories": directories}


@router.get("/{identifier}/file-content")
def get_content(
    request: Request, identifier: str, granted: Downloading, file_path: Name, directory: Where
) -> dict[str, Any]:
    """A text as text, a picture as an address."""
    path = find_file(folder_of(granted, directory), file_path)
    kind = mimetypes.guess_type(path.name)[0] or "text/plain"
    found = {"success": True, "mime_type": kind, "file_path": file_path, "file_name": path.name}
    if path.suffix.lower() in _TEXTS:
        if path.stat().st_size > _MOST_TEXT_BYTES:
            raise TooLarge("The file is too large to be shown.", remedy="Download it.")
        return found | {"type": "text", "content": path.read_text("utf-8", "replace")}
    if path.suffix.lower() in _IMAGES:
        url = request.url_for("serve_content", identifier=identifier)
        address = url.include_query_params(file_path=file_path, directory=directory)
        return found | {"type": "image", "url": str(address)}
    raise BadRequest("Files of this kind cannot be shown.", remedy="Download it.")


@router.get("/{identifier}/file-serve", name="serve_content", response_class=Response)
def serve_content(
    request: Request, identifier: str, granted: Downloading, file_path: Name, directory: Where
) -> Response:
    """The file itself, whole or by ranges."""
    path = find_file(folder_of(granted, directory), file_path)
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return serve_file(request, path, download=True, media_type=kind)


@router.get("/{identifier}/download-zip", response_class=Response)
def download_zip(
    identifier: str, granted: Downloading, directory: Where, force_recreate: bool = False
) -> Response:
    """All files as one ZIP, made while it is sent: never stale."""
    return get_zip(granted.uuid, granted, directory)


def _tree(folder: Path) -> dict[str, Any]:
    root: dict[str, Any] = {"children": []}
    folders = {"": root}
    for count, each in enumerate(walk(folder)):
        if count >= _MOST_FILES:
            break
        _add(folders, each)
    _sort(root)
    top = root["children"]
    return {
        "path": folder.name,
        "exists": folder.is_dir(),
        "readable": folder.is_dir(),
        "files": top,
        "file_count": len(top),
    }


def _add(folders: dict[str, dict[str, Any]], file: FoundFile) -> None:
    place, _, name = file.name.rpartition("/")
    parent, path = folders[""], ""
    for part in place.split("/") if place else ():
        path = f"{path}/{part}".lstrip("/")
        if path not in folders:
            folders[path] = {"name": part, "type": "directory", "path": path, "children": []}
            parent["children"].append(folders[path])
        parent = folders[path]
    if name.endswith(".bin"):
        parent["has_excluded_files"] = True
        parent["excluded_file_count"] = parent.get("excluded_file_count", 0) + 1
        return
    entry = {"name": name, "type": "file", "path": file.name, "size": file.size_bytes}
    parent["children"].append(entry | {"modified": file.modified_at})


def _sort(folder: dict[str, Any]) -> None:
    folder["children"].sort(key=lambda each: (each["type"] == "file", each["name"].lower()))
    for each in folder["children"]:
        if each["type"] == "directory":
            _sort(each)
