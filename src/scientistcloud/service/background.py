"""The background service: claims queued datasets and has them converted, one child each."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

import pymongo
import structlog
from pymongo.errors import PyMongoError

from scientistcloud.database.connection import connect
from scientistcloud.datasets.documents.document import Claim, DatasetStatus
from scientistcloud.datasets.services import ServiceRegistry
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.datasets.watching.changes import watch_queue
from scientistcloud.errors import (
    BadSettings,
    DatabaseUnavailable,
    MissingLibrary,
    OutOfSpace,
    StorageUnavailable,
)
from scientistcloud.release import __version__
from scientistcloud.service.admission import Admission
from scientistcloud.service.context import ServiceContext
from scientistcloud.service.heartbeat import Heartbeat
from scientistcloud.service.log_keys import log_keys
from scientistcloud.service.monitoring.monitor import Monitor
from scientistcloud.service.monitoring.storage import make_folder
from scientistcloud.service.processes import allocator
from scientistcloud.service.processes.children import WarmProcess, WarmProcessFailed
from scientistcloud.service.rescuer import Rescuer
from scientistcloud.service.supervise import supervise
from scientistcloud.settings import Settings

log = structlog.get_logger(__name__)

_EXIT_SECONDS = 8.0
_OUTAGE_SECONDS = 1.0
_LONGEST_SLEEP_SECONDS = 30.0
_DRAIN_LOOK_SECONDS = 0.5


def run_service(settings: Settings, *, drain: bool = False) -> int:
    """Run until a signal ends it or, with `drain`, until the queue is empty.

    Returns the exit status. The first SIGTERM or SIGINT releases the running attempts and returns
    within 10 s; a second one ends the process at once.

    Raises
    ------
    BadSettings
        There is no MONGO_URL.
    """
    allocator.keep_little()
    service = BackgroundService(settings)
    stop_on_signals(service.stop)
    return service.run(drain=drain)


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` at the first SIGTERM or SIGINT, and end the process at once at the second."""
    received = []

    def handle(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            os._exit(128 + number)
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def worker_name() -> str:
    """A name for this service in leases and logs: unique, and telling where it runs."""
    return f"sc_worker_{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(3)}"


class BackgroundService:
    """One service: a dispatcher, a thread for each attempt, and those that look after them."""

    def __init__(self, settings: Settings) -> None:
        if settings.mongo_url is None:
            raise BadSettings(
                "MONGO_URL is not set, so there is no database to work for.",
                remedy="Set MONGO_URL, or run 'scientistcloud up', which brings its own MongoDB.",
            )
        self.owner = worker_name()
        self._settings = settings
        self._url = settings.mongo_url.get_secret_value()
        self._wake = threading.Event()
        self._slots = threading.Semaphore(settings.concurrency)
        self._running: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._monitor = Monitor(settings, self.owner, self._stopping)

    def stop(self) -> None:
        """Release what is running and let `run` return; safe from a signal handler."""
        self._stopping.set()
        self._wake.set()

    def run(self, *, drain: bool = False) -> int:
        """Serve until `stop` or, with `drain`, until nothing is queued; returns the exit status."""
        log.info(f"Starting SC_BackgroundService worker {self.owner}")
        make_folder(self._settings.out_data_dir)
        self._monitor.start()
        context = self._connect_context()
        if context is None:
            self._monitor.stop()
            return 0
        registry = ServiceRegistry(
            context.store.collection.database,
            self.owner,
            version=__version__,
            facts={
                "places": self._settings.concurrency,
                "limit_per_user": self._settings.max_converting_per_user,
            },
        )
        try:
            self._start_warm(context)
            self._monitor.attach(context.store, context.warm)
            context.heartbeat.start()
            Rescuer(context, registry).start()
            self._watch(context)
            self._dispatch(context, drain=drain)
        finally:
            self._shut_down(context, registry)
        log.info(f"Stopped SC_BackgroundService worker {self.owner}")
        return 0

    def _connect_context(self) -> ServiceContext | None:
        """Everything connected, however long MongoDB takes to come up; None if stopped before."""
        settings = self._settings
        while not self._stopping.is_set():
            try:
                client = connect(self._url)
                store = DatasetStore(
                    client[settings.db_name],
                    collection=settings.collection,
                    owner=self.owner,
                    lease_seconds=settings.lease_seconds,
                    limit_per_user=settings.max_converting_per_user,
                    foreign_claim_minutes=settings.foreign_claim_minutes,
                )
                store.ensure_indexes()
            except DatabaseUnavailable as error:
                log.warning(f"Waiting for MongoDB: {error.message}", remedy=error.remedy)
                self._monitor.waits_for_database(error.message)
                self._stopping.wait(_OUTAGE_SECONDS)
            else:
                heartbeat = Heartbeat(store, settings.renew_seconds, self._monitor)
                admission = Admission(settings.out_data_dir)
                return ServiceContext(
                    settings,
                    store,
                    WarmProcess(self._stopping),
                    heartbeat,
                    admission,
                    self._monitor,
                    self._stopping,
                )
        return None

    def _start_warm(self, context: ServiceContext) -> None:
        try:
            context.warm.start()
        except WarmProcessFailed as error:
            if self._stopping.is_set():
                return
            raise MissingLibrary(
                f"The process that converts cannot be started: {error}. Its own words are above."
            ) from error

    def _watch(self, context: ServiceContext) -> None:
        """Let a thread wake the dispatcher, and the heartbeat when a held document is edited."""
        thread = threading.Thread(
            target=watch_queue,
            args=(context.store.collection, self._wake.set, self._stopping),
            kwargs={"touched": context.heartbeat.check},
            name="queue-watch",
            daemon=True,
        )
        thread.start()

    def _dispatch(self, context: ServiceContext, *, drain: bool) -> None:
        """Claim while there is a free slot and something due; sleep until something changes."""
        while not self._stopping.is_set():
            self._monitor.liveness.beat("dispatcher")
            if self._is_paused(context) or not self._slots.acquire(timeout=_OUTAGE_SECONDS):
                continue
            self._wake.clear()
            sleep_seconds = _OUTAGE_SECONDS
            try:
                claim = context.store.claim()
                if claim is not None:
                    self._start(claim, context)
                    continue
                if drain and self._is_drained(context):
                    return
                sleep_seconds = self._sleep_seconds(context, drain=drain)
            except DatabaseUnavailable as error:
                log.warning("Cannot look into the queue", reason=error.message)
            except PyMongoError:
                # The server answers, but refuses: an operator may be at it.
                log.exception("Cannot look into the queue")
            self._slots.release()
            self._wake.wait(sleep_seconds)

    def _is_paused(self, context: ServiceContext) -> bool:
        """Wait a little while this host cannot take anything on, and say so. Touches no storage."""
        storage = self._monitor.storage
        reasons = {
            StorageUnavailable.__name__: storage.problem(),
            OutOfSpace.__name__: context.admission.pause_reason(storage.free_bytes),
        }
        paused = {code: reason for code, reason in reasons.items() if reason is not None}
        for code in paused.keys() - context.monitor.paused.keys():
            log.warning(f"Nothing is claimed for the time being: {paused[code]}", code=code)
        if context.monitor.paused and not paused:
            log.info("Datasets are claimed again")
        context.monitor.paused = paused
        if paused:
            self._stopping.wait(_OUTAGE_SECONDS)
        return bool(paused)

    def _start(self, claim: Claim, context: ServiceContext) -> None:
        thread = threading.Thread(
            target=self._carry_out, args=(claim, context), name=f"attempt-{claim.uuid}", daemon=True
        )
        with self._lock:
            self._running.add(thread)
        thread.start()

    def _carry_out(self, claim: Claim, context: ServiceContext) -> None:
        try:
            # Every line of this thread tells which attempt it is about.
            structlog.contextvars.bind_contextvars(**log_keys(claim))
            with self._monitor.metrics.attempt():
                supervise(claim, context)
        except Exception:
            # A bug of ours: the lease runs out by itself, so the dataset is not lost by it.
            log.exception(f"The attempt on dataset {claim.uuid} was given up")
        finally:
            with self._lock:
                self._running.discard(threading.current_thread())
            self._slots.release()
            self._wake.set()

    def _is_drained(self, context: ServiceContext) -> bool:
        with self._lock:
            if self._running:
                return False
        return context.store.counts().get(DatasetStatus.QUEUED, 0) == 0

    def _sleep_seconds(self, context: ServiceContext, *, drain: bool) -> float:
        """Until the next waiting dataset is due, but no longer than a missed wake-up may cost."""
        longest = _DRAIN_LOOK_SECONDS if drain else _LONGEST_SLEEP_SECONDS
        due = context.store.next_due_seconds()
        return longest if due is None else min(longest, max(due, 0.01))

    def _shut_down(self, context: ServiceContext, registry: ServiceRegistry) -> None:
        """Let the attempts settle, then end every process that we started."""
        self.stop()
        deadline = time.monotonic() + _EXIT_SECONDS
        with self._lock:
            running = list(self._running)
        for thread in running:
            thread.join(max(0.0, deadline - time.monotonic()))
        context.warm.stop(timeout_seconds=0.5)
        context.heartbeat.stop()
        self._monitor.stop()
        try:
            with pymongo.timeout(_OUTAGE_SECONDS):
                registry.leave()
        except DatabaseUnavailable:
            log.debug("MongoDB is away: this service's entry runs out by itself")
