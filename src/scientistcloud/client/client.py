"""`Client`: datasets of a server, from a notebook or a pipeline."""

from __future__ import annotations

import time
import uuid as uuids
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from scientistcloud.client.answers import require_success

if TYPE_CHECKING:
    from scientistcloud.client.sending import SendProgress

_TRIES = 6
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0
_POLL_SECONDS = 0.5
_ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class RemoteDataset:
    """A dataset of a server, as it was when it was asked for; `facts` is all that was answered."""

    facts: dict[str, Any]

    @property
    def uuid(self) -> str:
        return str(self.facts["uuid"])

    @property
    def name(self) -> str:
        return str(self.facts["name"])

    @property
    def status(self) -> str:
        return str(self.facts["status"])

    @property
    def stage(self) -> str:
        return str(self.facts["stage"])

    @property
    def error(self) -> dict[str, str] | None:
        """`code`, `message` and `remedy` of what went wrong."""
        found: dict[str, str] | None = self.facts.get("error")
        return found


class Client:
    """Calls of ``/api/v2`` of one server; tries again by itself what may succeed later.

    Parameters
    ----------
    url : str
        Where the server is, such as ``https://data.example.org`` or ``http://127.0.0.1:5001``.
    token : str
        A token, key or link; none for a server of this computer alone.

    Examples
    --------
    ``Client("http://127.0.0.1:5001").upload("scan/", wait=True)``
    """

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=f"{self.url}/", headers=headers, timeout=httpx.Timeout(120, connect=10)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def list(
        self, *, status: str = "", text: str = "", limit: int | None = None
    ) -> Iterator[RemoteDataset]:
        """The datasets that one may see, newest first."""
        cursor, left = "", limit
        while left is None or left > 0:
            page_size = str(min(100, left) if left is not None else 100)
            query = {"status": status, "q": text, "cursor": cursor, "limit": page_size}
            page = self.get("api/v2/datasets", query).json()
            yield from (RemoteDataset(each) for each in page["datasets"])
            left = left - len(page["datasets"]) if left is not None else None
            cursor = page["next"] or ""
            if not cursor:
                return

    def dataset(self, uuid: str) -> RemoteDataset:
        """One dataset; raises `Refusal` where there is none."""
        return RemoteDataset(self.get(f"api/v2/datasets/{uuid}").json())

    def create(
        self,
        name: str,
        *,
        sensor: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        files: int | None = None,
        convert: bool = True,
        tags: Sequence[str] = (),
    ) -> RemoteDataset:
        """A dataset whose files are still to come."""
        body = {
            "name": name, "sensor": sensor, "parameters": parameters, "files": files,
            "convert": convert, "tags": list(tags),
        }  # fmt: skip
        headers = {"idempotency-key": uuids.uuid4().hex}
        sent = {key: value for key, value in body.items() if value is not None}
        return RemoteDataset(self.send("POST", "api/v2/datasets", sent, headers).json())

    def upload(
        self,
        source: str | Path,
        *,
        name: str | None = None,
        sensor: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        uuid: str | None = None,
        wait: bool = False,
        progress: Callable[[SendProgress], None] = lambda _: None,
    ) -> RemoteDataset:
        """Upload a file or a folder, and have it converted.

        Parameters
        ----------
        uuid : str, optional
            Go on with an upload that was cut off, or add files to a dataset: what is there
            already is not sent again.
        wait : bool
            Whether to return only when the conversion has ended.

        Raises
        ------
        SourceNotFound, Refusal
        """
        from scientistcloud.client.sending import find_files, send_files

        path = Path(source)
        found = find_files(path)
        if uuid is None:
            made = self.create(
                name or path.resolve().name, sensor=sensor, parameters=parameters, tags=tags
            )
            uuid = made.uuid
        send_files(self, uuid, found, progress)
        done = RemoteDataset(self.send("POST", f"api/v2/datasets/{uuid}/finish").json())
        return self.wait(uuid) if wait else done

    def wait(
        self,
        uuid: str,
        *,
        timeout_seconds: float | None = None,
        progress: Callable[[RemoteDataset], None] = lambda _: None,
    ) -> RemoteDataset:
        """Wait until a conversion has ended, well or not.

        Raises
        ------
        TimeoutError
        """
        ends = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            found = self.dataset(uuid)
            progress(found)
            if found.stage in _ENDED:
                return found
            if ends is not None and time.monotonic() > ends:
                raise TimeoutError(f"{uuid} is still {found.status}")
            time.sleep(_POLL_SECONDS)

    def retry(
        self, uuid: str, *, parameters: Mapping[str, Any] | None = None, sensor: str | None = None
    ) -> RemoteDataset:
        """Convert again, with other choices if any are given."""
        body = {"parameters": parameters, "sensor": sensor}
        sent = {key: value for key, value in body.items() if value is not None}
        return RemoteDataset(self.send("POST", f"api/v2/datasets/{uuid}/retry", sent).json())

    def cancel(self, uuid: str) -> RemoteDataset:
        """Take a dataset out of the queue, or stop its conversion."""
        return RemoteDataset(self.send("POST", f"api/v2/datasets/{uuid}/cancel").json())

    def delete(self, uuid: str) -> None:
        """Delete a dataset; it can be restored for a time."""
        self.send("DELETE", f"api/v2/datasets/{uuid}")

    def restore(self, uuid: str) -> RemoteDataset:
        return RemoteDataset(self.send("POST", f"api/v2/datasets/{uuid}/restore").json())

    def share(self, uuid: str, email: str) -> None:
        """Let a person see, view and download a dataset."""
        self.send("POST", f"api/v2/datasets/{uuid}/shares", {"email": email})

    def link(self, uuid: str, *, download: bool = False, days: float | None = 30.0) -> str:
        """An address by which whoever has it can look into a dataset."""
        body = {"download": download, "days": days}
        found = self.send("POST", f"api/v2/datasets/{uuid}/links", body).json()
        return self.url + str(found["page"])

    def download(self, uuid: str, name: str, target: str | Path, directory: str = "upload") -> Path:
        """Fetch one file, going on where a former try stopped."""
        from scientistcloud.client.sending import fetch_file

        return fetch_file(self._http, f"api/v2/datasets/{uuid}/files/{directory}/{name}", target)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        """Ask, again and again where nothing answers; raises `Refusal`."""
        return self._call("GET", path, params=dict(query or {}))

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Change something; raises `Refusal`."""
        return self._call(method, path, json=body, headers=dict(headers or {}))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, tried once; the answer, whatever it is."""
        return self._http.request(method, path, **options)

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        is_safe = method == "GET" or "idempotency-key" in options.get("headers", {})
        for attempt in range(_TRIES):
            try:
                answer = self._http.request(method, path, **options)
            except httpx.ConnectError:
                if attempt == _TRIES - 1:
                    raise
            except httpx.TransportError:
                if not is_safe or attempt == _TRIES - 1:
                    raise
            else:
                if answer.status_code not in (429, 502, 503, 504) or attempt == _TRIES - 1:
                    return require_success(answer)
            time.sleep(min(_LONGEST_PAUSE_SECONDS, _PAUSE_SECONDS * 2**attempt))
        raise AssertionError("the last attempt returns or raises")
