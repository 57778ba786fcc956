"""What happens to the datasets, told to all who listen in this process: `EventHub`."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from pymongo.errors import OperationFailure, PyMongoError

from scientistcloud.api.context import ApiContext
from scientistcloud.database.connection import database_errors
from scientistcloud.datasets.catalogue.facts import (
    error_of,
    percent_of,
    seconds_left,
    stage_of,
)
from scientistcloud.datasets.documents.collection import Document
from scientistcloud.datasets.documents.document import DatasetStatus
from scientistcloud.datasets.reports.overview import describe
from scientistcloud.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

_REMEMBERED = 10_000
_LONGEST_QUEUE = 1000
_AWAIT_MS = 500
_RETRY_SECONDS = 1.0
_QUIET_FIELDS = frozenset({"conversion", "updated_at"})


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one dataset.

    Attributes
    ----------
    id : str
        The place in MongoDB's change stream, from which any process can go on.
    document : dict
        As it is now, or was last, for the rights of those who listen.
    """

    id: str
    kind: str
    document: Document
    data: dict[str, Any]


class Listener:
    """One listener's queue; `is_late` once it could not take any more."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Event] = asyncio.Queue(_LONGEST_QUEUE)
        self.is_late = False

    def offer(self, event: Event) -> None:
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.is_late = True


class EventHub:
    """Follows the change stream in a thread, and hands each event to every listener."""

    def __init__(self, context: ApiContext, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop
        self._listeners: set[Listener] = set()
        self._recent: deque[Event] = deque(maxlen=_REMEMBERED)
        self._known: OrderedDict[Any, Document] = OrderedDict()
        self._token: Any = None
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_seconds: float) -> None:
        self._thread.join(timeout_seconds)

    def listen(self, last_id: str = "") -> tuple[Listener, list[Event] | None]:
        """A listener, and what it missed since `last_id`; None where nobody remembers that far.

        To be called in the loop, so that no event comes between.
        """
        listener = Listener()
        self._listeners.add(listener)
        if not last_id:
            return listener, []
        ids = [each.id for each in self._recent]
        if last_id in ids:
            return listener, list(self._recent)[ids.index(last_id) + 1 :]
        return listener, None

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def missed(self, last_id: str) -> list[Event] | None:
        """What MongoDB itself remembers since `last_id`; None where that is too long ago."""
        try:
            with database_errors(), self._stream({"_data": last_id}) as stream:
                found = []
                while (change := stream.try_next()) is not None:
                    found += list(self._events(change))
                return found[:_REMEMBERED]
        except (OperationFailure, DatabaseUnavailable):
            return None

    def _run(self) -> None:
        stopping = self._context.stopping
        while not stopping.is_set():
            try:
                with database_errors(), self._stream(self._token) as stream:
                    while not stopping.is_set() and stream.alive:
                        change = stream.try_next()
                        self._token = stream.resume_token
                        for event in self._events(change) if change else ():
                            self._loop.call_soon_threadsafe(self._tell, event)
            except DatabaseUnavailable:
                stopping.wait(_RETRY_SECONDS)
            except PyMongoError as error:
                log.warning("Events cannot be followed", reason=str(error)[:200])
                self._token = None
                stopping.wait(_RETRY_SECONDS)
            except RuntimeError:  # the loop has ended
                return

    def _stream(self, token: Any) -> Any:
        return self._context.datasets.raw.watch(
            full_document="updateLookup", resume_after=token, max_await_time_ms=_AWAIT_MS
        )

    def _tell(self, event: Event) -> None:
        self._recent.append(event)
        for listener in self._listeners:
            listener.offer(event)

    def _events(self, change: Document) -> Iterator[Event]:
        key, event_id = change.get("documentKey", {}).get("_id"), str(change["_id"]["_data"])
        if change.get("operationType") == "delete":
            known = self._known.pop(key, None)
            if known is not None:
                yield Event(event_id, "deleted", known, {"uuid": known.get("uuid")})
            return
        document = change.get("fullDocument")
        if not document:
            return
        self._known[key] = {k: v for k, v in document.items() if k != "conversion"}
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        updated = change.get("updateDescription", {}).get("updatedFields")
        if updated is not None and all(name.split(".")[0] in _QUIET_FIELDS for name in updated):
            return  # a lease was renewed: nothing that anybody sees
        yield Event(event_id, "dataset", document, self._shown(document))

    def _shown(self, document: Document) -> dict[str, Any]:
        shown = {
            "uuid": document.get("uuid"),
            "name": document.get("name"),
            "status": document.get("status"),
            "stage": stage_of(document),
            "percent": percent_of(document),
            "seconds_left": seconds_left(document),
            "message": document.get("status_message"),
            "error": error_of(document),
        }
        if document.get("status") == DatasetStatus.QUEUED:
            place = describe(self._context.datasets, document)
            shown["queue_position"], shown["waiting"] = place["position"], place["waiting"]
        return shown
