"""Every fault of a run, by name, and what goes on by itself meanwhile."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from sched import scheduler
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from tests.fault.edits import Edits
from tests.fault.feeder import Feeder
from tests.fault.fleet import Fleet
from tests.fault.host_faults import HostFaults
from tests.fault.observer import Observer
from tests.fault.outage_faults import OutageFaults
from tests.fault.process_faults import ProcessFaults
from tests.fault.step_faults import StepFaults, split
from tests.fault.targets import Hit, Targets

AT_COMMIT = "at a step from the last renewal to complete"
BEFORE_COMMIT = "at another step"
OF_SHIM = ("slow disk", "disk hangs past the lease", "clock jumps by minutes")
WITH_DATABASE = {
    "SIGKILL mongod and restart",
    "mongod steps down",
    "cancel",
    "requeue with a changed source",
    "delete the document",
    "garbage in `conversion`",
    "edit the input",
}
"""What needs MongoDB."""

OF_HOSTS = {
    "SIGKILL service",
    "SIGKILL service and child",
    "SIGKILL whole group",
    "SIGSTOP service past its lease",
    "SIGSTOP whole group past its lease",
    "SIGTERM service",
    "cut the network (drop)",
    "slow disk",
    "disk hangs past the lease",
    AT_COMMIT,
    BEFORE_COMMIT,
}
"""After which a host may do no work for some time."""

Act = Callable[[], Hit]


class Faults:
    """All that can be injected into a fleet."""

    def __init__(self, ships: Fleet, options: argparse.Namespace, chance: random.Random) -> None:
        self._fleet, self._options, self._chance = ships, options, chance
        self.feeder = Feeder(ships, options.datasets, chance)
        self._agenda = scheduler()
        self.observer = Observer(ships, lambda since: self._outages.seconds_away_since(since))
        self._targets = targets = Targets(ships, self.observer, chance)
        self._outages = OutageFaults(targets, lease_seconds=options.lease)
        self._processes = ProcessFaults(targets, self._agenda, lease_seconds=options.lease)
        self._hosts = HostFaults(
            targets,
            self._agenda,
            lease_seconds=options.lease,
            usual_delay_seconds=options.delay,
        )
        self._edits = Edits(targets, self.feeder)
        self._steps: dict[str, StepFaults] = {}
        self._hits_seen = 0

    def table(self) -> dict[str, Act]:
        """Each returns the datasets that it hit; steps are hit later, see `hits`."""
        process, outage, host, edit = self._processes, self._outages, self._hosts, self._edits
        return {
            "SIGKILL service": process.kill_service,
            "SIGKILL child": process.kill_child,
            "SIGKILL warm process": process.kill_warm,
            "SIGKILL service and child": process.kill_both,
            "SIGKILL whole group": process.kill_group,
            "SIGSTOP service past its lease": process.stop_service,
            "SIGSTOP child past the lease": process.stop_child,
            "SIGSTOP whole group past its lease": process.stop_group,
            "SIGTERM service": process.terminate,
            "SIGKILL mongod and restart": outage.kill_mongod,
            "mongod steps down": outage.step_down,
            "cut the network (drop)": host.cut_network,
            "fill the disk": host.fill_disk,
            "slow disk": host.slow_disk,
            "disk hangs past the lease": host.hang_disk,
            "clock jumps by minutes": host.set_clock,
            "cancel": edit.cancel,
            "requeue with a changed source": edit.requeue,
            "delete the document": edit.delete,
            "garbage in `conversion`": edit.garbage,
            "edit the input": edit.edit_input,
            AT_COMMIT: lambda: self._arm(AT_COMMIT),
            BEFORE_COMMIT: lambda: self._arm(BEFORE_COMMIT),
        }

    def begin(self) -> None:
        self.observer.start()
        if self._options.shim:
            self._hosts.begin()

    def learn(self, recorded: list[dict[str, Any]]) -> int:
        """Take the steps to hit from a recording; how many there are."""
        commit, other = split(recorded)
        if not commit or not other:
            raise RuntimeError("no attempt came to its last renewal: are the steps named anew?")
        for name, steps in ((AT_COMMIT, commit), (BEFORE_COMMIT, other)):
            self._steps[name] = StepFaults(self._fleet.failpoints, name, steps, self._chance)
        return len(commit) + len(other)

    def _arm(self, name: str) -> Hit:
        self._steps[name].arm()
        return []

    def hits(self) -> Iterator[tuple[str, Hit, dict[str, Any]]]:
        """The steps that were hit since the last call: name, datasets, and what is noted of it."""
        hits = self._fleet.failpoints.hits()
        new, self._hits_seen = hits[self._hits_seen :], len(hits)
        for hit in new:
            name = next((name for name, each in self._steps.items() if each.claims(hit)), "")
            if not name:
                continue
            if hit["signal"] == "SIGSTOP":
                self._processes.resume_later(hit["pids"])
            elif hit["target"] in ("service", "group"):
                with suppress(PyMongoError), pymongo.timeout(3.0):
                    for document in self._targets.held_by(hit["pids"]):
                        self.observer.expect_recovery(document)
            yield name, [hit["dataset"]], hit

    def look_after(self) -> None:
        """End long faults that are over, and start services that have ended."""
        self._agenda.run(blocking=False)
        self._outages.look_after()
        self._processes.look_after()
        for steps in self._steps.values():
            steps.give_up_old()

    def heal(self) -> None:
        """End every fault now and have every service running."""
        for steps in self._steps.values():
            steps.disarm()
        for hit in self._fleet.failpoints.hits()[self._hits_seen :]:
            if hit["signal"] == "SIGSTOP":
                self._processes.resume_later(hit["pids"])
        self._outages.wait_for_the_end()
        while self._agenda.queue:
            event = self._agenda.queue[0]
            self._agenda.cancel(event)
            event.action(*event.argument)
        while not self._processes.is_whole:
            self.look_after()
            time.sleep(0.05)

    @property
    def is_database_away(self) -> bool:
        return self._targets.is_database_away

    @property
    def hosts_out(self) -> int:
        return self._targets.hosts_out

    @property
    def slow_ends(self) -> list[str]:
        return self._processes.slow_ends
