"""Kills a real service at every step of an attempt; another one must finish the work.

    python -m tests.fault.step_kills [--count N] [--seed S] [--report FILE]

A recording run tells the steps of one attempt. Then, for each step, before and after it, and for
each kind of kill, a dataset of its own is converted twice: its source changes in between, and
wherever the two conversions come to the step, everything chosen is killed. The checker must find
nothing wrong in the end; a reader watches all the time.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.fault.fleet import Fleet, fleet, run_long
from tests.fault.hosts import Host
from tests.fault.observer import Observer
from tests.fault.steps import Armed, kills
from tests.fault.verdict import check

SHAPE = (48, 192, 192)
"""Several bricks, so that there is a checkpoint between them."""

CASE_SECONDS = 40.0
RECORDED_FROM = 9000
"""Numbers of datasets from here on are those of the recording runs."""

SETTINGS = {
    "LEASE_SECONDS": "1",
    "LEASE_RENEW_SECONDS": "0.2",
    "JOB_RETRY_DELAY_SECONDS": "0.1",
    "JOB_MAX_RETRY_ATTEMPTS": "10",
    "GENERATION_GRACE_SECONDS": "20",
    "CHECKPOINT_SECONDS": "0",
}

Case = tuple[Armed, ...]

COMMIT = "child replace STAGING/visus.idx -> TARGET/visus.idx"
CHECKPOINT = "child replace PARTIAL/GENERATION.part -> PARTIAL/GENERATION"
FIRST = (
    Armed(COMMIT, "before", "group"),
    Armed(COMMIT, "after", "group"),
    Armed(CHECKPOINT, "after", "group"),
)
"""Kills after which the next attempt takes a folder away, adopts what was published, or goes on
from a checkpoint."""


@dataclass
class Result:
    """What came of all cases."""

    steps: int = 0
    hit: Counter[str] = field(default_factory=Counter)
    not_reached: list[Case] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def run(root: Path, *, count: int | None, seed: int, say: Callable[[str], None] = print) -> Result:
    """Carry out all cases, or `count` of them chosen by `seed`."""
    result = Result()
    with fleet(root, 2, SETTINGS) as ships:
        observer = Observer(ships)
        observer.start()
        cases = _cases(ships, result)
        if count is not None:
            cases = random.Random(seed).sample(cases, min(count, len(cases)))
        for number, case in enumerate(cases, start=1):
            uuid = f"chaos-{number}"
            _carry_out(ships, uuid, case, result)
            say(f"{number}/{len(cases)} {_name(case)}: {case[-1].target}")
        for host in ships.hosts:
            _revive(ships, host)
        time.sleep(1.0)
        observer.stop()
        verdict = check(ships, all_done=True, patience_seconds=60)
        by_uuid = {f"chaos-{number}": case for number, case in enumerate(cases, start=1)}
        for sentence in verdict.wrong:
            result.wrong.append(f"{sentence} [{by_uuid.get(sentence.split(':')[0])}]")
    return result


def _cases(ships: Fleet, result: Result) -> list[Case]:
    """Every kill of every step, also of an attempt that follows on a killed one."""
    steps = _record(ships, f"chaos-{RECORDED_FROM}")
    cases: list[Case] = [(armed,) for armed in kills(steps)]
    for number, first in enumerate(FIRST, start=1):
        uuid = f"chaos-{RECORDED_FROM + number}"
        again = _record(ships, uuid, replace(first, dataset=uuid))
        steps += again
        cases += [(first, second) for second in kills(again, ("group",), ("group",))]
    result.steps = len({entry["step"] for entry in steps})
    return cases


def _record(ships: Fleet, uuid: str, *first: Armed) -> list[dict[str, Any]]:
    """The steps of two attempts: undisturbed, or those that follow after `first` has hit."""
    ships.failpoints.record()
    ships.failpoints.arm(*first)
    _convert(ships, uuid, 1)
    _convert(ships, uuid, 2)
    time.sleep(0.5)
    steps = [entry for entry in ships.failpoints.recorded() if entry["dataset"] == uuid]
    for armed in first:
        hit = [(entry["step"], entry["when"]) for entry in steps].index((armed.step, armed.when))
        steps = steps[hit + 1 :]
    return steps


def _carry_out(ships: Fleet, uuid: str, case: Case, result: Result) -> None:
    began = time.monotonic()
    before = len(ships.failpoints.hits())
    ships.failpoints.arm(*(replace(armed, dataset=uuid) for armed in case))
    for version in (1, 2):
        problem = _convert(ships, uuid, version)
        if problem:
            result.wrong.append(f"{problem} [{case}]")
    ships.failpoints.disarm()
    if len(ships.failpoints.hits()) == before + len(case):
        result.hit[_name(case)] += 1
        result.seconds.append(time.monotonic() - began)
    else:
        result.not_reached.append(case)


def _name(case: Case) -> str:
    return ", then ".join(f"{armed.when} {armed.step}" for armed in case)


def _convert(ships: Fleet, uuid: str, version: int) -> str:
    """Have one version converted while dead services are started again; what is wrong, or ""."""
    ships.write_source(uuid, version, SHAPE)
    ships.request(uuid, version)
    deadline = time.monotonic() + CASE_SECONDS
    while time.monotonic() < deadline:
        document = ships.datasets.find_one({"_id": uuid}) or {}
        if document.get("status") == "done":
            return ""
        if document.get("status") == "conversion failed":
            return f"{uuid} failed: {document.get('conversion_last_error')}"
        for host in ships.hosts:
            _revive(ships, host)
        time.sleep(0.03)
    return f"{uuid} is not done after {CASE_SECONDS} s: {document}"


def _revive(ships: Fleet, host: Host) -> None:
    if not host.is_running:
        ships.start_service(host)


def report(result: Result, seed: int, seconds: float) -> str:
    """The result as Markdown."""
    rows = [f"| `{step}` | {hits} |" for step, hits in sorted(result.hit.items())]
    return "\n".join(
        [
            f"{result.steps} steps, {sum(result.hit.values())} kills "
            f"({len(result.not_reached)} cases did not come to their step), seed {seed}, "
            f"{seconds:.0f} s; {len(result.wrong)} wrong.",
            "",
            "| step | kills |",
            "|---|---|",
            *rows,
            "",
            *(f"- {sentence}" for sentence in result.wrong),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--root", type=Path, help="a new folder, kept; else a temporary one")
    options = parser.parse_args()
    run_long()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sc-steps-") as folder:
        root = options.root or Path(folder)
        result = run(root, count=options.count, seed=options.seed)
    text = report(result, options.seed, time.monotonic() - began)
    print(text)
    if options.report:
        options.report.write_text(text + "\n")
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
