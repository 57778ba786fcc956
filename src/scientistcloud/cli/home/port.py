"""A port to listen on."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def listening_socket(wanted: int | None, default: int) -> socket.socket | None:
    """A socket that listens on loopback: on `wanted`, or on `default`, or on any free port.

    None if a port was asked for and is taken.
    """
    for port in (wanted,) if wanted is not None else (default, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen(128)
        except OSError:
            listener.close()
            continue
        return listener
    return None
