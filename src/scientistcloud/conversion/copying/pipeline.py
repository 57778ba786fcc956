"""Tasks in threads, of which the first error stops all: `Pipeline`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from scientistcloud.errors import Stopped

_POLL_SECONDS = 0.05


class Pipeline:
    """Runs tasks in `threads` threads, or at once in the caller's where there is only one.

    The owner's thread alone calls `progress`, while it waits or `report`s; tasks may call
    `check` and `add_done`. Tasks never wait for other tasks.

    Parameters
    ----------
    threads : int
        For everything but reading.
    readers : int
        How many reading tasks may run at once.
    progress : callable
        Gets bytes newly done.
    stop : callable
        Asked often, from any thread; true means that all is to end with `Stopped`.
    """

    def __init__(
        self,
        threads: int,
        readers: int,
        progress: Callable[[int], None],
        stop: Callable[[], bool],
    ) -> None:
        self._progress = progress
        self._stop = stop
        self._changed = threading.Condition()
        self._running = 0
        self._done_bytes = 0
        self._error: BaseException | None = None
        self._pool: Executor | None = None
        self._reading: Executor | None = None
        if threads > 1:
            self._pool = self._reading = ThreadPoolExecutor(threads, "convert")
            if readers < threads:
                self._reading = ThreadPoolExecutor(readers, "read")

    def submit(self, task: Callable[..., None], *arguments: Any) -> None:
        """Run ``task(*arguments)`` soon."""
        self._start(self._pool, task, arguments)

    def submit_read(self, task: Callable[..., None], *arguments: Any) -> None:
        """The same for a task that reads from the source."""
        self._start(self._reading, task, arguments)

    def _start(
        self, pool: Executor | None, task: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        if pool is None:
            task(*arguments)
            return
        with self._changed:
            self._running += 1
        pool.submit(self._run, task, arguments)

    def _run(self, task: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        error: BaseException | None = None
        try:
            if self._error is None:
                task(*arguments)
        except BaseException as caught:
            # Kept for the owner's thread, which raises it.
            error = caught
        with self._changed:
            self._running -= 1
            self._error = self._error or error
            self._changed.notify_all()

    def check(self) -> None:
        """Raise `Stopped` where the conversion is to end, or where another task failed."""
        if self._error is not None or self._stop():
            raise Stopped

    def add_done(self, size_bytes: int) -> None:
        """Count bytes as done."""
        if self._pool is None:
            self._progress(size_bytes)
            return
        with self._changed:
            self._done_bytes += size_bytes
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` (of state that tasks change within `changing`) is true."""
        while True:
            with self._changed:
                ready = self._error is not None or condition()
                if not ready:
                    self._changed.wait(_POLL_SECONDS)
            self.report()
            if ready:
                return

    def wait_idle(self) -> None:
        """Wait until every task has ended."""
        self.wait_for(lambda: self._running == 0)

    def report(self) -> None:
        """Hand on progress; raise what a task raised, or `Stopped`."""
        if self._error is not None:
            raise self._error
        if self._stop():
            raise Stopped
        with self._changed:
            done, self._done_bytes = self._done_bytes, 0
        if done:
            self._progress(done)

    @property
    def changing(self) -> threading.Condition:
        """Held while state that `wait_for` looks at is changed; notify through it."""
        return self._changed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._error is None:
            # Tasks that have not begun are left out.
            self._error = error
        for pool in (self._reading, self._pool):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=error is not None)
