"""Notes every attempt and what became of it, and how soon the work of killed services goes on."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from tests.fault.fleet import Fleet, lease_of

LOOK_SECONDS = 0.1
FIELDS = {"status": 1, "conversion.lease": 1, "conversion.request": 1, "conversion.history": 1}


class Observer:
    """A thread that looks at all documents ten times a second.

    Attributes
    ----------
    recovery_seconds : list of float
        For each dataset whose service was killed: until somebody else had it in hand, or it needed
        nobody any more.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._noted: set[tuple[str, str]] = set()
        self._abandoned: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self.recovery_seconds: list[float] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def expect_recovery(self, uuid: str, token: str) -> None:
        """The service that held `uuid` by `token` has been killed just now."""
        with self._lock:
            self._abandoned.setdefault(uuid, (token, time.monotonic()))

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
        held = {document["_id"]: lease_of(document).get("token") for document in documents}
        with self._lock:
            for uuid, (token, since) in list(self._abandoned.items()):
                document = next((d for d in documents if d["_id"] == uuid), {})
                waits = document.get("status") == "conversion queued"
                if held.get(uuid) != token and not waits:
                    self.recovery_seconds.append(time.monotonic() - since)
                    del self._abandoned[uuid]

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
