"""One attempt from claim to settlement: starts the child, follows it, writes what came of it."""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from scientistcloud.conversion.options import Progress
from scientistcloud.conversion.publishing.generations import LOG, published_generation, withdraw
from scientistcloud.conversion.publishing.publish import Publication, close_staging, publish_log
from scientistcloud.datasets.documents.document import Claim
from scientistcloud.errors import (
    AttemptTimedOut,
    ConversionError,
    DatabaseUnavailable,
    HostBusy,
    ResourceLimit,
    StorageUnavailable,
    error_from_dict,
)
from scientistcloud.service.admission import Needs
from scientistcloud.service.attempt_record import AttemptRecord
from scientistcloud.service.confinement.limits import Limits, LimitsWatch
from scientistcloud.service.context import ServiceContext
from scientistcloud.service.heartbeat import Lease
from scientistcloud.service.outcome import LOST, Outcome
from scientistcloud.service.processes.channel import ChannelClosed, Message
from scientistcloud.service.processes.children import Child, WarmProcessFailed
from scientistcloud.service.settle import settle
from scientistcloud.service.work_order import (
    limits_of,
    order_for,
    publication_of,
    refuse_parameters,
)

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 0.25
_STOP_SECONDS = 5.0
_DIE_SECONDS = 1.0
_EXIT_SECONDS = 5.0
_DATABASE_RETRY_SECONDS = 0.5


def supervise(claim: Claim, context: ServiceContext) -> None:
    """Carry out one claim; returns when its document is settled or the claim is lost."""
    log.info(f"Processing conversion for dataset {claim.uuid}...")
    record = AttemptRecord()
    if claim.problem is not None:
        settle(claim, Outcome(error=claim.problem), record, context)
        return
    publication = publication_of(claim, context.settings)
    lease = context.heartbeat.hold(claim)
    try:
        outcome = _attempt(publication, lease, record, context)
    finally:
        context.heartbeat.drop(lease)
    record.enter("settling")
    lost = lease.lost.is_set()
    if lost:
        context.monitor.ended(claim, LOST, record)
    if lost or not _conclude(claim, outcome, publication, record, context):
        _clean_up_after_deletion(claim, outcome, publication, context)
    with _storage_may_fail():
        close_staging(publication, keep_partial=_is_to_go_on(claim, publication, context))


def _is_to_go_on(claim: Claim, publication: Publication, context: ServiceContext) -> bool:
    """Whether another attempt may use what this one, or one before it, has finished."""
    if not publication.is_partial:
        return False
    try:
        return claim.uuid in context.store.wanted([claim.uuid])
    except DatabaseUnavailable:
        return True  # whoever sweeps can tell later


def _conclude(
    claim: Claim,
    outcome: Outcome,
    publication: Publication,
    record: AttemptRecord,
    context: ServiceContext,
) -> bool:
    """Publish the log and settle; False where the claim was lost meanwhile."""
    was_stopped = outcome.result is None and outcome.error is None
    if not was_stopped:  # else no storage is touched: it may be what the service is stopped for
        with _storage_may_fail():
            _add_to_log(publication, outcome)
            publish_log(publication)
    return settle(claim, outcome, record, context)


@contextmanager
def _storage_may_fail() -> Iterator[None]:
    """What is left undone here costs no data: the log, or leftovers that the next owner removes."""
    try:
        yield
    except (OSError, ConversionError) as error:
        log.warning("Cannot tidy up", reason=str(error))


def _attempt(
    publication: Publication, lease: Lease, record: AttemptRecord, context: ServiceContext
) -> Outcome:
    claim = lease.claim
    refused = refuse_parameters(claim)
    if refused is not None:
        return Outcome(error=refused)
    limits = limits_of(context.settings)
    try:
        child = context.warm.launch(order_for(claim, publication, limits, context.settings))
    except WarmProcessFailed as error:
        if context.stopping.is_set():
            return Outcome()
        return Outcome(error=StorageUnavailable(f"No process could be started: {error}."))
    try:
        outcome = _Follower(child, limits, lease, record, context).follow()
        if outcome.error is not None and lease.plan is not None:
            with suppress(DatabaseUnavailable):  # only for show; the log has it too
                context.heartbeat.renew(lease)
        return outcome
    finally:
        context.admission.leave(claim.token)
        child.signal(signal.SIGKILL)
        child.wait(_DIE_SECONDS if context.stopping.is_set() else _EXIT_SECONDS)
        child.channel.close()


