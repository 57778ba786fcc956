"""Files fetched by the server from URLs: only from where that is safe, within limits."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpx
import structlog

from scientistcloud.errors import ConversionError
from scientistcloud.refusals import BadRequest, NotAllowed, NotOffered, Refusal
from scientistcloud.uploads.intake import Intake, NewFile
from scientistcloud.uploads.sinks import FileSink

log = structlog.get_logger(__name__)

_MOST_REDIRECTS = 5
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0
_PIECE_BYTES = 1 << 20
_THREADS = 4
_TRIES = 4
_PAUSE_SECONDS = 2.0


class Importer:
    """Fetches files in a few threads; what becomes of them is told by their dataset.

    Parameters
    ----------
    allow_private : bool
        Whether addresses of private networks, and plain http, may be asked.
    """

    def __init__(self, intake: Intake, *, allow_private: bool) -> None:
        self._intake = intake
        self._allow_private = allow_private
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="import")

    def start(
        self, document: Mapping[str, Any], email: str, kind: str, config: Mapping[str, Any],
        job_id: str,
    ) -> None:  # fmt: skip
        """Look at what is asked for, and fetch it later.

        Raises
        ------
        BadRequest, NotAllowed, NotOffered
            The address is unusable, or leads where this server must not ask.
        """
        url = _address(kind, config)
        self._target(url)
        self._pool.submit(self._run, document, email, url, job_id)

    def fetch(self, document: Mapping[str, Any], email: str, url: str, job_id: str) -> None:
        """Fetch one file into a dataset; redirects are followed as far as they are safe."""
        for _ in range(_MOST_REDIRECTS):
            pinned, headers, extensions = self._target(url)
            timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
            with (
                httpx.Client(timeout=timeout, trust_env=False) as client,
                client.stream("GET", pinned, headers=headers, extensions=extensions) as answer,
            ):
                if answer.is_redirect:
                    url = urljoin(url, answer.headers.get("location", ""))
                    continue
                if answer.status_code != 200:
                    raise BadRequest(f"The server answered {answer.status_code}.")
                self._take(document, email, url, job_id, answer)
                return
        raise BadRequest("The address leads on and on to others.")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, document: Mapping[str, Any], email: str, url: str, job_id: str) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                self.fetch(document, email, url, job_id)
                return
            except (Refusal, ConversionError) as error:
                problem = str(error)
                break
            except httpx.HTTPError as error:
                problem = f"The file cannot be fetched: {type(error).__name__}."
                time.sleep(_PAUSE_SECONDS * attempt)
        log.warning("An import failed", dataset=document.get("uuid"), reason=problem)
        self._intake.fail(document, problem)

    def _take(
        self, document: Mapping[str, Any], email: str, url: str, job_id: str,
        answer: httpx.Response,
    ) -> None:  # fmt: skip
        length = answer.headers.get("content-length", "")
        size_bytes = int(length) if length.isdigit() else None
        name = unquote(urlsplit(url).path.rpartition("/")[2]) or "file"
        sink = FileSink(self._intake, document, email, NewFile(name, size_bytes, job_id=job_id))
        try:
            for piece in answer.iter_raw(_PIECE_BYTES):
                sink.write(piece)
                self._intake.progressed(sink.facts, sink.size_bytes)
            if size_bytes is not None and sink.size_bytes != size_bytes:
                raise httpx.ReadError("it ended too early")
        except BaseException:
            sink.give_up()
            raise
        sink.close()

    def _target(self, url: str) -> tuple[str, dict[str, str], dict[str, Any]]:
        """The address with the host's number in place of its name, which is asked once only.

        So the answer that was looked at is the one that is used, whatever the name means next.
        """
        parts = urlsplit(url)
        schemes = ("https", "http") if self._allow_private else ("https",)
        if parts.scheme not in schemes or not parts.hostname or len(url) > 4096:
            raise BadRequest("Only addresses that begin with https:// can be fetched.")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError, UnicodeError):
            raise BadRequest("The host of the address is not known.") from None
        number = ipaddress.ip_address(str(found[0][4][0]).partition("%")[0])
        if not self._allow_private and not number.is_global:
            raise NotAllowed("This address belongs to a private network.")
        host = f"[{number}]" if number.version == 6 else str(number)
        pinned = parts._replace(netloc=f"{host}:{port}").geturl()
        name = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        headers = {"host": name, "accept-encoding": "identity"}
        return pinned, headers, {"sni_hostname": parts.hostname}


def _address(kind: str, config: Mapping[str, Any]) -> str:
    if kind == "url":
        return str(config.get("url") or "")
    if config.get("access_key_id") or config.get("secret_access_key"):
        raise NotOffered(
            "Buckets that need keys are not read here.",
            remedy="Give a presigned https address of the object as source_type url.",
        )
    bucket, key = str(config.get("bucket_name") or ""), str(config.get("object_key") or "")
    if not bucket or not key or "/" in bucket:
        raise BadRequest("bucket_name and object_key are needed.")
    endpoint = str(config.get("endpoint_url") or "https://s3.amazonaws.com").rstrip("/")
    return f"{endpoint}/{quote(bucket)}/{quote(key)}"
