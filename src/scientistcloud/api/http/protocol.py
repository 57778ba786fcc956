"""HTTP as uvicorn has it, but a request that is refused before it is read still gets its answer."""

from __future__ import annotations

from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_HEAD_BYTES = 64 << 10
_MOST_PASSED_OVER_BYTES = 16 << 20
_LINGER_SECONDS = 5.0


class Protocol(H11Protocol):
    """Passes over what is still being sent after a refusal, within limits, before it closes.

    To close at once would reset the connection: the sender would never see the answer, and
    OpenVisus' client asks for ever where it gets none.
    """

    _passed_over_bytes: int | None = None

    def data_received(self, data: bytes) -> None:
        """Bytes came; after a refusal they mean nothing any more."""
        if self._passed_over_bytes is None:
            super().data_received(data)
            return
        self._passed_over_bytes += len(data)
        if self._passed_over_bytes > _MOST_PASSED_OVER_BYTES:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse: 431 where line and headers are too long, 400 where they are no HTTP."""
        too_long = len(self.conn.trailing_data[0]) > MOST_HEAD_BYTES
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if too_long else HTTPStatus.BAD_REQUEST
        text = "The request's line and headers are too long." if too_long else msg
        body = text.encode("ascii")
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        events = (
            h11.Response(status_code=status, headers=headers, reason=status.phrase),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self._linger()

    def _linger(self) -> None:
        self._passed_over_bytes = 0
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)
