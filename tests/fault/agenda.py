"""What ends later: the end of a long fault, the start of a service that is gone."""

from __future__ import annotations

import time
from collections.abc import Callable


class Agenda:
    """Things to do at a time of their own; `tick` does those that are due."""

    def __init__(self) -> None:
        self._later: list[tuple[float, Callable[[], None]]] = []

    def do_later(self, seconds: float, what: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, what))

    def tick(self) -> None:
        now = time.monotonic()
        due = [what for at, what in self._later if at <= now]
        self._later = [(at, what) for at, what in self._later if at > now]
        for what in due:
            what()

    def finish(self) -> None:
        """Do all of it now, and what that brings about."""
        while self._later:
            self._later = [(0.0, what) for _, what in self._later]
            self.tick()
