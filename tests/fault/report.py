"""The table that a run of chaos ends with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What was injected, and what came of it."""

    seed: int
    services: int
    lease: float
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    recovery_seconds: list[float] = field(default_factory=list)
    settled_seconds: list[float] = field(default_factory=list)
    checked: dict[str, dict[str, int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.faults.total()


def percentile(values: list[float], part: float) -> float:
    """The smallest value that is at least as large as `part` of all."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


def write_report(outcome: Outcome) -> str:
    """The outcome as Markdown."""
    recovery = outcome.recovery_seconds
    lines = [
        f"{outcome.total} faults in {outcome.seconds:.0f} s, seed {outcome.seed}, "
        f"{outcome.services} services, lease {outcome.lease:g} s: **{len(outcome.wrong)} wrong**.",
        "",
        "| fault | times it hit an attempt in progress |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in sorted(outcome.faults.items())),
        f"| all | {outcome.total} |",
        "",
        f"Recovery after a killed service ({len(recovery)} datasets): "
        f"p50 {percentile(recovery, 0.5):.1f} s, p99 {percentile(recovery, 0.99):.1f} s, "
        f"longest {max(recovery, default=float('nan')):.1f} s.",
        "",
        *(f"Not injected: {reason}." for reason in outcome.left_out),
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
