"""What MongoDB does to the services: its death and its elections."""

from __future__ import annotations

import threading
import time

from tests.fault.targets import Hit, Targets, names

ELECTION_SECONDS = 2.0
WORK_SECONDS = 2.0
"""Between two outages: some work is to be done as well."""


class OutageFaults:
    """Lasts up to a bit more than a lease, so that claims are lost by some and kept by others."""

    def __init__(self, targets: Targets, *, lease_seconds: float) -> None:
        self._targets, self._server = targets, targets.fleet.server
        self._lease_seconds = lease_seconds
        self._outage: threading.Thread | None = None
        self._outages: list[tuple[float, float]] = []

    def kill_mongod(self) -> Hit:
        held = self._held_if_well()
        if not held:
            return []
        began = time.monotonic()
        self._outages.append((began, float("inf")))
        self._server.kill()
        seconds = self._targets.chance.uniform(0.1, 1.2 * self._lease_seconds)

        def bring_back() -> None:
            time.sleep(seconds)
            self._server.start()

        self._targets.is_database_away = True
        self._outage = threading.Thread(target=bring_back, name="outage")
        self._outage.start()
        return held

    def step_down(self) -> Hit:
        held = self._held_if_well()
        if held:
            now = time.monotonic()
            self._outages.append((now, now + ELECTION_SECONDS))
            self._server.step_down()
        return held

    def _held_if_well(self) -> Hit:
        """What is in progress; nothing where MongoDB has been back for a moment only."""
        if self._outages and time.monotonic() < self._outages[-1][1] + WORK_SECONDS:
            return []
        return names(self._targets.in_progress())

    def look_after(self) -> None:
        """Notice that MongoDB is back."""
        if self._outage is not None and not self._outage.is_alive():
            self._outage = None
            self._outages[-1] = (self._outages[-1][0], time.monotonic())
            self._targets.is_database_away = False

    def wait_for_the_end(self) -> None:
        if self._outage is not None:
            self._outage.join()
        self.look_after()

    def seconds_away_since(self, moment: float) -> float:
        """How long MongoDB has been away, or without a primary, since then."""
        now = time.monotonic()
        spans = [(max(began, moment), min(ended, now)) for began, ended in self._outages]
        return sum(max(0.0, ended - began) for began, ended in spans)