class _Follower:
    """Hears one child until it has ended."""

    def __init__(
        self,
        child: Child,
        limits: Limits,
        lease: Lease,
        record: AttemptRecord,
        context: ServiceContext,
    ) -> None:
        self._child = child
        self._record = record
        self._watch = LimitsWatch(limits)
        self._lease = lease
        self._context = context
        self._asked_to_stop: float | None = None
        self._last_progress = time.monotonic()
        self._outcome: Outcome | None = None
        self._handlers: dict[str, Callable[[Message], None]] = {
            "progress": self._on_progress,
            "plan": self._on_plan,
            "ready": self._on_ready,
            "done": self._on_done,
            "failed": self._on_failed,
            "stopped": self._on_stopped,
        }

    def follow(self) -> Outcome:
        while self._outcome is None:
            self._look_around()
            if not select.select([self._child.channel], [], [], _LOOK_SECONDS)[0]:
                continue
            try:
                message, _ = self._child.channel.receive()
            except ChannelClosed:
                return self._after_crash()
            for kind, handle in self._handlers.items():
                if kind in message:
                    handle(message)
        return self._outcome

    def _look_around(self) -> None:
        """Stop the child where nobody wants its result any more, or where it hangs."""
        now = time.monotonic()
        if self._is_unwanted():
            self._end_child(now)
            return
        timeout_seconds = self._context.settings.timeout_seconds
        if now - self._last_progress > timeout_seconds:
            self._outcome = Outcome(
                error=AttemptTimedOut(
                    f"The conversion made no progress for {timeout_seconds:.0f} seconds."
                )
            )
        outgrown = self._watch.look(self._child.pid, now)
        if outgrown is not None:
            self._outcome = Outcome(error=outgrown)

    def _is_unwanted(self) -> bool:
        """Whether nobody waits for the result any more; once so, it stays so."""
        return self._lease.lost.is_set() or self._context.stopping.is_set()

    def _end_child(self, now: float) -> None:
        """Ask the child to stop, kill it if it does not, and give up on one that does not die."""
        if self._asked_to_stop is None:
            self._tell({"stop": True})
            self._asked_to_stop = now
        waited_seconds = now - self._asked_to_stop
        if waited_seconds > _STOP_SECONDS:
            self._child.signal(signal.SIGKILL)
        if waited_seconds > _STOP_SECONDS + _DIE_SECONDS:
            # It hangs in the kernel, for storage that does not answer, and dies when that does.
            self._outcome = Outcome()

    def _on_progress(self, message: Message) -> None:
        progress = Progress(**message["progress"])
        if progress != self._lease.progress:
            self._last_progress = time.monotonic()
        self._lease.progress = progress
        self._record.enter(progress.phase)

    def _on_plan(self, message: Message) -> None:
        """Let the child begin if this host has room for it; else its dataset waits in the queue."""
        plan = message["plan"]
        self._record.enter("admission")
        needs = Needs(plan["memory_bytes"], plan["disk_bytes"])
        try:
            reason = self._context.admission.enter(self._lease.claim.token, needs)
        except ResourceLimit as error:
            self._outcome = Outcome(error=error)
            return
        if reason is not None:
            self._outcome = Outcome(error=HostBusy(reason))
            return
        self._lease.plan = plan  # the next renewal shows it
        self._tell({"go": True})

    def _on_ready(self, _: Message) -> None:
        """Let the child commit after one more renewal that succeeded, however long that takes."""
        self._lease.progress = Progress("publishing")
        self._record.enter("confirming")
        self._record.see_memory(self._child.pid)
        while not self._is_unwanted():
            try:
                if self._context.heartbeat.renew(self._lease):
                    self._record.enter("publishing")
                    self._tell({"commit": True})
                    self._last_progress = time.monotonic()
                return
            except DatabaseUnavailable:
                self._context.stopping.wait(_DATABASE_RETRY_SECONDS)

    def _on_done(self, message: Message) -> None:
        self._outcome = Outcome(result=message["done"])

    def _on_failed(self, message: Message) -> None:
        self._record.see_memory(self._child.pid)
        if message.get("trace"):
            log.info("The attempt failed with a traceback", trace=message["trace"])
        self._outcome = Outcome(error=error_from_dict(message["failed"]))

    def _on_stopped(self, _: Message) -> None:
        if self._asked_to_stop is None:
            # Its staging folder was taken away although the claim is ours: begin again.
            error = StorageUnavailable("The staging folder of the conversion was removed.")
            self._outcome = Outcome(error=error)
        else:
            self._outcome = Outcome()

    def _after_crash(self) -> Outcome:
        status = self._child.wait(_EXIT_SECONDS)
        if self._asked_to_stop is not None:
            return Outcome()
        return Outcome(error=self._watch.cause_of_end(status))

    def _tell(self, message: Message) -> None:
        try:
            self._child.channel.send(message)
        except ChannelClosed:
            log.debug("The child is gone already")


def _add_to_log(publication: Publication, outcome: Outcome) -> None:
    """The error as the last lines of the dataset's log, where the portal shows them."""
    error, log_path = outcome.error, publication.staging / LOG
    if error is not None and log_path.parent.is_dir():
        with log_path.open("a", encoding="utf-8") as lines:
            lines.write(f"FAILED {error.code}: {error.message}\nWhat to do: {error.remedy}\n")


def _clean_up_after_deletion(
    claim: Claim, outcome: Outcome, publication: Publication, context: ServiceContext
) -> None:
    """Remove what was published if the document was deleted in the last moment."""
    with _storage_may_fail():
        ours = published_generation(publication.target) == publication.generation
        if not ours and outcome.result is None:
            return
        if not context.store.exists(claim) and context.store.find(claim.uuid) is None:
            withdraw(publication.target)
