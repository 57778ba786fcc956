"""What Prometheus is told of the API, at ``/metrics``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from fastapi import Request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scientistcloud.access.action import Action
from scientistcloud.api.callers import caller_of
from scientistcloud.api.rights import require
from scientistcloud.release import __version__

_SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 3, 10)
_ELSEWHERE = "other"


class ApiMetrics:
    """The numbers of one API process.

    Parameters
    ----------
    problem : callable
        Why MongoDB does not answer, None if it does; must return within a second.
    """

    def __init__(self, problem: Callable[[], str | None]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(_DatabaseCollector(problem))
        self.requests = Counter(
            "scientistcloud_api_requests",
            "Requests by route and status code of the answer",
            ["method", "route", "code"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "scientistcloud_api_request_duration_seconds",
            "Time to answer, by route",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        Info("scientistcloud_api", "The API", registry=self.registry).info({"version": __version__})


class _DatabaseCollector(Collector):
    def __init__(self, problem: Callable[[], str | None]) -> None:
        self._problem = problem

    def collect(self) -> Iterable[Metric]:
        up = float(self._problem() is None)
        yield GaugeMetricFamily(
            "scientistcloud_api_database_up", "Whether MongoDB answers", value=up
        )


class MeasuredApp:
    """Counts each request by the route that it took, so that no client makes up labels."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, code = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", _ELSEWHERE)
            method = scope["method"] if route != _ELSEWHERE else _ELSEWHERE
            self._metrics.requests.labels(method, route, str(code)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - began)


def answer_metrics(request: Request) -> Response:
    """All numbers, in Prometheus' text format; for administrators."""
    require(request, caller_of(request), Action.OPERATE, None)
    metrics: ApiMetrics = request.app.state.metrics
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
