"""Messages between the service, its warm process and its children: JSON over a socket pair."""

from __future__ import annotations

import json
import socket
from typing import Any

Message = dict[str, Any]
_MAX_BYTES = 128 * 1024


class ChannelClosed(Exception):
    """The other end is gone."""


class Channel:
    """One end of a connection that keeps messages whole (``SOCK_SEQPACKET``).

    A message is a JSON object of at most 128 KiB and may carry one file descriptor, which then
    belongs to the receiver.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(near), cls(far)

    @classmethod
    def of_descriptor(cls, descriptor: int) -> Channel:
        """The end that another process handed over; it is owned from here on."""
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        return self._connection.fileno()

    def send(self, message: Message, descriptor: int | None = None) -> None:
        """Send one message, with a copy of `descriptor`.

        Raises
        ------
        ChannelClosed
        """
        data = json.dumps(message).encode()
        if len(data) > _MAX_BYTES:
            raise ValueError(f"a message of {len(data)} bytes is too long")
        try:
            if descriptor is None:
                self._connection.sendall(data)
            else:
                socket.send_fds(self._connection, [data], [descriptor])
        except OSError as error:
            raise ChannelClosed(str(error)) from error

    def receive(self) -> tuple[Message, int | None]:
        """Wait for one message; returns it and the descriptor that came with it.

        Raises
        ------
        ChannelClosed
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self._connection, _MAX_BYTES, 1)
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        if not data:
            raise ChannelClosed("end of file")
        return json.loads(data), descriptors[0] if descriptors else None

    def shut_down(self) -> None:
        """Tell both ends that there is no more to come; safe while another thread receives."""
        self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()
