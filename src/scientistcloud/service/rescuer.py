"""Takes over what others left: expired leases, abandoned claims, replaced generations."""

from __future__ import annotations

import random
import threading
import time

import structlog

from scientistcloud.conversion.publishing.generations import sweep
from scientistcloud.conversion.publishing.leftovers import (
    close_abandoned,
    drop_partial,
    finish_revoked,
)
from scientistcloud.conversion.publishing.staged import STAGING
from scientistcloud.datasets.services import ServiceRegistry
from scientistcloud.errors import DatabaseUnavailable
from scientistcloud.service.context import ServiceContext
from scientistcloud.service.log_keys import log_keys

log = structlog.get_logger(__name__)

_RESCUE_SECONDS = 5.0
_SWEEP_SECONDS = 300.0


class Rescuer:
    """A thread that looks after the queue as a whole, at intervals with jitter."""

    def __init__(self, context: ServiceContext, registry: ServiceRegistry) -> None:
        self._context = context
        self._registry = registry
        self._indexed = False
        self._thread = threading.Thread(target=self._run, name="rescuer", daemon=True)
        self._interval_seconds = min(_RESCUE_SECONDS, context.settings.lease_seconds / 3)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        threading.Thread(target=self._sweep_often, name="sweeper", daemon=True).start()
        while not self._context.stopping.is_set():
            self._context.monitor.liveness.beat("rescuer")
            # Apart, because a service may be allowed the one and not the other.
            for duty in (self._rescue, self._report):
                try:
                    duty()
                except DatabaseUnavailable as error:
                    log.warning("MongoDB cannot be reached", reason=error.message)
                except Exception:
                    # A bug, or a server that refuses: the other duty must not suffer.
                    log.exception("A duty of the rescuer failed")
            self._context.stopping.wait(self._interval_seconds * random.uniform(0.8, 1.2))

    def _report(self) -> None:
        self._indexed = self._indexed or self._registry.ensure_index()
        faults = self._context.monitor.faults | self._context.monitor.paused
        self._registry.beat(self._context.heartbeat.held, faults=faults)

    def _rescue(self) -> None:
        rescued = self._context.store.rescue()
        self._context.monitor.metrics.rescued(lost=len(rescued.lost), foreign=len(rescued.foreign))
        for claim in rescued.lost:
            log.warning(
                f"Rescued dataset {claim.uuid} from {claim.owner}, which is gone",
                **log_keys(claim),
            )
        for document_id in rescued.foreign:
            log.warning("Took over a conversion that nobody attends to", document=str(document_id))

    def _sweep_often(self) -> None:
        """In a thread of its own: the storage may hang, rescuing must not."""
        interval_seconds = min(_SWEEP_SECONDS, max(1.0, self._context.settings.grace_seconds / 4))
        while not self._context.stopping.is_set():
            started = time.monotonic()
            for duty in (self._context.store.clear_cancelled, self._sweep):
                try:
                    duty()
                except OSError as error:
                    log.warning("Cannot remove what is left over", reason=str(error))
                except DatabaseUnavailable as error:
                    log.warning("MongoDB cannot be reached", reason=error.message)
                except Exception:
                    # As above: else nothing would ever be removed again.
                    log.exception("A duty of the sweeper failed")
            took_seconds = time.monotonic() - started
            self._context.stopping.wait(max(1.0, interval_seconds - took_seconds))

    def _sweep(self) -> None:
        settings, store = self._context.settings, self._context.store
        converted, grace_seconds = settings.out_data_dir, settings.grace_seconds
        staging_root = converted / STAGING
        sweep(staging_root, converted, grace_seconds)
        finish_revoked(staging_root, converted)
        closed = close_abandoned(staging_root, converted, grace_seconds, store.held_tokens)
        dropped = drop_partial(staging_root, converted, store.wanted)
        for name in (*closed, *dropped):
            text = f"Removed what an attempt on dataset {name} had left"
            log.info(text, dataset=name, attempt=0, token="")  # several attempts, perhaps
