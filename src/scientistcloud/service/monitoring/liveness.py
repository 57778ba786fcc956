"""Whether the threads of the service still go round."""

from __future__ import annotations

import time
from collections.abc import Callable


class Liveness:
    """When each thread was last seen to go round; from any thread.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen_at: dict[str, float] = {}

    def beat(self, name: str) -> None:
        """The thread `name` goes round."""
        self._seen_at[name] = self._clock()

    def ages_seconds(self) -> dict[str, float]:
        """How long ago each thread that ever did went round."""
        now = self._clock()
        return {name: max(0.0, now - at) for name, at in dict(self._seen_at).items()}
