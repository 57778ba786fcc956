"""What goes wrong with a host's disk, clock and network."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from sched import scheduler

from tests.fault.hosts import Host
from tests.fault.targets import Hit, Targets, names

SKEW_SECONDS = 600.0


class HostFaults:
    """The shared disk full for all; slow, or hanging, for one; one host's clock and network."""

    def __init__(
        self,
        targets: Targets,
        agenda: scheduler,
        *,
        lease_seconds: float,
        usual_delay_seconds: float,
    ) -> None:
        self._fleet, self._chance = targets.fleet, targets.chance
        self._targets, self._agenda = targets, agenda
        self._lease_seconds = lease_seconds
        self._usual_delay_seconds = usual_delay_seconds
        self._ballast = self._fleet.shared / ".ballast"

    def begin(self) -> None:
        """Let every host have a clock of its own, and storage that is as slow as it usually is."""
        for host in self._fleet.hosts:
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
        self._agenda.enter(seconds, 0, lambda: self._ballast.unlink(missing_ok=True))
        return names(held)

    def slow_disk(self) -> Hit:
        """Each call to the storage takes 20 to 200 ms, for some leases."""
        return self._for_leases(
            (1.2, 2.2),
            "slow disk",
            lambda host: host.shim.delay(self._chance.uniform(0.02, 0.2)),
            lambda host: host.shim.delay(self._usual_delay_seconds),
        )

    def hang_disk(self) -> Hit:
        """Every call to the storage waits until longer than a lease is over."""
        return self._for_leases(
            (1.2, 2.2),
            "hanging disk",
            lambda host: host.shim.hang(True),
            lambda host: host.shim.hang(False),
        )

    def cut_network(self) -> Hit:
        return self._for_leases((0.3, 1.5), "cut", Host.cut, Host.mend)

    def _for_leases(
        self,
        leases: tuple[float, float],
        fault: str,
        begin: Callable[[Host], None],
        end: Callable[[Host], None],
    ) -> Hit:
        """Let a host have a fault for so many leases, unless it has that one already."""
        host, held = self._targets.host()
        if host is None or not self._targets.afflict(host, fault):
            return []
        begin(host)

        def mend() -> None:
            end(host)
            self._targets.relieve(host, fault)

        self._agenda.enter(self._lease_seconds * self._chance.uniform(*leases), 0, mend)
        return names(held)

    def set_clock(self) -> Hit:
        """The host's time of day jumps, up to 20 minutes, while it has attempts in progress."""
        host, held = self._targets.host()
        if host is not None:
            host.shim.set_clock(self._skew())
        return names(held)

    def _skew(self) -> float:
        return self._chance.uniform(-SKEW_SECONDS, SKEW_SECONDS)
