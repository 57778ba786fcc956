"""How much memory all who cut boxes at one time may take: `Turns`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Lets threads wait until the samples that they are to hold fit beside those of others.

    Nobody holds a turn while a client is waited for, so that each of them ends.

    Parameters
    ----------
    limit_bytes : int
        Of samples that all turns hold together; one alone may hold more.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._changed = threading.Condition()
        self._own = threading.local()

    @property
    def held_bytes(self) -> int:
        return self._held_bytes

    @contextmanager
    def turn(self) -> Iterator[None]:
        """What this thread takes inside is given back at the end."""
        self._own.bytes = 0
        try:
            yield
        finally:
            taken, self._own.bytes = self._own.bytes, None
            with self._changed:
                self._held_bytes -= taken
                self._changed.notify_all()

    def take(self, size_bytes: int) -> None:
        """Wait for room; only before the first samples of a turn, lest two wait for each other."""
        own = getattr(self._own, "bytes", None)
        if own is None:
            return
        with self._changed:
            if own == 0:
                self._changed.wait_for(lambda: self._fits(size_bytes))
            self._held_bytes += size_bytes
        self._own.bytes = own + size_bytes

    def _fits(self, size_bytes: int) -> bool:
        return self._held_bytes == 0 or self._held_bytes + size_bytes <= self._limit_bytes
