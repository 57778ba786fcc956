"""The only way from a service to MongoDB, which may be shut and opened again."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress

_BYTES = 1 << 16
_LOOK_SECONDS = 0.1


class Gate:
    """Passes connections on to a port of this host while it is open.

    Shut, it closes what is connected and, with `hang`, leaves new connections without an answer;
    otherwise it closes them at once.
    """

    def __init__(self, port: int, *, hang: bool = False) -> None:
        self._to = port
        self._hang = hang
        self._open = threading.Event()
        self._open.set()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_LOOK_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def shut(self) -> None:
        self._open.clear()
        self._drop_all()

    def open(self) -> None:
        """Pass on what connects from now on; whoever was left without an answer tries again."""
        self._drop_all()
        self._open.set()

    def close(self) -> None:
        self._ended.set()
        self._listener.close()
        self._drop_all()

    def _drop_all(self) -> None:
        with self._lock:
            dropped, self._connections = self._connections, set()
        for connection in dropped:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError, OSError):
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, suppress(OSError):
            if not self._open.is_set():
                self._leave_waiting(near)
                return
            with socket.create_connection(("127.0.0.1", self._to)) as far:
                self._pass_on(near, far)

    def _leave_waiting(self, near: socket.socket) -> None:
        if not self._hang:
            return
        with self._lock:
            self._connections.add(near)
        while near.recv(_BYTES):
            pass

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with self._lock:
            self._connections |= {near, far}
        other = {near: far, far: near}
        with selectors.DefaultSelector() as ready:
            for each in other:
                ready.register(each, selectors.EVENT_READ)
            while self._open.is_set():
                for key, _ in ready.select():
                    source = near if key.fileobj is near else far
                    data = source.recv(_BYTES)
                    if not data:
                        return
                    other[source].sendall(data)
