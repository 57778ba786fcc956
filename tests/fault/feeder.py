"""Keeps asking for conversions, each time of a source that has changed since the last request."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from tests.fault.fleet import CONVERTING, QUEUED, Fleet

SHAPES = ((16, 96, 96), (24, 128, 128), (32, 160, 160), (48, 192, 192))


class Feeder:
    """Owns the versions of all datasets ``chaos-0`` to ``chaos-<count - 1>``."""

    def __init__(self, fleet: Fleet, count: int, chance: random.Random) -> None:
        self._fleet = fleet
        self._chance = chance
        self._versions = {f"chaos-{number}": 0 for number in range(count)}

    def feed(self) -> None:
        """Ask again for some of the datasets that nobody works on."""
        with suppress(PyMongoError), pymongo.timeout(2.0):
            busy = {
                found["_id"]
                for found in self._fleet.datasets.find(
                    {"status": {"$in": [QUEUED, CONVERTING]}}, {"_id": 1}
                )
            }
            for uuid in self._versions:
                if uuid not in busy and self._chance.random() < 0.3:
                    self.ask(uuid)

    def feed_all(self) -> None:
        """Ask for every dataset once more."""
        for uuid in self._versions:
            self.ask(uuid)

    def ask(self, uuid: str) -> dict[str, Any] | None:
        """Change the source and ask for its conversion; the document before.

        None while that is not possible.
        """
        if not self.change(uuid):
            return None
        return self._fleet.request(uuid, self._versions[uuid])

    def change(self, uuid: str) -> bool:
        """Change the source only; False where the disk is full."""
        version = self._versions[uuid] + 1
        # The shape stays: it tells a mixture of two versions from a short file.
        shape = SHAPES[int(uuid.removeprefix("chaos-")) % len(SHAPES)]
        try:
            self._fleet.write_source(uuid, version, shape)
        except OSError:
            return False
        self._versions[uuid] = version
        return True

    def overwrite(self, uuid: str) -> bool:
        """Change the source in its place; False where that is not possible."""
        try:
            self._fleet.overwrite_source(uuid, self._versions[uuid] + 1)
        except OSError:
            return False
        self._versions[uuid] += 1
        return True

    def document(self, uuid: str) -> dict[str, Any]:
        return self._fleet.datasets.find_one({"_id": uuid}) or {}
