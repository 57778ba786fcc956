"""Seeing the status of datasets change, whoever changes it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymongo.errors import OperationFailure

from scientistcloud.database.connection import database_errors
from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.datasets.documents.document import ACTIVE, value_at
from scientistcloud.datasets.watching.changes import POLLS_BEFORE_NEW_TRY, cannot_watch
from scientistcloud.errors import DatabaseUnavailable

_POLL_SECONDS = 1.0
_REMEMBERED = 10_000
_FIELDS = {"uuid": 1, "status": 1, "conversion.attempts": 1, "conversion.lease.token": 1}
_TOKEN_PREFIX = 8


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A dataset's new status; `former` is None where it was not seen before.

    `attempt` and `token` (of which so much is kept as tells attempts apart) are those of the claim
    that holds it, 0 and empty without one.
    """

    uuid: Any
    status: Any
    former: Any = None
    attempt: int = 0
    token: str = ""


class StatusWatch:
    """Reports status changes until told to stop: by change stream, by polling where there is none.

    Polling sees datasets that are queued or converting, and what becomes of them.

    Parameters
    ----------
    seen : callable
        Gets each `StatusChange`, in order, from the thread that runs `watch`.
    away : callable
        Told the reason, once an outage.
    """

    def __init__(
        self,
        collection: GuardedCollection,
        seen: Callable[[StatusChange], None],
        away: Callable[[DatabaseUnavailable], None],
    ) -> None:
        self._away = away
        self._is_away = False
        self._collection = collection
        self._seen = seen
        self._known: OrderedDict[Any, Any] = OrderedDict()
        self._active: set[Any] = set()

    def watch(self, stopping: threading.Event) -> None:
        """Return once `stopping` is set; outages of the server are waited out."""
        polls = 0
        while not stopping.is_set():
            try:
                with database_errors():
                    if polls:
                        self._poll()
                    else:
                        self._stream(stopping)
            except DatabaseUnavailable as error:
                if polls or not cannot_watch(error.__cause__):
                    self._tell_away(error)
                else:
                    polls = POLLS_BEFORE_NEW_TRY
            except OperationFailure as error:
                # A stream that broke for another reason is opened again.
                if cannot_watch(error):
                    polls = POLLS_BEFORE_NEW_TRY
            polls = max(0, polls - 1)
            stopping.wait(_POLL_SECONDS)

    def _tell_away(self, error: DatabaseUnavailable) -> None:
        if not self._is_away:
            self._away(error)
        self._is_away = True

    def _stream(self, stopping: threading.Event) -> None:
        changed = {"updateDescription.updatedFields.status": {"$exists": True}}
        new = {"operationType": {"$in": ["insert", "replace"]}}
        pipeline = [{"$match": {"$or": [changed, new]}}]
        with self._collection.raw.watch(
            pipeline, full_document="updateLookup", max_await_time_ms=500
        ) as stream:
            self._poll()  # what changed while no stream was open
            while not stopping.is_set() and stream.alive:
                event = stream.try_next()
                if event is not None:
                    self._take(event)

    def _take(self, event: Document) -> None:
        document = event.get("fullDocument") or dict(event["documentKey"])
        updated = event.get("updateDescription", {}).get("updatedFields", {})
        self._note(document, updated.get("status", document.get("status")))

    def _poll(self) -> None:
        found = {
            each["_id"]: each
            for each in self._collection.find({"status": {"$in": ACTIVE}}, _FIELDS)
        }
        left = list(self._active - found.keys())
        gone = self._collection.find({"_id": {"$in": left}}, _FIELDS) if left else []
        for document in (*found.values(), *gone):
            self._note(document, document.get("status"))
        self._active = set(found)
        self._is_away = False

    def _note(self, document: Document, status: Any) -> None:
        key = document["_id"]
        former = self._known.pop(key, None)
        self._known[key] = status
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        if status != former:
            self._seen(StatusChange(document.get("uuid"), status, former, *_claim_of(document)))


def _claim_of(document: Document) -> tuple[int, str]:
    """Number and token of the attempt that holds a document, whatever that holds instead."""
    token = value_at(document, "conversion", "lease", "token")
    if not isinstance(token, str):
        return 0, ""
    attempts = value_at(document, "conversion", "attempts")
    before = attempts if isinstance(attempts, int) and not isinstance(attempts, bool) else 0
    return before + 1, token[:_TOKEN_PREFIX]
