"""Ctrl-C and SIGTERM as a request to stop, so that nothing is left half done."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE_SECONDS = 3.0


class Interrupt:
    """While entered, a signal is noted; one that comes some seconds later ends the wait.

    It raises KeyboardInterrupt, for storage that hangs. A burst of signals counts as one, so that
    it does not cut the tidying up short.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._former: dict[int, Any] = {}
        self._noted_at = 0.0

    def is_set(self) -> bool:
        """Whether somebody asked to stop."""
        return self._event.is_set()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until somebody asks to stop; False if nobody did in time."""
        return self._event.wait(timeout_seconds)

    def set(self) -> None:
        """Ask to stop."""
        self._event.set()

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if not self._event.is_set():
            self._noted_at = time.monotonic()
            self._event.set()
        elif time.monotonic() - self._noted_at > _PATIENCE_SECONDS:
            raise KeyboardInterrupt
