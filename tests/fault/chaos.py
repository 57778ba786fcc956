"""Injects faults into services at work, and has everything checked in the end.

    python -m tests.fault.chaos --faults 2000 --seed 1 --services 4 [--minutes M] [--report FILE]

Real services on hosts of their own convert datasets whose sources change between requests, while a
reader watches. A fault counts only if it hit datasets that were being converted. As root each
host has its own network, which can be cut, and the shared disk is small, so that it can be filled.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from tests.fault.actions import Actions
from tests.fault.feeder import Feeder
from tests.fault.fleet import Fleet, fleet, run_long
from tests.fault.hosts import can_cut
from tests.fault.observer import Observer
from tests.fault.report import Outcome, write_report
from tests.fault.steps import Armed
from tests.fault.verdict import check

DISK_BYTES = 700 << 20
PAUSE_SECONDS = 0.05
MEAN_SECONDS = 0.3
"""Between two faults: some work is to be done as well."""

SETTLE_SECONDS = 180.0

COMMIT_STEPS = (
    ("service update renew to commit", ("after",)),
    ("child mkdir RETIRED", ("before", "after")),
    ("child replace STAGING/visus.idx -> TARGET/visus.idx", ("before", "after")),
    ("child fsync TARGET", ("before", "after")),
    ("child replace STAGING/metadata.json -> TARGET/metadata.json", ("before", "after")),
    ("service replace STAGING/conversion.log -> TARGET/conversion.log", ("before", "after")),
    ("service update complete", ("before", "after")),
)
"""Between the last renewal and the end of `complete`."""

OTHER_STEPS = (
    ("service update claim", ("before", "after")),
    ("service update describe", ("before", "after")),
    ("service update renew", ("before", "after")),
    ("service update renew to commit", ("before",)),
    ("child mkdir STAGING", ("before", "after")),
    ("child mkdir STAGING/scratch", ("before", "after")),
    ("child rename STAGING -> REVOKED", ("before", "after")),
    ("child mkdir TARGET/visus/GENERATION", ("before", "after")),
    ("child fsync TARGET/visus/GENERATION", ("before", "after")),
    ("child fsync STAGING/metadata.json", ("before", "after")),
)


class Chaos:
    """One run."""

    def __init__(self, ships: Fleet, options: argparse.Namespace, *, network: bool) -> None:
        self._fleet = ships
        self._options = options
        self._chance = random.Random(options.seed)
        self._observer = Observer(ships)
        self._feeder = Feeder(ships, options.datasets, self._chance)
        self._actions = Actions(
            ships, self._feeder, self._observer, self._chance, lease_seconds=options.lease
        )
        self._hits_seen = 0
        self._next_at = 0.0
        self._armed: tuple[str, float] | None = None
        self.outcome = Outcome(seed=options.seed, services=options.services, lease=options.lease)
        self._table = self._choose(network=network)

    def _choose(self, *, network: bool) -> list[tuple[str, Callable[[], list[str]]]]:
        do = self._actions
        table: list[tuple[str, Callable[[], list[str]]]] = [
            ("SIGKILL service", do.kill_service),
            ("SIGKILL child", do.kill_child),
            ("SIGKILL warm process", do.kill_warm),
            ("SIGKILL service and child", do.kill_both),
            ("SIGKILL whole group", do.kill_group),
            ("SIGSTOP service past its lease", do.stop_service),
            ("SIGSTOP child past the lease", do.stop_child),
            ("SIGSTOP whole group past its lease", do.stop_group),
            ("SIGTERM service", do.terminate),
            ("SIGKILL mongod and restart", do.kill_mongod),
            ("mongod steps down", do.step_down),
            ("cancel", do.cancel),
            ("requeue with a changed source", do.requeue),
            ("delete the document", do.delete),
            ("garbage in `conversion`", do.garbage),
            ("edit the input", do.edit_input),
            *[("at a step before the commit", self._arm_other)] * 2,
            *[("at a step from the last renewal to complete", self._arm_commit)] * 3,
        ]
        if network:
            table.append(("cut the network (drop)", do.cut_network))
        if self._options.small_disk:
            table.append(("fill the disk", do.fill_disk))
        return table

    def run(self, say: Callable[[str], None]) -> None:
        """Inject, heal, check, have everything converted once more, check again."""
        options = self._options
        self._observer.start()
        began = said = time.monotonic()
        while self.outcome.total < options.faults:
            now = time.monotonic()
            if now - began > options.minutes * 60:
                break
            self._turn()
            if now - said > 20:
                said = now
                say(f"{now - began:.0f} s: {self.outcome.total} faults")
            time.sleep(PAUSE_SECONDS)
        self.outcome.seconds = time.monotonic() - began
        self._finish(say)

    def _turn(self) -> None:
        self._actions.tick()
        if self._actions.is_database_away:
            return
        self._feeder.feed()
        self._count_step()
        is_armed = self._armed is not None and time.monotonic() < self._armed[1]
        if is_armed or time.monotonic() < self._next_at:
            return
        name, act = self._chance.choice(self._table)
        with suppress(PyMongoError), pymongo.timeout(3.0):
            hit = act()
            if hit:
                self._count(name, hit)
                self._next_at = time.monotonic() + self._chance.uniform(0, 2 * MEAN_SECONDS)

    def _count(self, name: str, hit: list[str], **more: Any) -> None:
        self.outcome.faults[name] += 1
        self._fleet.note(injected=name, hit=hit, **more)

    def _arm_commit(self) -> list[str]:
        return self._arm("at a step from the last renewal to complete", COMMIT_STEPS)

    def _arm_other(self) -> list[str]:
        return self._arm("at a step before the commit", OTHER_STEPS)

    def _arm(self, name: str, steps: tuple[tuple[str, tuple[str, ...]], ...]) -> list[str]:
        """Arm a step; it counts once a process has come to it."""
        step, whens = self._chance.choice(steps)
        target = self._chance.choice(["self", "service", "warm", "group"])
        stop = self._chance.random() < 0.3
        number = "SIGSTOP" if stop else "SIGKILL"
        armed = Armed(step, self._chance.choice(whens), target, number, id=name)
        self._fleet.failpoints.arm(armed)
        self._armed = (name, time.monotonic() + 3.0)
        return []

    def _count_step(self) -> None:
        """Whether the armed step was reached."""
        hits = self._fleet.failpoints.hits()
        for hit in hits[self._hits_seen :]:
            self._armed = None
            self._count(hit["id"], [hit["dataset"]], **{"hit_at": hit})
            self.outcome.steps[f"{hit['when']} {hit['step']}"] += 1
            if hit["signal"] == "SIGSTOP":
                self._actions.resume_later(hit["pids"])
            elif hit["target"] in ("service", "group") or hit["step"].startswith("service"):
                with suppress(PyMongoError), pymongo.timeout(3.0):
                    for document in self._actions.held_by(hit["pids"]):
                        self._observer.expect_recovery(document)
        self._hits_seen = len(hits)
        if self._armed is not None and time.monotonic() > self._armed[1]:
            self._fleet.failpoints.disarm()
            self._armed = None

    def _finish(self, say: Callable[[str], None]) -> None:
        self._fleet.failpoints.disarm()
        self._count_step()
        self._actions.heal()
        say("all healed: waiting until nothing is queued or converting")
        self._check("after the faults", all_done=False)
        say("asking for every dataset once more")
        self._feeder.feed_all()
        self._check("after one more request for each", all_done=True)
        self._observer.stop()
        outcome = self.outcome
        outcome.requeue_seconds = self._observer.requeue_seconds
        outcome.recovery_seconds = self._observer.recovery_seconds
        outcome.wrong += [f"nobody took over {uuid}" for uuid in self._observer.waiting_for]
        outcome.wrong += self._actions.slow_ends
        for host in self._fleet.hosts:
            status = host.stop()
            if status != 0:
                outcome.wrong.append(f"host {host.number} ended with {status} at the end")

    def _check(self, stage: str, *, all_done: bool) -> None:
        began = time.monotonic()
        for document in self._fleet.wait_until_settled(SETTLE_SECONDS):
            self.outcome.wrong.append(f"{stage}: blocked: {document}")
        self.outcome.settled_seconds.append(time.monotonic() - began)
        self._observer.look()
        verdict = check(self._fleet, all_done=all_done, patience_seconds=60)
        self.outcome.wrong += [f"{stage}: {sentence}" for sentence in verdict.wrong]
        self.outcome.checked[stage] = verdict.counts


def say_at_once(line: str) -> None:
    print(line, flush=True)


def carry_out(
    root: Path, options: argparse.Namespace, say: Callable[[str], None] = say_at_once
) -> Outcome:
    """One run in a new folder."""
    no_network = can_cut() if options.network else "not asked for"
    if no_network:
        say(f"The network is not cut: {no_network}.")
    settings = {
        "LEASE_SECONDS": str(options.lease),
        "JOB_RETRY_DELAY_SECONDS": "0.2",
        "JOB_MAX_RETRY_ATTEMPTS": "5",
        "GENERATION_GRACE_SECONDS": "30",
        "FOREIGN_CLAIM_MINUTES": "0.1",
    }
    more: dict[str, Any] = {"network": no_network is None}
    if options.small_disk:
        more["small_disk_bytes"] = DISK_BYTES
    with fleet(root, options.services, settings, **more) as ships:
        chaos = Chaos(ships, options, network=no_network is None)
        chaos.run(say)
    outcome = chaos.outcome
    outcome.left_out = [f"cut the network: {no_network}"] if no_network else []
    outcome.left_out += [] if options.small_disk else ["fill the disk: not asked for, or not root"]
    return outcome


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--services", type=int, default=4)
    parser.add_argument("--datasets", type=int, default=24)
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--lease", type=float, default=3.0, help="LEASE_SECONDS")
    parser.add_argument("--report", type=Path, help="Markdown")
    parser.add_argument("--root", type=Path, help="a new folder, kept; else a temporary one")
    root = os.geteuid() == 0
    parser.add_argument("--network", action=argparse.BooleanOptionalAction, default=root)
    parser.add_argument("--small-disk", action=argparse.BooleanOptionalAction, default=root)
    return parser.parse_args(words)


def main() -> int:
    options = arguments()
    run_long()
    with tempfile.TemporaryDirectory(prefix="sc-chaos-") as folder:
        outcome = carry_out(
            options.root or Path(folder), options, lambda line: print(line, flush=True)
        )
    text = write_report(outcome)
    print(text)
    if options.report:
        options.report.write_text(text)
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
