"""What happens to the documents, as it happens: a change stream, or polling where there is none."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pymongo.change_stream import ChangeStream
from pymongo.collection import Collection
from pymongo.errors import OperationFailure, PyMongoError

from scientistcloud.database.connection import is_away, is_refused
from scientistcloud.datasets.documents.document import DatasetStatus

QUEUED = DatasetStatus.QUEUED.value

POLL_SECONDS = 1.0
"""Time between polls, +-25 %, where there is no change stream."""

AWAIT_SECONDS = 1.0
"""How long one question to an idle stream waits at the server: bounds the time to stop."""

POLLS_BEFORE_NEW_TRY = 60
LONGEST_PAUSE_SECONDS = 5.0

NO_REPLICA_SET = 40573
NOT_SUPPORTED = frozenset({NO_REPLICA_SET, 20, 40324, 59, 115})
"""Standalone servers, and databases that speak MongoDB's protocol without change streams."""

# The service's own settlements drop the lease: nobody needs to hear of them. A foreign writer
# leaves it in place.
_SETTLED = [DatasetStatus.DONE.value, DatasetStatus.FAILED.value]
_OWN_WRITES = [*_SETTLED, DatasetStatus.CONVERTING.value]
_STATUS = "updateDescription.updatedFields.status"
PIPELINE: list[dict[str, Any]] = [
    {
        "$match": {
            "$or": [
                {"operationType": "insert", "fullDocument.status": QUEUED},
                {"operationType": "update", _STATUS: {"$exists": True, "$nin": _OWN_WRITES}},
                {
                    "operationType": "update",
                    _STATUS: {"$in": _SETTLED},
                    "updateDescription.removedFields": {"$ne": "conversion.lease"},
                },
                # The server logs a small document's update as its replacement.
                {"operationType": "replace", "fullDocument.status": {"$nin": _OWN_WRITES}},
                {
                    "operationType": "replace",
                    "fullDocument.status": {"$in": _SETTLED},
                    "fullDocument.conversion.lease": {"$exists": True},
                },
                {"operationType": "delete"},
                {"operationType": "invalidate"},
            ]
        }
    },
    {"$project": {"operationType": 1, "documentKey": 1, _STATUS: 1, "fullDocument.status": 1}},
]
"""Only the events that matter, and of them only what is needed (and the resume token)."""


def watch_queue(
    collection: Collection[dict[str, Any]],
    wake: Callable[[], None],
    stop: threading.Event,
    touched: Callable[[Any], None] = lambda _: None,
    *,
    watching: Callable[[bool], None] = lambda _: None,
) -> None:
    """Report changes until `stop` is set: the body of a thread.

    Parameters
    ----------
    collection : Collection
        The datasets (`DatasetStore.collection`).
    wake : callable
        Called when there may be something to claim; also after every gap in the watch, so that
        nothing is missed.
    touched : callable
        Called with the `_id` of a document whose status somebody else changed or that was deleted
        (its claim, if it is ours, is to be looked at), and with None where any document may have
        changed: after a gap, and at each poll.
    watching : callable
        Called with True when a change stream has begun to tell of changes, with False when it
        ended or where there is none.
    """
    pause = 0.25
    while not stop.is_set():
        try:
            with collection.watch(
                PIPELINE, max_await_time_ms=round(AWAIT_SECONDS * 1000)
            ) as stream:
                pause = 0.25
                watching(True)
                # After the stream is open, so that nothing falls in between.
                _report_gap(wake, touched)
                _follow(stream, wake, touched, stop)
            watching(False)
        except PyMongoError as error:
            watching(False)
            if cannot_watch(error):
                _poll(wake, touched, stop)
            elif isinstance(error, OperationFailure) or is_away(error):
                pause = _pause(stop, pause)
            else:
                raise


def cannot_watch(error: BaseException | None) -> bool:
    """Whether there is no change stream to be had: not from this server, or not by this user."""
    unsupported = isinstance(error, OperationFailure) and error.code in NOT_SUPPORTED
    return unsupported or is_refused(error)


def _follow(
    stream: ChangeStream[dict[str, Any]],
    wake: Callable[[], None],
    touched: Callable[[Any], None],
    stop: threading.Event,
) -> None:
    while not stop.is_set() and stream.alive:
        event = stream.try_next()
        if event is not None:
            _report(event, wake, touched)


def _report(
    event: Mapping[str, Any], wake: Callable[[], None], touched: Callable[[Any], None]
) -> None:
    kind = event["operationType"]
    if kind == "invalidate":
        return
    changes = event.get("updateDescription", {}).get("updatedFields", {})
    status = changes.get("status", event.get("fullDocument", {}).get("status"))
    if status == QUEUED:
        wake()
    if kind != "insert":
        touched(event["documentKey"]["_id"])


def _poll(wake: Callable[[], None], touched: Callable[[Any], None], stop: threading.Event) -> None:
    """Report that anything may have changed, for about a minute."""
    for _ in range(POLLS_BEFORE_NEW_TRY):
        _report_gap(wake, touched)
        if stop.wait(POLL_SECONDS * random.uniform(0.75, 1.25)):
            return


def _report_gap(wake: Callable[[], None], touched: Callable[[Any], None]) -> None:
    wake()
    touched(None)


def _pause(stop: threading.Event, seconds: float) -> float:
    """Wait before the next try, spread over the services; the length of the next pause."""
    stop.wait(seconds * random.uniform(0.75, 1.25))
    return min(seconds * 2, LONGEST_PAUSE_SECONDS)
