"""The FastAPI application."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from scientistcloud.api import health, pages
from scientistcloud.api.context import ApiContext
from scientistcloud.api.hardening import Hardened
from scientistcloud.api.http.problems import RESPONSES, add_handlers
from scientistcloud.api.hub import EventHub
from scientistcloud.api.metrics import ApiMetrics, MeasuredApp, answer_metrics
from scientistcloud.api.portal import auth, chunks, statuses, teams
from scientistcloud.api.portal import datasets as portal_datasets
from scientistcloud.api.portal import files as portal_files
from scientistcloud.api.portal import uploads as portal_uploads
from scientistcloud.api.streams import routes as streams
from scientistcloud.api.v2 import (
    datasets,
    events,
    files,
    looks,
    people,
    sharing,
    system,
    tus,
    uploads,
)
from scientistcloud.datasets.watching.statuses import StatusChange, StatusWatch
from scientistcloud.errors import DatabaseUnavailable, printable
from scientistcloud.release import __version__
from scientistcloud.settings import Settings

log = structlog.get_logger(__name__)

_RECONNECT_SECONDS = 1.0
_STOP_SECONDS = 3.0
_THREADS = 64
EXPOSED_HEADERS = (
    "etag", "location", "tus-resumable", "upload-offset", "upload-length", "upload-expires",
    "tus-version", "tus-extension", "tus-max-size", "x-dtype", "x-shape", "x-generation",
)  # fmt: skip


ROUTERS = (
    health.router,
    streams.streams,
    streams.boxes,
    tus.router,
    uploads.router,
    looks.router,
    events.router,
    files.router,
    sharing.router,
    people.router,
    system.router,
    datasets.router,
    statuses.router,
    portal_uploads.router,
    chunks.router,
    portal_files.router,
    teams.router,
    auth.router,
    portal_datasets.router,
    pages.router,
)
"""Every route of the API; each has its action in the table of rights."""


def create_app(settings: Settings) -> FastAPI:
    """The application; it starts without MongoDB and connects as soon as that is possible."""
    context = ApiContext(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Requests wait for a thread, never for each other's disks.
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        hub = app.state.hub = EventHub(context, asyncio.get_running_loop())
        hub.start()
        threads = [
            threading.Thread(target=target, args=(context,), name=name, daemon=True)
            for name, target in (("status-watch", log_status_changes), ("upkeep", look_after))
        ]
        for thread in threads:
            thread.start()
        yield
        context.stopping.set()
        for thread in threads:
            thread.join(_STOP_SECONDS)
        hub.join(_STOP_SECONDS)
        context.close()

    app = FastAPI(
        title="scientistcloud",
        version=__version__,
        lifespan=lifespan,
        root_path=settings.root_path,
        responses=RESPONSES,
    )
    app.state.context, app.state.link = context, context.link
    app.state.metrics = ApiMetrics(context.link.problem)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_credentials=True,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=list(EXPOSED_HEADERS),
        )
    app.add_middleware(Hardened)
    app.add_middleware(MeasuredApp, metrics=app.state.metrics)
    app.add_route("/metrics", answer_metrics, include_in_schema=False)
    for router in ROUTERS:
        app.include_router(router)
    add_handlers(app)
    return app


def look_after(context: ApiContext) -> None:
    """Queue quiet uploads, drop expired ones, empty the trash, until told to stop."""
    interval_seconds = min(5.0, context.settings.upload_quiet_seconds / 4)
    is_prepared = False
    while not context.stopping.wait(interval_seconds):
        try:
            if not is_prepared:
                context.intake.ledger.ensure_indexes()
                is_prepared = True
            context.intake.look_after()
            context.trash.empty()
        except DatabaseUnavailable as error:
            log.debug("Uploads cannot be looked after now", reason=error.message)
        except Exception:
            # A bug, or storage that is away: the next round may do better.
            log.exception("Uploads cannot be looked after")


def log_status_changes(context: ApiContext) -> None:
    """Connect, then log each change of a dataset's status in one line, until told to stop."""
    link, stopping = context.link, context.stopping
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
