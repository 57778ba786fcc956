"""The FastAPI application."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from scientistcloud import __version__
from scientistcloud.api import health, statuses
from scientistcloud.api.link import DatabaseLink
from scientistcloud.api.metrics import ApiMetrics, MeasuredApp, answer_metrics
from scientistcloud.datasets.watching.statuses import StatusChange, StatusWatch
from scientistcloud.errors import DatabaseUnavailable, printable
from scientistcloud.settings import Settings

log = structlog.get_logger(__name__)

_RECONNECT_SECONDS = 1.0
_STOP_SECONDS = 3.0


def create_app(settings: Settings) -> FastAPI:
    """The application; it starts without MongoDB and connects as soon as that is possible."""
    link = DatabaseLink(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stopping = threading.Event()
        watcher = threading.Thread(
            target=log_status_changes, args=(link, stopping), name="status-watch", daemon=True
        )
        watcher.start()
        yield
        stopping.set()
        watcher.join(_STOP_SECONDS)
        link.close()

    app = FastAPI(title="scientistcloud", version=__version__, lifespan=lifespan)
    app.state.link = link
    app.state.metrics = ApiMetrics(link.problem)
    app.add_middleware(MeasuredApp, metrics=app.state.metrics)
    app.add_route("/metrics", answer_metrics, include_in_schema=False)
    app.include_router(health.router)
    app.include_router(statuses.router)
    app.add_exception_handler(HTTPException, _refusal)
    app.add_exception_handler(DatabaseUnavailable, _unavailable)
    return app


def log_status_changes(link: DatabaseLink, stopping: threading.Event) -> None:
    """Connect, then log each change of a dataset's status in one line, until told to stop."""
    told = ""
    while not stopping.is_set():
        try:
            collection = link.collection()
        except DatabaseUnavailable as error:
            if error.message != told:
                log.warning(error.message, remedy=error.remedy)
                told = error.message
            stopping.wait(_RECONNECT_SECONDS)
            continue
        log.info("Background conversion: watching the statuses of the datasets")
        StatusWatch(collection, _log_change, _log_outage).watch(stopping)


def _log_change(change: StatusChange) -> None:
    name = _shown(change.uuid)
    text = f"Background conversion: dataset {name} is {_shown(change.status)}"
    if change.former is not None:
        text += f", was {_shown(change.former)}"
    log.info(text, dataset=name, attempt=change.attempt, token=change.token)


def _log_outage(error: DatabaseUnavailable) -> None:
    log.warning(f"Background conversion: statuses cannot be watched: {error.message}")


def _shown(value: object) -> str:
    """One unbroken piece of a line, whatever a document holds."""
    return printable(str(value)[:128])


def _refusal(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    body = {"success": False, "message": error.detail, "detail": error.detail}
    return JSONResponse(body, error.status_code, headers=error.headers)


def _unavailable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DatabaseUnavailable)
    body = {"success": False, "detail": error.message, "error": error.to_dict()}
    return JSONResponse({**body, "message": error.message}, 503)
