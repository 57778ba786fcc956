"""Whom a fault may hit: datasets in progress, and the hosts that have them in hand."""

from __future__ import annotations

import random
import re
import time
from typing import Any

from tests.fault.fleet import CONVERTING, Fleet, lease_of
from tests.fault.hosts import Host
from tests.fault.observer import Observer

Document = dict[str, Any]
Hit = list[str]
"""The datasets that a fault hit."""

YOUNG_SECONDS = 1.0


class Targets:
    """Chooses among what is in progress.

    Attributes
    ----------
    is_database_away : bool
        Meanwhile what was last seen of the documents counts, where the host still has a child.
    """

    def __init__(self, fleet: Fleet, observer: Observer, chance: random.Random) -> None:
        self.fleet = fleet
        self.observer = observer
        self.chance = chance
        self._afflicted: dict[int, set[str]] = {}
        self.is_database_away = False

    def in_progress(self) -> list[Document]:
        """Documents whose owners are at work."""
        if self.is_database_away:
            seen = [each for each in self.observer.latest if each.get("status") == CONVERTING]
        else:
            seen = list(self.fleet.datasets.find({"status": CONVERTING}))
        hosts = [self.fleet.host_of(document) for document in seen]
        at_work = {host.number for host in hosts if host is not None and host.children()}
        return [
            document
            for document, host in zip(seen, hosts, strict=True)
            if host is not None and host.number in at_work
        ]

    def document(self) -> Document | None:
        """One that is in progress, with a lease."""
        held = [document for document in self.in_progress() if "token" in lease_of(document)]
        return self.chance.choice(held) if held else None

    def host(self) -> tuple[Host | None, list[Document]]:
        """A host that runs attempts, and the documents that it holds."""
        held = [(self.fleet.host_of(document), document) for document in self.in_progress()]
        hosts = sorted({host.number for host, _ in held if host is not None})
        if not hosts:
            return None, []
        chosen = self.fleet.hosts[self.chance.choice(hosts)]
        return chosen, [document for host, document in held if host is chosen]

    def held_by(self, pids: list[int]) -> list[Document]:
        """Documents that a service with one of these numbers holds."""
        owner = re.compile("|".join(f"_{pid}_" for pid in pids) or "^$")
        query = {"status": CONVERTING, "conversion.lease.owner": owner}
        return list(self.fleet.datasets.find(query))

    def afflict(self, host: Host, fault: str) -> bool:
        """Note a long fault of a host; False where it has that one already."""
        faults = self._afflicted.setdefault(host.number, set())
        if fault in faults:
            return False
        faults.add(fault)
        return True

    def relieve(self, host: Host, fault: str) -> None:
        self._afflicted.get(host.number, set()).discard(fault)

    @property
    def hosts_out(self) -> int:
        """How many hosts get no work done now."""
        now = time.monotonic()
        return sum(
            1
            for host in self.fleet.hosts
            if self._afflicted.get(host.number)
            or not host.is_running
            or host.is_stopped
            or now - host.started_at < YOUNG_SECONDS
        )


def names(held: list[Document]) -> Hit:
    return [document["_id"] for document in held]
