"""What one service tells of itself: metrics, health, traces; from before MongoDB is there."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import structlog

from scientistcloud.datasets.documents.document import Claim
from scientistcloud.datasets.reports.gauges import QueueGauges
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import DatabaseUnavailable
from scientistcloud.service.attempt_record import AttemptRecord
from scientistcloud.service.confinement.limits import resident_bytes
from scientistcloud.service.monitoring.endpoint import Endpoint
from scientistcloud.service.monitoring.liveness import Liveness
from scientistcloud.service.monitoring.metrics import ServiceMetrics
from scientistcloud.service.monitoring.status import ServiceStatus
from scientistcloud.service.monitoring.storage import StorageWatch, look_at_storage
from scientistcloud.service.monitoring.traces import open_traces
from scientistcloud.service.outcome import Ending
from scientistcloud.service.processes.children import WarmProcess
from scientistcloud.settings import Settings

log = structlog.get_logger(__name__)

_QUEUE_SECONDS = 15.0


class Monitor:
    """Watches one service; whatever hangs or is away, `status` answers at once.

    Attributes
    ----------
    liveness : Liveness
        Where the threads of the service report that they go round.
    storage : StorageWatch
        What the folders of the datasets looked like last.
    faults : dict
        What is wrong with this installation, by code: health is degraded while there is any.
    paused : dict
        Why this service claims nothing for the time being, by code.
    """

    def __init__(self, settings: Settings, owner: str, stopping: threading.Event) -> None:
        upload, converted = settings.in_data_dir, settings.out_data_dir
        self.liveness = Liveness()
        self.storage = StorageWatch(lambda: look_at_storage(upload, converted))
        self.metrics = ServiceMetrics(owner)
        self.metrics.watch(self.status)
        self._settings = settings
        self._stopping = stopping
        self._traces = open_traces(owner)
        self._endpoint = Endpoint(self.metrics.registry, self.status)
        self.faults: dict[str, str] = {}
        self.paused: dict[str, str] = {}
        self._store: DatasetStore | None = None
        self._warm: WarmProcess | None = None
        self._waiting_for = "It has not been reached yet."
        self._queue: QueueGauges | None = None
        self._queue_at = 0.0

    def start(self) -> None:
        """Look at the storage, and answer on METRICS_PORT."""
        self.storage.start(self._stopping)
        self._endpoint.serve(self._settings.metrics_port)

    def waits_for_database(self, reason: str) -> None:
        self._waiting_for = reason

    def attach(self, store: DatasetStore, warm: WarmProcess) -> None:
        """Watch these, too, now that they are there."""
        self._store, self._warm = store, warm
        threading.Thread(
            target=self._look_at_queue, args=(store,), name="queue-gauges", daemon=True
        ).start()

    def ended(self, claim: Claim, ending: Ending, record: AttemptRecord) -> None:
        """An attempt has ended like this."""
        record.end()
        self.metrics.ended(ending, record)
        self._traces.record(claim, ending, record)

    def stop(self) -> None:
        """Send what is left to be sent, and answer no more; returns within a second or two."""
        self._traces.close()
        self._endpoint.stop()

    def status(self) -> ServiceStatus:
        """What the service knows of itself now."""
        status = ServiceStatus(
            slots=self._settings.concurrency,
            database_problem=self._waiting_for,
            stopping=self._stopping.is_set(),
            storage_problem=self.storage.problem(),
            storage_seen=self.storage.has_answered,
            storage_free_bytes=self.storage.free_bytes,
            thread_ages_seconds=self.liveness.ages_seconds(),
        )
        store, warm = self._store, self._warm
        if store is None or warm is None:
            return status
        pids = warm.child_pids()
        return replace(
            status,
            database_problem=None,
            database_up=store.is_reachable,
            warm=warm.is_running,
            paused=dict(self.paused),
            faults=dict(self.faults),
            children=len(pids),
            children_memory_bytes=sum(resident_bytes(pid) for pid in pids),
            queue=self._queue,
            queue_age_seconds=time.monotonic() - self._queue_at,
        )

    def _look_at_queue(self, store: DatasetStore) -> None:
        while not self._stopping.is_set():
            try:
                self._queue = store.gauges()
                self._queue_at = time.monotonic()
            except DatabaseUnavailable as error:
                log.debug("Cannot count the datasets", reason=error.message)
            except Exception:
                # A server that refuses, or a bug: numbers on the queue are not worth a service.
                log.exception("Cannot count the datasets")
            self._stopping.wait(_QUEUE_SECONDS)
