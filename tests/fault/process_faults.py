"""Signals to the processes of a host that has attempts in progress."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from sched import scheduler

import psutil

from tests.fault.hosts import Host
from tests.fault.targets import Hit, Targets, names

Choice = Callable[[Host], list[psutil.Process]]

TERM_SECONDS = 12.0
"""A service promises to end within 10 s."""


class ProcessFaults:
    """Kills, stops and terminates; starts again what is gone.

    Parameters
    ----------
    lease_seconds : float
        Processes are stopped for longer than that.
    """

    def __init__(self, targets: Targets, agenda: scheduler, *, lease_seconds: float) -> None:
        self._fleet, self._chance = targets.fleet, targets.chance
        self._targets, self._agenda = targets, agenda
        self._lease_seconds = lease_seconds
        self._terminated: dict[int, tuple[int, float]] = {}
        self._restart_at: dict[int, float] = {}
        self.slow_ends: list[str] = []

    def kill_service(self) -> Hit:
        return self._kill(_service)

    def kill_child(self) -> Hit:
        return self._kill(_child, of_service=False)

    def kill_warm(self) -> Hit:
        return self._kill(lambda host: host.warm()[:1], of_service=False)

    def kill_both(self) -> Hit:
        return self._kill(lambda host: [*_child(host), *_service(host)])

    def kill_group(self) -> Hit:
        return self._kill(lambda host: host.family())

    def _kill(self, choose: Choice, of_service: bool = True) -> Hit:
        host, held = self._targets.host()
        chosen = choose(host) if host else []
        for process in chosen:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if not chosen:
            return []
        if of_service:
            for document in held:
                self._targets.observer.expect_recovery(document)
        return names(held)

    def stop_service(self) -> Hit:
        return self._stop(_service)

    def stop_child(self) -> Hit:
        return self._stop(_child)

    def stop_group(self) -> Hit:
        return self._stop(lambda host: host.family())

    def _stop(self, choose: Choice) -> Hit:
        host, held = self._targets.host()
        chosen = choose(host) if host else []
        for process in chosen:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        self._resume_later(chosen)
        return names(held) if chosen else []

    def terminate(self) -> Hit:
        host, held = self._targets.host()
        if host is None or host.process is None or host.number in self._terminated:
            return []
        host.process.terminate()
        self._terminated[host.number] = (host.process.pid, time.monotonic())
        return names(held)

    def resume_later(self, pids: list[int]) -> None:
        """SIGCONT to processes that stopped themselves at a step."""
        stopped = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                stopped.append(psutil.Process(pid))
        self._resume_later(stopped)

    def _resume_later(self, stopped: list[psutil.Process]) -> None:
        seconds = self._lease_seconds * self._chance.uniform(1.2, 2.2)
        self._agenda.enter(seconds, 0, _resume, (stopped,))

    def look_after(self) -> None:
        """Start services that have ended; note those that take too long to."""
        now = time.monotonic()
        for host in self._fleet.hosts:
            self._watch_end(host, now)
            if not host.is_running:
                at = self._restart_at.setdefault(host.number, now + self._chance.uniform(0.0, 1.0))
                if now >= at:
                    self._fleet.start_service(host)
                    del self._restart_at[host.number]

    def _watch_end(self, host: Host, now: float) -> None:
        pid, since = self._terminated.get(host.number, (0, now))
        if not host.is_running or (host.process is not None and host.process.pid != pid):
            self._terminated.pop(host.number, None)
        elif pid and host.is_stopped:
            self._terminated[host.number] = (pid, now)  # it cannot end before it goes on
        elif now - since > TERM_SECONDS:
            self.slow_ends.append(
                f"host {host.number} did not end {TERM_SECONDS:.0f} s after SIGTERM"
            )
            self._terminated.pop(host.number)

    @property
    def is_whole(self) -> bool:
        """Whether every service runs, and none is about to end."""
        return not self._terminated and all(host.is_running for host in self._fleet.hosts)


def _service(host: Host) -> list[psutil.Process]:
    return host.family()[:1]


def _child(host: Host) -> list[psutil.Process]:
    return host.children()[:1]


def _resume(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
