"""Decoded blocks, kept for all who ask: `BlockCache`, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
_ABSENT_BYTES = 64


class BlockCache:
    """Blocks by key, those asked for last; a block that somebody is decoding is waited for.

    `None` stands for a block that was left out. Arrays in it are read-only and shared.

    Parameters
    ----------
    limit_bytes : int
        Of all blocks that are kept together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Samples | None] = OrderedDict()
        self._bytes = 0
        self._awaited: dict[Hashable, Future[Samples | None]] = {}

    @property
    def kept_bytes(self) -> int:
        return self._bytes

    def reserve(
        self, keys: Iterable[Hashable]
    ) -> tuple[dict[Hashable, Samples | None], dict[Hashable, Future[Samples | None]], list[Any]]:
        """What is kept of `keys`, what others are decoding, and what the caller is to decode.

        Each key of the last must be given to `put` or `give_up`.
        """
        kept: dict[Hashable, Samples | None] = {}
        awaited: dict[Hashable, Future[Samples | None]] = {}
        own: list[Any] = []
        with self._lock:
            for key in keys:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    kept[key] = self._kept[key]
                elif key in self._awaited:
                    awaited[key] = self._awaited[key]
                else:
                    self._awaited[key] = Future()
                    own.append(key)
        return kept, awaited, own

    def put(self, key: Hashable, samples: Samples | None) -> None:
        """A block was decoded (None: it was left out)."""
        if samples is not None and samples.base is not None and not samples.flags.owndata:
            samples = np.ascontiguousarray(samples)
        if samples is not None:
            samples.flags.writeable = False
        with self._lock:
            future = self._awaited.pop(key, None)
            if key not in self._kept and _size(samples) <= self.limit_bytes:
                self._kept[key] = samples
                self._bytes += _size(samples)
            while self._bytes > self.limit_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= _size(oldest)
        if future is not None:
            future.set_result(samples)

    def give_up(self, keys: Iterable[Hashable], error: BaseException) -> None:
        """These could not be decoded: whoever waits for them is told why."""
        for key in keys:
            with self._lock:
                future = self._awaited.pop(key, None)
            if future is not None:
                future.set_exception(error)


def _size(samples: Samples | None) -> int:
    return _ABSENT_BYTES if samples is None else samples.nbytes
