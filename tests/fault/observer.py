"""Notes every attempt and what became of it, and how soon the work of killed services goes on."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from tests.fault.fleet import CONVERTING, QUEUED, Fleet, lease_of

LOOK_SECONDS = 0.1
FIELDS = dict.fromkeys(
    [
        "status",
        "requested_version",
        "conversion.lease",
        "conversion.request",
        "conversion.history",
    ],
    1,
)


@dataclass
class Abandoned:
    """A dataset whose service was killed."""

    uuid: str
    token: str
    version: Any
    since: float
    requeued_after: float | None = None


class Observer:
    """A thread that looks at all documents ten times a second.

    Attributes
    ----------
    requeue_seconds, recovery_seconds : list of float
        For each dataset whose service was killed: until it was in the queue again, and until
        another service had it in hand. Those that were asked for anew meanwhile are left out.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._noted: set[tuple[str, str]] = set()
        self._abandoned: dict[str, Abandoned] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self.requeue_seconds: list[float] = []
        self.recovery_seconds: list[float] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def expect_recovery(self, document: dict[str, Any]) -> None:
        """The service that held `document` has been killed just now."""
        uuid, token = document["_id"], lease_of(document)["token"]
        left = Abandoned(uuid, token, document.get("requested_version"), time.monotonic())
        with self._lock:
            self._abandoned.setdefault(uuid, left)

    @property
    def waiting_for(self) -> list[str]:
        """Datasets that nobody has taken over yet."""
        with self._lock:
            return sorted(self._abandoned)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            with suppress(PyMongoError), pymongo.timeout(5.0):
                self.look()

    def look(self) -> None:
        """Look once."""
        documents = list(self._fleet.datasets.find({}, FIELDS))
        for document in documents:
            self._note_attempts(document)
        by_id = {document["_id"]: document for document in documents}
        with self._lock:
            for uuid, left in list(self._abandoned.items()):
                self._follow(left, by_id.get(uuid, {}))

    def _follow(self, left: Abandoned, document: dict[str, Any]) -> None:
        """Note how far the work of a killed service has got."""
        now = time.monotonic()
        if document.get("requested_version") != left.version:
            del self._abandoned[left.uuid]  # deleted, or asked for anew: it begins from the start
            return
        status, token = document.get("status"), lease_of(document).get("token")
        if left.requeued_after is None and (token != left.token or status != CONVERTING):
            left.requeued_after = now - left.since
            self.requeue_seconds.append(left.requeued_after)
        if left.requeued_after is not None and status != QUEUED:
            self.recovery_seconds.append(now - left.since)
            del self._abandoned[left.uuid]

    def _note_attempts(self, document: dict[str, Any]) -> None:
        conversion = document.get("conversion")
        if not isinstance(conversion, dict):
            return
        request, lease = conversion.get("request"), lease_of(document)
        if isinstance(request, dict) and "token" in lease:
            self._note(document["_id"], lease["token"], request.get("id"), "claimed")
        history = conversion.get("history")
        for entry in history if isinstance(history, list) else ():
            if isinstance(entry, dict) and "token" in entry:
                self._note(
                    document["_id"],
                    entry["token"],
                    entry.get("request"),
                    entry.get("outcome", ""),
                    entry.get("code", ""),
                )

    def _note(self, uuid: str, token: str, request: Any, outcome: str, code: str = "") -> None:
        if (token, outcome) not in self._noted:
            self._noted.add((token, outcome))
            self._fleet.note(uuid=uuid, token=token, request=request, outcome=outcome, code=code)
