"""What a service knows of itself at one moment, and what health and readiness make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scientistcloud.datasets.reports.gauges import QueueGauges

THREAD_LIMITS_SECONDS: Mapping[str, float] = {"dispatcher": 120.0, "heartbeat": 60.0}
"""How long each thread that nothing may hold up can be silent; MongoDB away is part of it.

The dispatcher sleeps for up to 30 s, and every statement ends within 5 s.
"""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """Made from memory and ``/proc`` alone.

    Attributes
    ----------
    paused : Mapping
        Code -> sentence: why nothing is claimed.
    faults : Mapping
        Code -> sentence: what is wrong with this installation.
    queue : QueueGauges or None
        As last seen, `queue_age_seconds` ago.
    """

    slots: int = 0
    database_up: bool = False
    database_problem: str | None = None
    warm: bool = False
    stopping: bool = False
    storage_problem: str | None = None
    storage_seen: bool = False
    storage_free_bytes: int | None = None
    paused: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    thread_ages_seconds: dict[str, float] = field(default_factory=dict)
    children: int = 0
    children_memory_bytes: int = 0
    queue: QueueGauges | None = None
    queue_age_seconds: float = 0.0

    def not_alive(self) -> dict[str, str]:
        """What shows that this process will not recover by itself: restart it."""
        return {
            thread: f"It has not gone round for {age_seconds:.0f} s."
            for thread, age_seconds in self.thread_ages_seconds.items()
            if age_seconds > THREAD_LIMITS_SECONDS.get(thread, float("inf"))
        }

    def not_ready(self) -> dict[str, str]:
        """What keeps this service from converting anything now."""
        found = dict(self.paused)
        if not self.database_up:
            found["mongodb"] = self.database_problem or "MongoDB does not answer."
        if self.storage_problem:
            found["storage"] = self.storage_problem
        elif not self.storage_seen:
            found["storage"] = "The storage has not been looked at yet."
        if not self.warm:
            found["warm process"] = "The process that starts conversions is not there."
        if self.stopping:
            found["stopping"] = "The service is about to end."
        return found
