"""The table that a run of chaos ends with."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tests.fault.observer import Recovery


@dataclass
class Outcome:
    """What was injected, and what came of it."""

    seed: int
    services: int
    lease: float
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    known_steps: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    requeued: list[Recovery] = field(default_factory=list)
    recovered: list[Recovery] = field(default_factory=list)
    checked: dict[str, dict[str, int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    too_few: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.faults.total()


def percentile(values: list[float], part: float) -> float:
    """The smallest value that is at least as large as `part` of all."""
    if not values:
        return math.nan
    return float(np.quantile(values, part, method="inverted_cdf"))


def write_report(outcome: Outcome) -> str:
    """The outcome as Markdown."""
    lines = [
        f"{outcome.total} faults in {outcome.seconds:.0f} s, seed {outcome.seed}, "
        f"{outcome.services} services, lease {outcome.lease:g} s: **{len(outcome.wrong)} wrong**.",
        "",
        "| fault | times it hit an attempt in progress |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in sorted(outcome.faults.items())),
        f"| all | {outcome.total} |",
        "",
        "| after a killed service, seconds until | datasets | p50 | p99 | longest |",
        "|---|---|---|---|---|",
        *_rows("the dataset was in the queue again", outcome.requeued),
        *_rows("another service had it in hand", outcome.recovered),
        "",
        *(f"Too few: {sentence}." for sentence in outcome.too_few),
        *(f"Not injected: {reason}." for reason in outcome.left_out),
        "",
        f"{len(outcome.steps)} of {outcome.known_steps} known steps were hit:",
        "",
        "| step that was hit | times |",
        "|---|---|",
        *(f"| `{step}` | {count} |" for step, count in sorted(outcome.steps.items())),
        "",
    ]
    for stage, counts in outcome.checked.items():
        told = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
        lines += [f"The checker {stage}: {told}.", ""]
    lines += [f"- {sentence}" for sentence in outcome.wrong]
    return "\n".join(lines) + "\n"


def _rows(name: str, recoveries: list[Recovery]) -> list[str]:
    served = [each.served_seconds for each in recoveries]
    return [
        _row(name, [each.seconds for each in recoveries]),
        _row(f"{name}, of which MongoDB was there", served),
    ]


def _row(name: str, seconds: list[float]) -> str:
    middle, most = percentile(seconds, 0.5), percentile(seconds, 0.99)
    longest = max(seconds, default=float("nan"))
    return f"| {name} | {len(seconds)} | {middle:.1f} | {most:.1f} | {longest:.1f} |"
