"""Whose turn it is: pure decisions on who has how much running and who was served when."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Head:
    """The first queued document of a share."""

    id: Any
    queued_at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """The `index`-th of the documents that a share has in the queue, from 0."""

    share: str
    index: int


class Memory:
    """Which share was served when, as a sequence: the last ones, and the others never."""

    def __init__(self) -> None:
        self._served: OrderedDict[str, int] = OrderedDict()
        self._number = 0

    def note(self, share: str) -> None:
        self._number += 1
        self._served[share] = self._number
        self._served.move_to_end(share)
        if len(self._served) > MOST_REMEMBERED:
            self._served.popitem(last=False)

    def when(self, share: str) -> int:
        """The later, the larger; 0 if not of late."""
        return self._served.get(share, 0)


def next_turns(
    heads: Mapping[str, Head],
    running: Mapping[str, int],
    memory: Memory,
    number: int,
    *,
    sizes: Mapping[str, int],
    limit: int = 0,
) -> list[Turn]:
    """The next `number` turns, first one first.

    The turn is that of the share with the fewest running; among equals of the one that was served
    longest ago, then of the one whose first document waits longest. Each turn counts as one more
    that is running.

    Parameters
    ----------
    heads : Mapping
        The shares that have something queued at the priority in question.
    sizes : Mapping
        How many documents a share has, where that is known.
    limit : int
        The most that one share may have running; 0 for no limit.
    """
    waiting = (
        (running.get(share, 0), memory.when(share), head.queued_at, share)
        for share, head in heads.items()
        if sizes.get(share, 1) and not is_full(running.get(share, 0), limit)
    )
    # No more shares than turns can be concerned.
    heap = heapq.nsmallest(number, waiting)
    turns: list[Turn] = []
    served: dict[str, int] = {}
    while heap and len(turns) < number:
        level, last, queued_at, share = heap[0]
        index = served.get(share, 0)
        turns.append(Turn(share, index))
        served[share] = index + 1
        if is_full(level + 1, limit) or index + 1 >= sizes.get(share, number):
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (level + 1, last, queued_at, share))
    return turns


def is_full(running: int, limit: int) -> bool:
    """Whether a share with so many running has to wait; a limit of 0 is none."""
    return 0 < limit <= running


def held_back(heads: Iterable[str], running: Mapping[str, int], limit: int) -> bool:
    """Whether any of the shares has to wait because of the limit."""
    return any(is_full(running.get(share, 0), limit) for share in heads)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who waits at one priority: by share, how many there are and since when the first one."""

    sizes: dict[str, int]
    first: dict[str, datetime]


def ahead(crowd: Crowd, running: Mapping[str, int], share: str, rank: int) -> int:
    """How many of `crowd` come before the `rank`-th document (from 0) of `share`.

    As `next_turns` would have it, if nothing came or ended meanwhile and nobody had been served.
    """
    level = running.get(share, 0) + rank
    mine = crowd.first.get(share)
    number = rank
    for other, size in crowd.sizes.items():
        if other == share:
            continue
        first = crowd.first[other]
        wins_tie = mine is None or (first, other) < (mine, share)
        turns = level - running.get(other, 0) + int(wins_tie)
        number += min(size, max(0, turns))
    return number
