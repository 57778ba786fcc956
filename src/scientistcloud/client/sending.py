"""Files on their way to a server, by tus: going on where they stopped, skipping what is there."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from scientistcloud.client.answers import require_success
from scientistcloud.errors import SourceEmpty, SourceNotFound
from scientistcloud.refusals import Refusal

_PIECE_BYTES = 64 << 20
_READ_BYTES = 1 << 20
_TRIES = 8
_LONGEST_PAUSE_SECONDS = 20.0
_TUS = {"tus-resumable": "1.0.0"}


class Server(Protocol):
    """What sends requests: `client.Client`."""

    def get(self, path: str, query: Mapping[str, str] | None = None) -> httpx.Response: ...
    def request(self, method: str, path: str, **options: Any) -> httpx.Response: ...


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to be sent; `name` is relative to what was chosen, with ``/``."""

    path: Path
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SendProgress:
    """How far an upload is."""

    files: int
    done: int
    size_bytes: int
    sent_bytes: int
    name: str


def find_files(source: Path) -> list[FoundFile]:
    """The plain files at `source`, in order; hidden ones are left out.

    Raises
    ------
    SourceNotFound, SourceEmpty
    """
    if not source.exists():
        raise SourceNotFound(f"There is nothing at {source}.", remedy="Check the path.")
    if source.is_file():
        return [FoundFile(source, source.name, source.stat().st_size)]
    found = []
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            path = Path(folder) / name
            if not name.startswith(".") and path.is_file():
                relative = path.relative_to(source).as_posix()
                found.append(FoundFile(path, relative, path.stat().st_size))
    if not found:
        raise SourceEmpty(f"There are no files in {source}.")
    return found


def send_files(
    client: Server,
    uuid: str,
    files: Sequence[FoundFile],
    progress: Callable[[SendProgress], None],
) -> None:
    """Send what the server does not have yet; raises `Refusal`."""
    there = dict(_files_there(client, uuid))
    total, sent = sum(each.size_bytes for each in files), 0
    for number, file in enumerate(files):
        if there.get(file.name) == file.size_bytes:
            sent += file.size_bytes
            continue
        before = sent

        def show(offset: int, name: str = file.name, done: int = number) -> None:
            progress(SendProgress(len(files), done, total, before + offset, name))  # noqa: B023

        _send(client, uuid, file, show)
        sent += file.size_bytes
    progress(SendProgress(len(files), len(files), total, sent, ""))


def fetch_file(http: httpx.Client, address: str, target: str | Path) -> Path:
    """Fetch one file into `target` (a folder, or the file's new name)."""
    path = Path(target)
    if path.is_dir():
        path /= address.rpartition("/")[2]
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    headers = {"range": f"bytes={have}-"} if have else {}
    with http.stream("GET", address, headers=headers) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            have = 0
        elif not answer.is_success:
            answer.read()
            require_success(answer)
        mode = "ab" if answer.status_code == httpx.codes.PARTIAL_CONTENT else "wb"
        with part.open(mode) as file:
            for piece in answer.iter_bytes(_READ_BYTES):
                file.write(piece)
    part.replace(path)
    return path


def _files_there(client: Server, uuid: str) -> Iterator[tuple[str, int]]:
    after = ""
    while True:
        query = {"limit": "10000", "after": after}
        page = client.get(f"api/v2/datasets/{uuid}/files", query).json()
        yield from ((each["name"], each["size"]) for each in page["files"])
        after = page["next"] or ""
        if not after:
            return


def _send(client: Server, uuid: str, file: FoundFile, show: Callable[[int], None]) -> None:
    place, offset, problem = "", 0, Refusal("The upload could not be begun.")
    for attempt in range(_TRIES):
        try:
            if not place:
                place, offset = _begin(client, uuid, file), 0
            else:
                offset = _stands(client, place)
            while offset < file.size_bytes:
                offset = _patch(client, place, file, offset)
                show(offset)
            return
        except httpx.TransportError as error:
            problem = Refusal(f"The server cannot be reached: {error}")
        except Refusal as error:
            if error.status in (404, 410):
                place = ""  # it has expired: begin again
            elif error.status not in (409, 429, 502, 503, 504):
                raise
            problem = error
        time.sleep(min(_LONGEST_PAUSE_SECONDS, 0.5 * 2**attempt))
    raise problem


def _begin(client: Server, uuid: str, file: FoundFile) -> str:
    values = {"dataset": uuid, "filename": file.name.rpartition("/")[2], "relative_path": file.name}
    pairs = (f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())
    headers = {"upload-length": str(file.size_bytes), "upload-metadata": ",".join(pairs)}
    answer = require_success(client.request("POST", "api/v2/tus/", headers=_TUS | headers))
    return str(answer.headers["location"])


def _stands(client: Server, place: str) -> int:
    return int(
        require_success(client.request("HEAD", place, headers=_TUS)).headers["upload-offset"]
    )


def _patch(client: Server, place: str, file: FoundFile, offset: int) -> int:
    length = min(_PIECE_BYTES, file.size_bytes - offset)
    headers = {
        "upload-offset": str(offset),
        "content-type": "application/offset+octet-stream",
        "content-length": str(length),
    }
    body = _pieces(file.path, offset, length)
    answer = client.request("PATCH", place, headers=_TUS | headers, content=body)
    return int(require_success(answer).headers["upload-offset"])


def _pieces(path: Path, offset: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as data:
        data.seek(offset)
        while length > 0:
            piece = data.read(min(_READ_BYTES, length))
            if not piece:
                return
            length -= len(piece)
            yield piece
