"""The leases that this service holds, renewed from a thread that touches no dataset storage.

A hung network disk stops an attempt, never the heartbeat: so a lease is lost only if the host, the
process or its way to MongoDB is.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog

from scientistcloud.conversion.options import Progress
from scientistcloud.datasets.documents.document import Claim
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import DatabaseUnavailable
from scientistcloud.service.log_keys import log_keys
from scientistcloud.service.monitoring.monitor import Monitor

log = structlog.get_logger(__name__)

_TICK_SECONDS = 0.25
_SHOW_SECONDS = 0.5
_IDLE_SECONDS = 5.0
_LONG_AGO = float("-inf")
_BESIDE_COPYING = {
    "reading": (0.0, "Reading the input"),
    "verifying": (100.0, "Verifying"),
    "publishing": (100.0, "Publishing"),
}
"""Percent and sentence of the phases that tell no percentage of their own."""


class Lease:
    """One claim while its attempt runs.

    `lost` is set once the claim is somebody else's, or nobody's: from then on nothing of the
    attempt may become visible. `plan` is what is being made, until the document shows it.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.lost = threading.Event()
        self.progress = Progress("reading")
        self.lock = threading.Lock()
        self.renewed = time.monotonic()
        self.shown = self.progress
        self.plan: dict[str, Any] | None = None

    def report(self) -> tuple[float, str]:
        """Percent and sentence for the document."""
        progress = self.progress
        if progress.phase in _BESIDE_COPYING:
            return _BESIDE_COPYING[progress.phase]
        percent = 100.0 * progress.fraction
        return round(percent, 1), f"Converting: {percent:.0f} %"


class Heartbeat:
    """Renews every held lease each `renew_seconds`, and sooner where progress is to be shown."""

    def __init__(self, store: DatasetStore, renew_seconds: float, monitor: Monitor) -> None:
        self._store = store
        self._monitor = monitor
        self._renew_seconds = renew_seconds
        self._tick_seconds = min(_TICK_SECONDS, renew_seconds / 2)
        self._leases: dict[Any, Lease] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def hold(self, claim: Claim) -> Lease:
        lease = Lease(claim)
        with self._lock:
            self._leases[claim.id] = lease
        self._wake.set()  # it may sleep for long while it holds nothing
        return lease

    def drop(self, lease: Lease) -> None:
        """Renew it no more; waits for a renewal under way, so that settling comes last."""
        with self._lock:
            if self._leases.get(lease.claim.id) is lease:
                del self._leases[lease.claim.id]
        with lease.lock:
            pass

    @property
    def held(self) -> int:
        with self._lock:
            return len(self._leases)

    def check(self, document_id: object) -> None:
        """Somebody changed this document (None: perhaps any one): look at its lease at once."""
        with self._lock:
            leases = list(self._leases.values())
        for lease in leases:
            if document_id is None or lease.claim.id == document_id:
                lease.renewed = _LONG_AGO
                self._wake.set()

    def renew(self, lease: Lease) -> bool:
        """Renew now; False where the claim is lost.

        Raises
        ------
        DatabaseUnavailable
            It cannot be known; the lease may still hold.
        """
        with lease.lock:
            if lease.lost.is_set():
                return False
            shown = lease.progress
            if not self._write(lease):
                lease.lost.set()
                log.warning(
                    f"The claim on dataset {lease.claim.uuid} is lost", **log_keys(lease.claim)
                )
                return False
            lease.renewed, lease.shown = time.monotonic(), shown
            return True

    def _write(self, lease: Lease) -> bool:
        """Renew in the document; a plan goes with it once, lest a refused one cost the lease."""
        plan = lease.plan
        if plan is None:  # it may be told meanwhile
            return self._store.renew(lease.claim, lease.report())
        lease.plan = None
        try:
            return self._store.renew(lease.claim, lease.report(), plan)
        except DatabaseUnavailable:
            lease.plan = plan
            raise

    def _run(self) -> None:
        while not self._stop.is_set():
            self._monitor.liveness.beat("heartbeat")
            with self._lock:
                leases = list(self._leases.values())
            for lease in leases:
                if self._is_due(lease):
                    self._try_renew(lease)
                    self._monitor.liveness.beat("heartbeat")
            self._wake.wait(self._tick_seconds if leases else _IDLE_SECONDS)
            self._wake.clear()

    def _is_due(self, lease: Lease) -> bool:
        if lease.lost.is_set():
            return False
        shown = lease.progress == lease.shown and lease.plan is None
        patience_seconds = self._renew_seconds if shown else min(self._renew_seconds, _SHOW_SECONDS)
        return time.monotonic() - lease.renewed >= patience_seconds

    def _try_renew(self, lease: Lease) -> None:
        try:
            self.renew(lease)
        except DatabaseUnavailable as error:
            self._monitor.metrics.renewal_failed()
            log.warning("Cannot renew a lease now", reason=error.message, **log_keys(lease.claim))
        except Exception:
            # A bug, or a server that refuses: the other leases must not be lost by it.
            self._monitor.metrics.renewal_failed()
            log.exception("Cannot renew a lease", **log_keys(lease.claim))
