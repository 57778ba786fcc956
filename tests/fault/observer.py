"""Notes every attempt and what became of it, and how soon the work of killed services goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
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


@dataclass(frozen=True)
class Recovery:
    """How long something took after a kill, and how long MongoDB was there of that time."""

    seconds: float
    served_seconds: float


@dataclass
class Abandoned:
    """A dataset whose service was killed."""

    uuid: str
    token: str
    version: Any
    since: float
    requeued: bool = False


class Observer:
    """A thread that looks at all documents ten times a second.

    Attributes
    ----------
    requeued, recovered : list of Recovery
        For each dataset whose service was killed: until it was in the queue again, and until
        another service had it in hand. Left out are those that somebody edited meanwhile
        (cancelled, deleted, asked for anew, `conversion` overwritten), and those just done.
    latest : list of dict
        What it saw last.
    """

    def __init__(
        self, fleet: Fleet, seconds_away_since: Callable[[float], float] = lambda _: 0.0
    ) -> None:
        self._fleet = fleet
        self._seconds_away_since = seconds_away_since
        self._noted: set[tuple[str, str]] = set()
        self._abandoned: dict[str, Abandoned] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self.requeued: list[Recovery] = []
        self.recovered: list[Recovery] = []
        self.latest: list[dict[str, Any]] = []

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
        self.latest = documents
        for document in documents:
            self._note_attempts(document)
        by_id = {document["_id"]: document for document in documents}
        with self._lock:
            for uuid, left in list(self._abandoned.items()):
                if self._is_over(left, by_id.get(uuid, {})):
                    del self._abandoned[uuid]

    def _is_over(self, left: Abandoned, document: dict[str, Any]) -> bool:
        """Note how far the work of a killed service has got; whether that is all."""
        status, token = document.get("status"), lease_of(document).get("token")
        if status == CONVERTING and token == left.token:
            return False
        if document.get("requested_version") != left.version or not _is_left(document, left.token):
            return True
        seconds = time.monotonic() - left.since
        recovery = Recovery(seconds, seconds - self._seconds_away_since(left.since))
        if not left.requeued:
            left.requeued = True
            self.requeued.append(recovery)
            self._fleet.note(uuid=left.uuid, requeued_after=seconds)
        if status == QUEUED:
            return False
        self.recovered.append(recovery)
        self._fleet.note(
            uuid=left.uuid, recovered_after=seconds, of_which_served=recovery.served_seconds
        )
        return True

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


def _is_left(document: dict[str, Any], token: str) -> bool:
    """Whether the history tells that this attempt ended as lost, and nothing hides that."""
    conversion = document.get("conversion")
    history = conversion.get("history") if isinstance(conversion, dict) else None
    if not isinstance(history, list) or document.get("status") == "cancelled":
        return False
    return any(
        isinstance(entry, dict) and entry.get("token") == token and entry.get("outcome") == "lost"
        for entry in history
    )
