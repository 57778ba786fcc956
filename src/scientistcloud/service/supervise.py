"""One attempt from claim to settlement: starts the child, follows it, writes what came of it."""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import structlog

from scientistcloud import host
from scientistcloud.conversion.generations import LOG, published_generation, withdraw
from scientistcloud.conversion.options import Progress
from scientistcloud.conversion.publish import STAGING, Publication, close_staging, publish_log
from scientistcloud.datasets.document import Claim
from scientistcloud.errors import (
    AttemptTimedOut,
    ConversionError,
    DatabaseUnavailable,
    HostBusy,
    InvalidOptions,
    StorageUnavailable,
    error_from_dict,
)
from scientistcloud.service.admission import Needs
from scientistcloud.service.channel import ChannelClosed, Message
from scientistcloud.service.children import Child, WarmProcessFailed
from scientistcloud.service.heartbeat import Lease
from scientistcloud.service.limits import Limits, LimitsWatch
from scientistcloud.service.outcome import Outcome
from scientistcloud.service.settle import settle
from scientistcloud.service.surroundings import Surroundings
from scientistcloud.settings import Settings

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 0.25
_STOP_SECONDS = 5.0
_EXIT_SECONDS = 5.0
_DATABASE_RETRY_SECONDS = 0.5


def supervise(claim: Claim, around: Surroundings) -> None:
    """Carry out one claim; returns when its document is settled or the claim is lost."""
    log.info(
        f"Processing conversion for dataset {claim.uuid}...",
        dataset=claim.uuid,
        token=claim.token[:8],
        attempt=claim.attempt,
    )
    if claim.problem is not None:
        settle(claim, Outcome(error=claim.problem), around)
        return
    publication = publication_of(claim, around.settings)
    lease = around.heartbeat.hold(claim)
    try:
        outcome = _attempt(claim, publication, lease, around)
    finally:
        around.heartbeat.drop(lease)
    if lease.lost.is_set() or not _conclude(claim, outcome, publication, around):
        _clean_up_after_deletion(claim, outcome, publication, around)
    with _storage_may_fail(claim):
        close_staging(publication)


def _conclude(
    claim: Claim, outcome: Outcome, publication: Publication, around: Surroundings
) -> bool:
    """Publish the log and settle; False where the claim was lost meanwhile."""
    with _storage_may_fail(claim):
        _add_to_log(publication, outcome)
        publish_log(publication)
    return settle(claim, outcome, around)


@contextmanager
def _storage_may_fail(claim: Claim) -> Iterator[None]:
    """What is left undone here costs no data: the log, or leftovers that the next owner removes."""
    try:
        yield
    except (OSError, ConversionError) as error:
        log.warning("Cannot tidy up", dataset=claim.uuid, reason=str(error))


def publication_of(claim: Claim, settings: Settings) -> Publication:
    """Where the attempt of `claim` writes."""
    return Publication(
        target=settings.out_data_dir / claim.uuid,
        staging_root=settings.out_data_dir / STAGING,
        name=claim.uuid,
        token=claim.token,
    )


def _attempt(claim: Claim, publication: Publication, lease: Lease, around: Surroundings) -> Outcome:
    if claim.parameters is not None and not isinstance(claim.parameters, dict):
        return Outcome(
            error=InvalidOptions(
                "conversion_parameters must be an object with a name for each value, "
                f"not {type(claim.parameters).__name__}."
            )
        )
    limits = _limits(around.settings)
    order = _order(claim, publication, around.settings) | {"limits": asdict(limits)}
    try:
        child = around.warm.launch(order)
    except WarmProcessFailed as error:
        if around.stopping.is_set():
            return Outcome()
        return Outcome(error=StorageUnavailable(f"No process could be started: {error}."))
    try:
        return _Follower(child, limits, lease, around).follow()
    finally:
        around.admission.leave(claim.token)
        child.signal(signal.SIGKILL)
        child.wait(_EXIT_SECONDS)
        child.channel.close()


