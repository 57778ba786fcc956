"""Runs the checker as the separate program that it is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field

from tests.fault.fleet import DATABASE, ROOT, Fleet

CHECK_SECONDS = 120.0


@dataclass
class Verdict:
    """What the checker says."""

    wrong: list[str]
    counts: dict[str, int] = field(default_factory=dict)


def check(fleet: Fleet, *, all_done: bool = False, patience_seconds: float = 0) -> Verdict:
    """Check the whole fleet; again until all is right or patience is over.

    Patience is for what takes its time by design: leftovers are swept at intervals.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        verdict = _check(fleet, all_done)
        if not verdict.wrong or time.monotonic() > deadline:
            return verdict
        time.sleep(0.5)


def _check(fleet: Fleet, all_done: bool) -> Verdict:
    command = [sys.executable, "-m", "tests.fault.checker", "--url", fleet.server.url()]
    command += ["--database", DATABASE, "--shared", str(fleet.shared)]
    command += ["--journal", str(fleet.journal), "--seen", str(fleet.seen)]
    command += ["--all-done"] if all_done else []
    pids = [str(host.process.pid) for host in fleet.hosts if host.process is not None]
    command += ["--scratch", *(str(host.scratch) for host in fleet.hosts)]
    command += ["--failpoints", str(fleet.failpoints.folder), "--services", ",".join(pids)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=CHECK_SECONDS, check=False
    )
    if not done.stdout:
        raise RuntimeError(f"the checker broke: {done.stderr}")
    return Verdict(**json.loads(done.stdout))
