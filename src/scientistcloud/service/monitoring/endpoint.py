"""The service's HTTP port: ``/metrics``, ``/healthz`` and ``/readyz``. Nothing here waits."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from scientistcloud.release import __version__
from scientistcloud.service.monitoring.status import ServiceStatus

log = structlog.get_logger(__name__)

MOST_CLIENTS = 32
"""Connections that are served at a time; with one more, the oldest one goes."""

_REQUEST_SECONDS = 10.0


class Endpoint:
    """Answers scrapes and health checks, from threads of its own.

    Parameters
    ----------
    registry : CollectorRegistry
        What ``/metrics`` shows.
    status : callable
        What the service knows of itself; must return at once.
    """

    def __init__(self, registry: CollectorRegistry, status: Callable[[], ServiceStatus]) -> None:
        self._metrics = make_wsgi_app(registry)
        self._status = status
        self._server: tuple[_Server, threading.Thread] | None = None

    def serve(self, port: int, address: str = "0.0.0.0") -> bool:
        """Answer on `port` until `stop`; False, with a warning, if that is impossible; 0: no."""
        if port == 0:
            return False
        try:
            server = make_server(address, port, self._answer, _Server, _Handler)
        except OSError as error:
            log.warning(f"No metrics: port {port} cannot be used ({error.strerror})")
            return False
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        self._server = server, thread
        return True

    def stop(self) -> None:
        """Stop answering."""
        if self._server is not None:
            server, thread = self._server
            self._server = None
            server.shutdown()
            server.server_close()
            thread.join()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/healthz":
            return _tell(start, "alive", "stuck", self._status().not_alive(), {})
        if path == "/readyz":
            status = self._status()
            warnings = dict(status.faults)
            return _tell(start, "ready", "not ready", status.not_ready(), warnings)
        if path in ("/", "/metrics"):
            answer: Iterable[bytes] = self._metrics(environ, start)
            return answer
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/metrics, /healthz, /readyz\n"]


def _tell(
    start: StartResponse, well: str, ill: str, problems: dict[str, str], warnings: dict[str, str]
) -> list[bytes]:
    body = {
        "status": ill if problems else well,
        "service": "scientistcloud",
        "version": __version__,
        "problems": problems,
        "warnings": warnings,
    }
    code = "503 Service Unavailable" if problems else "200 OK"
    start(code, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return [json.dumps(body).encode() + b"\n"]


class _Server(ThreadingWSGIServer):
    """Serves clients that are slow, or say nothing, beside others, and is not used up by them."""

    request_queue_size = 2 * MOST_CLIENTS

    def __init__(self, *arguments: Any) -> None:
        self._clients: list[socket.socket] = []
        self._lock = threading.Lock()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._clients.append(request)
            oldest = self._clients.pop(0) if len(self._clients) > MOST_CLIENTS else None
        if oldest is not None:
            with suppress(OSError):  # it has gone by itself
                oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock, suppress(ValueError):
            self._clients.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("A client of the HTTP port went away", exc_info=True)


class _Handler(WSGIRequestHandler):
    """Logs no requests, and waits for none for ever."""

    timeout = _REQUEST_SECONDS

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