def _order(claim: Claim, publication: Publication, settings: Settings) -> dict[str, Any]:
    return {
        "source": str(settings.in_data_dir / claim.uuid),
        "target": str(publication.target),
        "staging_root": str(publication.staging_root),
        "name": publication.name,
        "token": publication.token,
        "request": claim.request_id,
        "options": {
            "sensor": claim.sensor if isinstance(claim.sensor, str | None) else str(claim.sensor),
            "parameters": claim.parameters or {},
            "memory_limit_bytes": settings.memory_limit_bytes,
            "threads": _threads(settings),
            "smaller": claim.smaller > 0,
        },
    }


def _threads(settings: Settings) -> int:
    return min(settings.cpu_limit, host.cores())


def _limits(settings: Settings) -> Limits:
    """The time limit of an attempt holds for each of its threads, the main one included."""
    cpu_seconds = settings.timeout_seconds * (_threads(settings) + 1)
    return Limits(settings.memory_limit_bytes, cpu_seconds)


class _Follower:
    """Hears one child until it has ended."""

    def __init__(self, child: Child, limits: Limits, lease: Lease, around: Surroundings) -> None:
        self._child = child
        self._watch = LimitsWatch(limits)
        self._lease = lease
        self._around = around
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
        wanted = not (self._lease.lost.is_set() or self._around.stopping.is_set())
        if not wanted and self._asked_to_stop is None:
            self._tell({"stop": True})
            self._asked_to_stop = now
        if self._asked_to_stop is not None and now - self._asked_to_stop > _STOP_SECONDS:
            self._child.signal(signal.SIGKILL)
        timeout_seconds = self._around.settings.timeout_seconds
        if wanted and now - self._last_progress > timeout_seconds:
            self._outcome = Outcome(
                error=AttemptTimedOut(
                    f"The conversion made no progress for {timeout_seconds:.0f} seconds."
                )
            )
        outgrown = self._watch.look(self._child.pid, now)
        if wanted and outgrown is not None:
            self._outcome = Outcome(error=outgrown)

    def _on_progress(self, message: Message) -> None:
        progress = Progress(**message["progress"])
        if progress != self._lease.progress:
            self._last_progress = time.monotonic()
        self._lease.progress = progress

    def _on_plan(self, message: Message) -> None:
        """Let the child begin if this host has room for it; else its dataset waits in the queue."""
        plan = message["plan"]
        needs = Needs(plan["memory_bytes"], plan["disk_bytes"])
        reason = self._around.admission.enter(self._lease.claim.token, needs)
        if reason is not None:
            self._outcome = Outcome(error=HostBusy(reason))
            return
        self._tell({"go": True})
        with suppress(DatabaseUnavailable):  # only for show; the log has it too
            self._around.store.describe(self._lease.claim, plan)

    def _on_ready(self, _: Message) -> None:
        """Let the child commit after one more renewal that succeeded, however long that takes."""
        self._lease.progress = Progress("publishing")
        while not (self._lease.lost.is_set() or self._around.stopping.is_set()):
            try:
                if self._around.heartbeat.renew(self._lease):
                    self._tell({"commit": True})
                    self._last_progress = time.monotonic()
                return
            except DatabaseUnavailable:
                self._around.stopping.wait(_DATABASE_RETRY_SECONDS)

    def _on_done(self, message: Message) -> None:
        self._outcome = Outcome(result=message["done"])

    def _on_failed(self, message: Message) -> None:
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
            log.debug("The child is gone already", dataset=self._lease.claim.uuid)


def _add_to_log(publication: Publication, outcome: Outcome) -> None:
    """The error as the last lines of the dataset's log, where the portal shows them."""
    error, log_path = outcome.error, publication.staging / LOG
    if error is not None and log_path.parent.is_dir():
        with log_path.open("a", encoding="utf-8") as lines:
            lines.write(f"FAILED {error.code}: {error.message}\nWhat to do: {error.remedy}\n")


def _clean_up_after_deletion(
    claim: Claim, outcome: Outcome, publication: Publication, around: Surroundings
) -> None:
    """Remove what was published if the document was deleted in the last moment."""
    with _storage_may_fail(claim):
        ours = published_generation(publication.target) == publication.generation
        if not ours and outcome.result is None:
            return
        if not around.store.exists(claim) and around.store.find(claim.uuid) is None:
            withdraw(publication.target)
