"""Large answers on their way: bounded together, and given up where nobody takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

_LARGE_BYTES = 1 << 20
_PART_BYTES = 1 << 20
_STALL_SECONDS = 60.0


class Outbox:
    """Counts the bytes of large answers that clients have not taken yet. For the event loop alone.

    Parameters
    ----------
    limit_bytes : int
        Of all of them; one alone may be larger.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.held_bytes = 0

    def admit(self, size_bytes: int, *, may_refuse: bool) -> bool:
        """Whether there is room, or it must be found; it is taken then."""
        if may_refuse and self.held_bytes and self.held_bytes + size_bytes > self._limit_bytes:
            return False
        self.held_bytes += size_bytes
        return True

    def release(self, size_bytes: int) -> None:
        """It was sent, or given up."""
        self.held_bytes -= size_bytes


class BoundedResponse(Response):
    """A response that is sent in parts, as fast as the client takes them.

    One that takes less than a part a minute is cut off. Large ones that may be refused are (503)
    where slow clients hold all the room.
    """

    def __init__(
        self,
        body: bytes,
        status: int,
        headers: Mapping[str, str],
        media_type: str,
        *,
        may_refuse: bool,
    ) -> None:
        super().__init__(body, status, headers, media_type)
        self._may_refuse = may_refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size_bytes = len(self.body)
        if size_bytes <= _LARGE_BYTES:
            await super().__call__(scope, receive, send)
            return
        outbox: Outbox = scope["app"].state.context.outbox
        if not outbox.admit(size_bytes, may_refuse=self._may_refuse):
            await _busy()(scope, receive, send)
            return
        try:
            await self._send_in_parts(send)
        except TimeoutError:
            # To return before the end makes the server close the connection.
            return
        finally:
            outbox.release(size_bytes)

    async def _send_in_parts(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send(start | {"headers": self.raw_headers})
        body = memoryview(self.body)
        for place in range(0, len(body), _PART_BYTES):
            part = bytes(body[place : place + _PART_BYTES])
            more = place + _PART_BYTES < len(body)
            async with asyncio.timeout(_STALL_SECONDS):
                await send({"type": "http.response.body", "body": part, "more_body": more})


def _busy() -> JSONResponse:
    body = {
        "status": 503,
        "code": "Busy",
        "detail": "Other clients have not taken their answers yet, and there is no more room.",
        "remedy": "Ask again in a moment, or for a smaller box.",
    }
    headers = {"retry-after": "10"}
    return JSONResponse(body, 503, headers, media_type="application/problem+json")
