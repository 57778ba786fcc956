"""Bodies of requests, piece by piece: memory bounded, the loop never blocked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

PIECE_BYTES = 1 << 20
IDLE_SECONDS = 60.0


class Interrupted(Exception):
    """The sender went away, or sent nothing for too long."""


async def pieces(request: Request, idle_seconds: float = IDLE_SECONDS) -> AsyncIterator[bytes]:
    """The body in pieces of about a MiB.

    What has come before the sender went away is given out first; then `Interrupted` is raised.
    """
    held: list[bytes] = []
    size = 0
    stream = request.stream().__aiter__()
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream), idle_seconds)
        except StopAsyncIteration:
            break
        except (ClientDisconnect, TimeoutError):
            if held:
                yield b"".join(held)
            raise Interrupted from None
        held.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


async def pour(request: Request, write: Callable[[bytes], None]) -> bool:
    """Give the body to `write`, called in a thread; whether all of it has come."""
    try:
        async for piece in pieces(request):
            await run_in_threadpool(write, piece)
    except Interrupted:
        return False
    return True
