"""Which fault comes next: the one of which most are still missing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping


class Quotas:
    """How many faults of each kind a run is to have, and has.

    Parameters
    ----------
    wanted : mapping of str to int
        The least number of each kind.
    total : int
        The least number in all.
    """

    def __init__(self, wanted: Mapping[str, int], total: int) -> None:
        self._wanted = dict(wanted)
        self._total = total
        self.counted: Counter[str] = Counter()

    def count(self, kind: str) -> None:
        self.counted[kind] += 1

    def missing(self, kind: str) -> int:
        return max(0, self._wanted[kind] - self.counted[kind])

    @property
    def is_met(self) -> bool:
        return self.counted.total() >= self._total and not self.shortages()

    def shortages(self) -> list[str]:
        """A sentence for each kind of which there are too few."""
        return [
            f"{self.counted[kind]} of {self._wanted[kind]} of {kind!r}"
            for kind in self._wanted
            if self.missing(kind)
        ]

    def order(self, kinds: Iterable[str], chance: random.Random) -> list[str]:
        """All of `kinds`, at random; the more of one are missing, the sooner it tends to come.

        Those whose number is reached come last, as long as any is missing.
        """
        keys = {
            kind: chance.random() ** (1 / missing) if (missing := self.missing(kind)) else -1.0
            for kind in sorted(kinds)
        }
        spread = {kind: chance.random() for kind in sorted(keys)}
        return sorted(keys, key=lambda kind: (keys[kind], spread[kind]), reverse=True)
