"""What goes wrong with a host's disk and clock."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress

from tests.fault.agenda import Agenda
from tests.fault.fleet import Fleet
from tests.fault.targets import Document, Targets

Hit = list[str]
SKEW_SECONDS = 600.0


class HostFaults:
    """The shared disk full for all; slow, or hanging, for one; and the clock of one host."""

    def __init__(
        self,
        fleet: Fleet,
        targets: Targets,
        agenda: Agenda,
        chance: random.Random,
        *,
        lease_seconds: float,
        usual_delay_seconds: float,
    ) -> None:
        self._fleet, self._targets = fleet, targets
        self._agenda, self._chance = agenda, chance
        self._lease_seconds = lease_seconds
        self._usual_delay_seconds = usual_delay_seconds
        self._ballast = fleet.shared / ".ballast"

    def begin(self) -> None:
        """Let every host have a clock of its own, and storage that is as slow as it usually is."""
        for host in self._fleet.hosts:
            if host.shim is not None:
                host.shim.set_clock(self._skew())
                host.shim.delay(self._usual_delay_seconds)

    def fill_disk(self) -> Hit:
        held = self._targets.in_progress()
        if self._ballast.exists() or not held:
            return []
        status = os.statvfs(self._fleet.shared)
        with suppress(OSError), self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize)
        seconds = self._chance.uniform(0.2, 1.5)
        self._agenda.do_later(seconds, lambda: self._ballast.unlink(missing_ok=True))
        return _names(held)

    def slow_disk(self) -> Hit:
        """Each call to the storage takes 20 to 200 ms, for some leases."""
        host, held = self._targets.host()
        if host is None or host.shim is None or not self._targets.afflict(host, "slow disk"):
            return []
        shim = host.shim
        shim.delay(self._chance.uniform(0.02, 0.2))

        def mend() -> None:
            shim.delay(self._usual_delay_seconds)
            self._targets.relieve(host, "slow disk")

        self._in_some_leases(mend)
        return _names(held)

    def hang_disk(self) -> Hit:
        """Every call to the storage waits until longer than a lease is over."""
        host, held = self._targets.host()
        if host is None or host.shim is None or not self._targets.afflict(host, "hanging disk"):
            return []
        shim = host.shim
        shim.hang(True)

        def mend() -> None:
            shim.hang(False)
            self._targets.relieve(host, "hanging disk")

        self._in_some_leases(mend)
        return _names(held)

    def set_clock(self) -> Hit:
        """The host's time of day jumps, up to 20 minutes, while it has attempts in progress."""
        host, held = self._targets.host()
        if host is None or host.shim is None:
            return []
        host.shim.set_clock(self._skew())
        return _names(held)

    def _skew(self) -> float:
        return self._chance.uniform(-SKEW_SECONDS, SKEW_SECONDS)

    def _in_some_leases(self, mend: Callable[[], None]) -> None:
        self._agenda.do_later(self._lease_seconds * self._chance.uniform(1.2, 2.2), mend)


def _names(held: list[Document]) -> Hit:
    return [document["_id"] for document in held]
