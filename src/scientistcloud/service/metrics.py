"""What Prometheus is told of one service, on METRICS_PORT."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, start_http_server

from scientistcloud import __version__
from scientistcloud.service.outcome import Outcome

log = structlog.get_logger(__name__)

_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000)


class ServiceMetrics:
    """Counts the attempts of one service; a registry of its own, so several may share a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._server: tuple[WSGIServer, threading.Thread] | None = None
        self._running = Gauge(
            "scientistcloud_running_attempts", "Attempts in progress", registry=self.registry
        )
        self._attempts = Counter(
            "scientistcloud_attempts",
            "Attempts by outcome (done, released, failed) and code of the error",
            ["outcome", "code"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "scientistcloud_attempt_seconds",
            "Duration of attempts",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._bytes = Counter(
            "scientistcloud_converted_bytes",
            "Sample bytes of finished conversions",
            registry=self.registry,
        )
        Info("scientistcloud", "The service", registry=self.registry).info({"version": __version__})

    def serve(self, port: int) -> bool:
        """Answer on `port` until `stop`; False, with a warning, if that is impossible; 0: no."""
        if port == 0:
            return False
        try:
            self._server = start_http_server(port, registry=self.registry)
        except OSError as error:
            log.warning(f"No metrics: port {port} cannot be used ({error.strerror})")
            return False
        return True

    def stop(self) -> None:
        """Stop answering."""
        if self._server is not None:
            server, thread = self._server
            self._server = None
            server.shutdown()
            server.server_close()
            thread.join()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count an attempt as running, and its time."""
        with self._running.track_inprogress(), self._seconds.time():
            yield

    def settled(self, outcome: Outcome) -> None:
        """Count what an attempt came to."""
        if outcome.result is not None:
            self._attempts.labels("done", "").inc()
            self._bytes.inc(max(0, int(outcome.result.get("bytes_in", 0))))
        elif outcome.error is not None:
            self._attempts.labels("failed", outcome.error.code).inc()
        else:
            self._attempts.labels("released", "").inc()
