"""Learns the steps of attempts from attempts, and has processes hit at them."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from tests.fault.steps import CHILD_TARGETS, SERVICE_TARGETS, Armed, Failpoints

LAST_RENEWAL = ("service update renew to commit", "after")
COMPLETE = ("service update complete", "after")
ARMED_SECONDS = 4.0
ARMED_AT_ONCE = 2

Step = tuple[str, str]
"""The name of a step, and ``before`` or ``after``."""


def split(recorded: Iterable[dict[str, Any]]) -> tuple[list[Step], list[Step]]:
    """The steps only between the last renewal and the end of `complete`, and all others."""
    commit: set[Step] = set()
    other: set[Step] = set()
    committing: dict[str, bool] = defaultdict(bool)
    for entry in recorded:
        step, dataset = (entry["step"], entry["when"]), entry["dataset"]
        if not dataset.startswith("chaos-"):
            continue
        if step == LAST_RENEWAL:
            committing[dataset] = True
        (commit if committing[dataset] else other).add(step)
        if step == COMPLETE:
            committing[dataset] = False
    return sorted(commit - other), sorted(other)


class StepFaults:
    """Keeps a few steps of one group armed; each is another one than those hit most.

    Parameters
    ----------
    name : str
        Of the group: marks its hits.
    """

    def __init__(
        self, failpoints: Failpoints, name: str, steps: list[Step], chance: random.Random
    ) -> None:
        self._failpoints = failpoints
        self._name = name
        self._steps = steps
        self._chance = chance
        self._hits: Counter[Step] = Counter()
        self._armed: dict[str, float] = {}

    def arm(self) -> None:
        """Arm one more, unless there are enough."""
        free = next(
            (
                name
                for number in range(ARMED_AT_ONCE)
                if (name := f"{self._slug}-{number}") not in self._armed
            ),
            None,
        )
        if free is None:
            return
        step, when = min(self._steps, key=lambda each: (self._hits[each], self._chance.random()))
        self._hits[step, when] += 1  # also if it is never reached: then others' turn comes
        targets = SERVICE_TARGETS if step.startswith("service") else CHILD_TARGETS
        signal = "SIGKILL" if self._chance.random() < 0.8 else "SIGSTOP"
        target = self._chance.choice(targets)
        self._failpoints.arm(Armed(step, when, target, signal, id=free), name=free)
        self._armed[free] = time.monotonic() + ARMED_SECONDS

    def claims(self, hit: dict[str, Any]) -> bool:
        """Whether a hit was of this group; it may arm another one then."""
        return self._armed.pop(hit["id"], None) is not None

    def give_up_old(self) -> None:
        """Disarm what was not reached for some time."""
        now = time.monotonic()
        for name, until in list(self._armed.items()):
            # A hit taken in this very moment is told of at the next look, unless the process
            # was killed by something else before it could tell.
            gone = now > until and self._failpoints.disarm(name)
            if gone or now > until + ARMED_SECONDS:
                del self._armed[name]

    def disarm(self) -> None:
        for name in list(self._armed):
            if self._failpoints.disarm(name):
                del self._armed[name]

    @property
    def _slug(self) -> str:
        return self._name.replace(" ", "-")
