"""What the injector does to a fleet. Each action tells which datasets were in progress there."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil

from tests.fault.feeder import Feeder
from tests.fault.fleet import CONVERTING, Fleet, lease_of
from tests.fault.hosts import Host
from tests.fault.observer import Observer

GARBAGE: tuple[Any, ...] = (
    None,
    "text",
    7,
    [],
    {"lease": 3},
    {"lease": {"token": 1, "expires_at": "soon"}},
    {"waiting": "x", "queued_at": "never", "attempts": "many"},
    {"request": [], "history": 5, "lost": -1, "delays": {}},
)
Hit = list[str]
Choice = Callable[[list[psutil.Process]], list[psutil.Process]]


class Actions:
    """Every action of a run; `later` is carried out by `tick`, as the end of a long fault.

    Parameters
    ----------
    lease_seconds : float
        Long faults last up to a few of it, so that claims are lost by some and kept by others.
    """

    def __init__(
        self,
        fleet: Fleet,
        feeder: Feeder,
        observer: Observer,
        chance: random.Random,
        *,
        lease_seconds: float,
    ) -> None:
        self._fleet, self._feeder, self._observer = fleet, feeder, observer
        self._chance = chance
        self._lease_seconds = lease_seconds
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._cut: set[int] = set()
        self._terminated: dict[int, tuple[int, float]] = {}
        self._restart_at: dict[int, float] = {}
        self._outage: threading.Thread | None = None
        self._ballast = fleet.shared / ".ballast"
        self.slow_ends: list[str] = []

    # Killing and stopping.

    def kill_service(self) -> Hit:
        return self._kill(lambda family: family[:1])

    def kill_child(self) -> Hit:
        return self._kill(lambda family: family[2:3], of_service=False)

    def kill_warm(self) -> Hit:
        return self._kill(lambda family: family[1:2], of_service=False)

    def kill_both(self) -> Hit:
        return self._kill(lambda family: [*family[2:3], *family[:1]])

    def kill_group(self) -> Hit:
        return self._kill(lambda family: family)

    def _kill(
        self,
        choose: Choice,
        of_service: bool = True,
    ) -> Hit:
        host, held = self._busy_host()
        if host is None:
            return []
        family = host.family()
        chosen = choose(family)
        if len(family) < 3 or not chosen:
            return []
        for process in chosen:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if of_service:
            for document in held:
                self._observer.expect_recovery(document)
        return [document["_id"] for document in held]

    def stop_service(self) -> Hit:
        return self._stop(lambda family: family[:1])

    def stop_child(self) -> Hit:
        return self._stop(lambda family: family[2:3])

    def stop_group(self) -> Hit:
        return self._stop(lambda family: family)

    def _stop(self, choose: Choice) -> Hit:
        host, held = self._busy_host()
        chosen = choose(host.family()) if host else []
        for process in chosen:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        self._in_some_leases(lambda: _resume(chosen), least=1.2)
        return [document["_id"] for document in held] if chosen else []

    def terminate(self) -> Hit:
        host, held = self._busy_host()
        if host is None or host.process is None or host.number in self._terminated:
            return []
        host.process.terminate()
        self._terminated[host.number] = (host.process.pid, time.monotonic())
        return [document["_id"] for document in held]

    # Database, network and disk.

    def kill_mongod(self) -> Hit:
        held = self._in_progress()
        if self._outage is not None or not held:
            return []
        self._fleet.server.kill()
        seconds = self._chance.uniform(0.1, 1.2 * self._lease_seconds)

        def bring_back() -> None:
            time.sleep(seconds)
            self._fleet.server.start()

        self._outage = threading.Thread(target=bring_back, name="outage")
        self._outage.start()
        return [document["_id"] for document in held]

    def step_down(self) -> Hit:
        held = self._in_progress()
        if held:
            self._fleet.server.step_down()
        return [document["_id"] for document in held]

    def cut_network(self) -> Hit:
        host, held = self._busy_host()
        if host is None or host.number in self._cut:
            return []
        host.cut()
        self._cut.add(host.number)

        def mend() -> None:
            host.mend()
            self._cut.discard(host.number)

        self._in_some_leases(mend, least=0.3)
        return [document["_id"] for document in held]

    def fill_disk(self) -> Hit:
        held = self._in_progress()
        if self._ballast.exists() or not held:
            return []
        status = os.statvfs(self._fleet.shared)
        with suppress(OSError), self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize)
        seconds = self._chance.uniform(0.2, 1.5)
        self._do_later(seconds, lambda: self._ballast.unlink(missing_ok=True))
        return [document["_id"] for document in held]

    # Documents and inputs.

    def cancel(self) -> Hit:
        return self._edit({"$set": {"status": "cancelled"}})

    def garbage(self) -> Hit:
        return self._edit({"$set": {"conversion": self._chance.choice(GARBAGE)}})

    def requeue(self) -> Hit:
        """The source changes, and somebody presses the button while it is being converted."""
        held = self._pick()
        return [held["_id"]] if held and self._feeder.ask(held["_id"]) else []

    def edit_input(self) -> Hit:
        """The source changes in mid-conversion, by a new file or in the old one; nobody asks."""
        held = self._pick()
        change = self._chance.choice([self._feeder.change, self._feeder.overwrite])
        if held is None or not change(held["_id"]):
            return []
        now = lease_of(self._feeder.document(held["_id"])).get("token")
        return [held["_id"]] if now == lease_of(held)["token"] else []

    def delete(self) -> Hit:
        held = self._pick()
        if held is None:
            return []
        self._fleet.note(uuid=held["_id"], fault="delete")
        gone = self._fleet.datasets.delete_one(_claimed(held))
        return [held["_id"]] if gone.deleted_count else []

    def _edit(self, update: dict[str, Any]) -> Hit:
        held = self._pick()
        if held is None:
            return []
        matched = self._fleet.datasets.update_one(_claimed(held), update).matched_count
        return [held["_id"]] if matched else []

    # What goes on by itself.

    def tick(self) -> None:
        """End long faults that are over, and start services that have ended."""
        now = time.monotonic()
        due = [end for at, end in self._later if at <= now]
        self._later = [(at, end) for at, end in self._later if at > now]
        for end in due:
            end()
        if self._outage is not None and not self._outage.is_alive():
            self._outage = None
        for host in self._fleet.hosts:
            self._look_after(host, now)

    def _look_after(self, host: Host, now: float) -> None:
        pid, since = self._terminated.get(host.number, (0, now))
        if not host.is_running or (host.process is not None and host.process.pid != pid):
            self._terminated.pop(host.number, None)
        elif pid and host.is_stopped:
            self._terminated[host.number] = (pid, now)  # it cannot end before it goes on
        elif now - since > 12.0:
            self.slow_ends.append(f"host {host.number} did not end 12 s after SIGTERM")
            self._terminated.pop(host.number)
        if host.is_running:
            return
        at = self._restart_at.setdefault(host.number, now + self._chance.uniform(0.0, 1.0))
        if now >= at:
            self._fleet.start_service(host)
            del self._restart_at[host.number]

    def heal(self) -> None:
        """End every fault now and have every service running."""
        while self._later or self._outage is not None:
            self._later = [(0.0, end) for _, end in self._later]
            self.tick()
            time.sleep(0.05)
        while not all(host.is_running for host in self._fleet.hosts):
            self.tick()
            time.sleep(0.05)

    @property
    def is_database_away(self) -> bool:
        return self._outage is not None

    def resume_later(self, pids: list[int]) -> None:
        """SIGCONT to processes that stopped themselves at a step."""
        stopped = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                stopped.append(psutil.Process(pid))
        self._in_some_leases(lambda: _resume(stopped), least=1.2)

    def held_by(self, pids: list[int]) -> list[dict[str, Any]]:
        """Documents that a service with one of these numbers holds."""
        owner = re.compile("|".join(f"_{pid}_" for pid in pids) or "^$")
        query = {"status": CONVERTING, "conversion.lease.owner": owner}
        return list(self._fleet.datasets.find(query))

    def _in_some_leases(self, end: Callable[[], None], *, least: float) -> None:
        self._do_later(self._lease_seconds * self._chance.uniform(least, least + 1.0), end)

    def _do_later(self, seconds: float, end: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, end))

    def _in_progress(self) -> list[dict[str, Any]]:
        """Documents whose owners are at work."""
        found = self._fleet.datasets.find({"status": CONVERTING})
        return [document for document in found if self._fleet.host_of(document) is not None]

    def _pick(self) -> dict[str, Any] | None:
        held = [document for document in self._in_progress() if "token" in lease_of(document)]
        return self._chance.choice(held) if held else None

    def _busy_host(self) -> tuple[Host | None, list[dict[str, Any]]]:
        """A host that runs attempts, and the documents that it holds."""
        held = [(self._fleet.host_of(document), document) for document in self._in_progress()]
        hosts = sorted({host.number for host, _ in held if host is not None})
        if not hosts:
            return None, []
        chosen = self._fleet.hosts[self._chance.choice(hosts)]
        return chosen, [document for host, document in held if host is chosen]


def _claimed(held: dict[str, Any]) -> dict[str, Any]:
    token = lease_of(held)["token"]
    return {"_id": held["_id"], "status": CONVERTING, "conversion.lease.token": token}


def _resume(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
