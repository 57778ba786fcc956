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
    limit: int = 0,
    sizes: Mapping[str, int] | None = None,
) -> list[Turn]:
    """The next `number` turns, first one first.

    The turn is that of the share with the fewest running; among equals of the one that was served
    longest ago, then of the one whose first document waits longest. Each turn counts as one more
    that is running.

    Parameters
    ----------
    heads : Mapping
        The shares that have something queued at the priority in question.
    limit : int
        The most that one share may have running; 0 for no limit.
    sizes : Mapping, optional
        How many documents a share has, where that is known.
    """
    known = sizes or {}
    waiting = (
        (running.get(share, 0), memory.when(share), head.queued_at, share)
        for share, head in heads.items()
        if known.get(share, 1) and not (limit and running.get(share, 0) >= limit)
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
        full = limit and level + 1 >= limit
        if full or index + 1 >= known.get(share, number):
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (level + 1, last, queued_at, share))
    return turns


def held_back(heads: Iterable[str], running: Mapping[str, int], limit: int) -> bool:
    """Whether any of the shares has to wait because of the limit."""
    return bool(limit) and any(running.get(share, 0) >= limit for share in heads)
