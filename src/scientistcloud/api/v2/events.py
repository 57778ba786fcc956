"""``/api/v2/events``: what becomes of datasets, live (server-sent events)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from scientistcloud.access.action import Action
from scientistcloud.access.caller import Caller
from scientistcloud.access.rights import decide
from scientistcloud.api.callers import caller_of
from scientistcloud.api.hub import Event, EventHub, Listener
from scientistcloud.api.rights import Granted, allowed, permitted
from scientistcloud.errors import ConversionError
from scientistcloud.refusals import Refusal

router = APIRouter(prefix="/api/v2", tags=["events"])

_BEAT_SECONDS = 15.0
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
LastId = Annotated[str, Header(alias="last-event-id", max_length=400)]


@router.get("/events", response_class=Response)
async def all_events(
    request: Request,
    granted: Annotated[Granted, permitted(Action.ANYTHING)],
    last_event_id: LastId = "",
) -> StreamingResponse:
    """Changes of all datasets that the caller may see; `Last-Event-ID` goes on without a gap."""
    return _respond(request, granted.caller, "", last_event_id)


@router.get("/datasets/{uuid}/events", response_class=Response)
async def dataset_events(
    request: Request,
    uuid: str,
    granted: Annotated[Granted, allowed(Action.SEE)],
    last_event_id: LastId = "",
) -> StreamingResponse:
    """Changes of one dataset."""
    return _respond(request, granted.caller, granted.uuid, last_event_id)


def _respond(request: Request, caller: Caller, uuid: str, last_id: str) -> StreamingResponse:
    stream = _follow(request, caller, uuid, last_id)
    return StreamingResponse(stream, media_type="text/event-stream", headers=_HEADERS)


async def _follow(
    request: Request, caller: Caller, uuid: str, last_id: str
) -> AsyncIterator[bytes]:
    hub: EventHub = request.app.state.hub
    listener, missed = hub.listen(last_id)
    try:
        yield b"retry: 2000\n\n"
        if missed is None:
            missed = await run_in_threadpool(hub.missed, last_id)
        if missed is None:
            yield b"event: reset\ndata: {}\n\n"  # read everything anew: too much was missed
        seen = {event.id for event in missed or []}
        for former in missed or []:
            if text := _text(former, caller, uuid):
                yield text
        async for event in _events(listener, request):
            if event is None:
                caller = await run_in_threadpool(_still, request)
                yield b": \n\n"
            elif event.id not in seen and (text := _text(event, caller, uuid)):
                yield text
    except (Refusal, ConversionError):
        return  # the right has ended, or nobody can tell
    finally:
        hub.leave(listener)


async def _events(listener: Listener, request: Request) -> AsyncIterator[Event | None]:
    """Events as they come; None at intervals, to look whether all is as it was."""
    stopping = request.app.state.context.stopping
    loop = asyncio.get_running_loop()
    beat_at = loop.time() + _BEAT_SECONDS
    while not listener.is_late and not stopping.is_set():
        try:
            wait_seconds = min(1.0, max(0.0, beat_at - loop.time()))
            yield await asyncio.wait_for(listener.queue.get(), wait_seconds)
        except TimeoutError:
            if loop.time() >= beat_at:
                yield None
                beat_at = loop.time() + _BEAT_SECONDS


def _still(request: Request) -> Caller:
    """Who the caller is by now: tokens end, links are revoked."""
    del request.state.caller
    return caller_of(request)


def _text(event: Event, caller: Caller, uuid: str) -> bytes:
    if uuid and event.document.get("uuid") != uuid:
        return b""
    if not decide(caller, Action.SEE, event.document).is_allowed:
        return b""
    data = json.dumps(event.data, ensure_ascii=False, default=str)
    return f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n".encode()
