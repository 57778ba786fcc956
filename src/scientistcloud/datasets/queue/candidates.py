"""Which documents come next: the highest priority, fair between users, in order within a user."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.datasets.queue.fairness import Memory, Turn, held_back, next_turns
from scientistcloud.datasets.queue.usage import ShareUsage, first_due, read_usage

STANDING_SECONDS = 0.1
"""How old the usage of the users may be: what a new one waits, at least."""

COST_SHARE = 100
"""A usage serves so many times as long as it took to read: 1 % of the time at most."""

MOST_TURNS = 32
"""Shares that are looked at in one statement."""


class Candidates:
    """The documents that may be claimed next.

    Parameters
    ----------
    limit : int
        The most that one share may have running; 0 for no limit.
    unwanted : callable
        `_id` of documents that cannot be claimed now.

    Attributes
    ----------
    held_back : bool
        Whether the last look found somebody who waits because of the limit.
    """

    def __init__(
        self,
        collection: GuardedCollection,
        *,
        limit: int,
        clock: Callable[[], float],
        choice: random.Random,
        unwanted: Callable[[], list[Any]],
    ) -> None:
        self.held_back = False
        self._collection = collection
        self._limit = limit
        self._clock = clock
        self._random = choice
        self._unwanted = unwanted
        self._memory = Memory()
        self._usage: ShareUsage | None = None
        self._read_at = float("-inf")
        self._cost_seconds = 0.0

    def pick(self, number: int, window: int) -> list[Document]:
        """Of the next `window` documents, at most `number` at random; empty if none is due.

        Documents without a stamp do not count.
        """
        fresh = self._is_old()
        if fresh:
            self._read(None)
        while usage := self._usage:
            found = self._look_around(usage, number, window)
            if found:
                return found[:number]
            # All of this priority is taken, or held back.
            self._read(usage.priority if fresh else None)
            fresh = True
        return []

    def _look_around(self, usage: ShareUsage, number: int, window: int) -> list[Document]:
        begun = time.perf_counter()
        while turns := self._turns(usage, window):
            chosen = turns if number >= len(turns) else self._random.sample(turns, number)
            if found := self._look(usage, chosen):
                return found
            # Nobody of these has anything due: look at more of them at a time.
            number = min(MOST_TURNS, 2 * number)
            window = max(window, number)
            self._cost_seconds += time.perf_counter() - begun
            begun = time.perf_counter()
        return []

    def note(self, share: str) -> None:
        """A document of this share was claimed."""
        self._memory.note(share)
        if self._usage is not None:
            running = self._usage.running
            running[share] = running.get(share, 0) + 1

    def hold(self, share: str) -> None:
        """This share is at the limit, as long as nothing newer is known."""
        self.held_back = True
        if self._usage is not None:
            self._usage.running[share] = self._limit

    def forget(self) -> None:
        """What is known of the users is out of date."""
        self._usage = None

    def _is_old(self) -> bool:
        longest = max(STANDING_SECONDS, COST_SHARE * self._cost_seconds)
        return self._usage is None or self._clock() - self._read_at > longest

    def _read(self, below: Any) -> None:
        begun = time.perf_counter()
        unwanted, leased = self._unwanted(), self._limit > 0
        usage = read_usage(self._collection, unwanted, below=below, leased=leased)
        self._cost_seconds = time.perf_counter() - begun
        self._usage, self._read_at = usage, self._clock()
        held = usage is not None and held_back(usage.heads, usage.running, self._limit)
        self.held_back = held or (self.held_back and below is not None)

    def _turns(self, usage: ShareUsage, number: int) -> list[Turn]:
        return next_turns(
            usage.heads,
            usage.running,
            self._memory,
            number,
            sizes=usage.sizes,
            limit=self._limit,
        )

    def _look(self, usage: ShareUsage, turns: list[Turn]) -> list[Document]:
        """The documents of these turns; what is found out of the shares' sizes is kept."""
        numbers: dict[str, int] = {}
        for turn in turns:
            numbers[turn.share] = max(turn.index + 1, numbers.get(turn.share, 0))
        found = first_due(self._collection, usage, numbers, self._unwanted())
        for share, documents in found.items():
            if len(documents) < numbers[share]:
                usage.sizes[share] = len(documents)
        chosen = dict.fromkeys(
            (turn.share, turn.index % len(found[turn.share])) for turn in turns if found[turn.share]
        )
        return [found[share][index] for share, index in chosen]
