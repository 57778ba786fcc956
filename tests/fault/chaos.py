"""Injects faults into services at work, and has everything checked in the end.

    python -m tests.fault.chaos --faults 2000 --each 100 --seed 1 [--minutes M] [--report FILE]

Real services on hosts of their own convert datasets whose sources change between requests, while a
reader watches. A fault counts only if it hit datasets that were being converted, or a step that the
log names. The run goes on until there were `--faults` of them, `--each` of every kind and twice
that between the last renewal and `complete`. As root each host has its own network, which can be
cut, and the shared disk is small, so that it can be filled; with a C compiler each host has its own
clock and its own way to the storage, which can be slow or hang.
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

from tests.fault.faults import AT_COMMIT, OF_HOSTS, OF_SHIM, WITH_DATABASE, Faults
from tests.fault.fleet import Fleet, fleet, run_long
from tests.fault.hosts import can_cut
from tests.fault.quotas import Quotas
from tests.fault.report import Outcome, write_report
from tests.fault.shim import can_build
from tests.fault.verdict import check

DISK_BYTES = 800 << 20
PAUSE_SECONDS = 0.03
SETTLE_SECONDS = 180.0
LEARN_SECONDS = 120.0
LEARN_ROUNDS = 3

Say = Callable[[str], None]


class Chaos:
    """One run."""

    def __init__(self, ships: Fleet, options: argparse.Namespace, *, network: bool) -> None:
        self._fleet = ships
        self._options = options
        self._chance = random.Random(options.seed)
        self._faults = Faults(ships, options, self._chance)
        without = [] if network else ["cut the network (drop)"]
        without += [] if options.small_disk else ["fill the disk"]
        without += [] if options.shim else OF_SHIM
        self._table = {
            name: act for name, act in self._faults.table().items() if name not in without
        }
        wanted = {name: options.each * (2 if name == AT_COMMIT else 1) for name in self._table}
        self._quotas = Quotas(wanted, options.faults)
        self._next_at = 0.0
        self.outcome = Outcome(options.seed, options.services, options.lease, self._quotas.counted)

    def run(self, say: Say) -> None:
        """Inject, heal, check, have everything converted once more, check again."""
        self._faults.begin()
        self._learn(say)
        began = said = time.monotonic()
        while not self._quotas.is_met:
            now = time.monotonic()
            if now - began > self._options.minutes * 60:
                break
            self._turn()
            if now - said > 20:
                said = now
                say(f"{now - began:.0f} s: {self.outcome.total} faults")
            time.sleep(PAUSE_SECONDS)
        self.outcome.seconds = time.monotonic() - began
        self.outcome.too_few = self._quotas.shortages()
        self._finish(say)

    def _learn(self, say: Say) -> None:
        """See what steps attempts have while nothing disturbs them."""
        self._fleet.failpoints.record()
        for _ in range(LEARN_ROUNDS):
            self._faults.feeder.feed_all()
            if self._fleet.wait_until_settled(LEARN_SECONDS):
                log = self._fleet.hosts[0].log
                raise RuntimeError(f"nothing is converted even without faults: see {log}")
        self.outcome.known_steps = self._faults.learn(self._fleet.failpoints.recorded())
        say(f"{self.outcome.known_steps} steps are known")

    def _turn(self) -> None:
        faults = self._faults
        faults.look_after()
        with suppress(PyMongoError), pymongo.timeout(3.0):
            for name, hit, step in faults.hits():
                self._count(name, hit, hit_at=step)
                self.outcome.steps[f"{step['when']} {step['step']}"] += 1
        if not faults.is_database_away:
            faults.feeder.feed()
        if time.monotonic() >= self._next_at:
            self._inject()

    def _inject(self) -> None:
        """Try one kind after another until one hits an attempt in progress."""
        tried = set(self._table)
        if self._faults.is_database_away:
            tried -= WITH_DATABASE
        if self._faults.hosts_out > self._options.services // 2:
            tried -= OF_HOSTS
        with suppress(PyMongoError), pymongo.timeout(3.0):
            for name in self._quotas.order(tried, self._chance):
                hit = self._table[name]()
                if hit:
                    self._count(name, hit)
                    break
        mean_seconds = 1.0 / self._options.rate
        self._next_at = time.monotonic() + self._chance.uniform(0, 2 * mean_seconds)

    def _count(self, name: str, hit: list[str], **more: Any) -> None:
        self._quotas.count(name)
        self._fleet.note(injected=name, hit=hit, **more)

    def _finish(self, say: Say) -> None:
        self._faults.heal()
        say("all healed: waiting until nothing is queued or converting")
        self._check("after the faults", all_done=False)
        say("asking for every dataset once more")
        self._faults.feeder.feed_all()
        self._check("after one more request for each", all_done=True)
        outcome, observer = self.outcome, self._faults.observer
        observer.stop()
        outcome.requeued, outcome.recovered = observer.requeued, observer.recovered
        outcome.wrong += [f"nobody took over {uuid}" for uuid in observer.waiting_for]
        outcome.wrong += self._faults.slow_ends
        for host in self._fleet.hosts:
            status = host.stop()
            if status != 0:
                outcome.wrong.append(f"host {host.number} ended with {status} at the end")

    def _check(self, stage: str, *, all_done: bool) -> None:
        for document in self._fleet.wait_until_settled(SETTLE_SECONDS):
            self.outcome.wrong.append(f"{stage}: blocked: {document}")
        self._faults.observer.look()
        verdict = check(self._fleet, all_done=all_done, patience_seconds=60)
        self.outcome.wrong += [f"{stage}: {sentence}" for sentence in verdict.wrong]
        self.outcome.checked[stage] = verdict.counts


def say_at_once(line: str) -> None:
    print(line, flush=True)


def carry_out(root: Path, options: argparse.Namespace, say: Say = say_at_once) -> Outcome:
    """One run in a new folder."""
    no_network = can_cut() if options.network else "not asked for"
    no_shim = can_build() if options.shim else "not asked for"
    options.shim = no_shim is None
    settings = {
        "LEASE_SECONDS": str(options.lease),
        "JOB_RETRY_DELAY_SECONDS": "0.2",
        "JOB_MAX_RETRY_ATTEMPTS": "5",
        "GENERATION_GRACE_SECONDS": "30",
        "FOREIGN_CLAIM_MINUTES": "0.1",
        "CHECKPOINT_SECONDS": "0",
    }
    more: dict[str, Any] = {"network": no_network is None, "shim": options.shim}
    if options.small_disk:
        more["small_disk_bytes"] = DISK_BYTES
    with fleet(root, options.services, settings, **more) as ships:
        chaos = Chaos(ships, options, network=no_network is None)
        chaos.run(say)
    outcome = chaos.outcome
    outcome.left_out = [f"cut the network: {no_network}"] if no_network else []
    outcome.left_out += [f"slow disk, clock: {no_shim}"] if no_shim else []
    outcome.left_out += [] if options.small_disk else ["fill the disk: not asked for, or not root"]
    return outcome


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faults", type=int, default=300, help="in all, at least")
    parser.add_argument("--each", type=int, default=0, help="of every kind, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--services", type=int, default=6)
    parser.add_argument("--datasets", type=int, default=32)
    parser.add_argument("--minutes", type=float, default=600.0, help="at most")
    parser.add_argument("--rate", type=float, default=2.0, help="faults a second that are tried")
    parser.add_argument("--lease", type=float, default=3.0, help="LEASE_SECONDS")
    parser.add_argument("--delay", type=float, default=0.002, help="of storage, usually, seconds")
    parser.add_argument("--report", type=Path, help="Markdown")
    parser.add_argument("--root", type=Path, help="a new folder, kept; else a temporary one")
    root = os.geteuid() == 0
    parser.add_argument("--network", action=argparse.BooleanOptionalAction, default=root)
    parser.add_argument("--small-disk", action=argparse.BooleanOptionalAction, default=root)
    parser.add_argument("--shim", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args(words)


def main() -> int:
    options = arguments()
    run_long()
    with tempfile.TemporaryDirectory(prefix="sc-chaos-") as folder:
        outcome = carry_out(options.root or Path(folder), options)
    text = write_report(outcome)
    print(text)
    if options.report:
        options.report.write_text(text)
    return 1 if outcome.wrong or outcome.too_few else 0


if __name__ == "__main__":
    sys.exit(main())
