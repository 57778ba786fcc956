"""Writes into the document what an attempt came to, however long MongoDB is away."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from scientistcloud.datasets.documents.document import Claim, PortalSummary
from scientistcloud.datasets.documents.retry import Fail, RetryAt, decide
from scientistcloud.errors import (
    ConversionError,
    DatabaseUnavailable,
    DeploymentError,
    OutOfSpace,
)
from scientistcloud.service.attempt_record import AttemptRecord
from scientistcloud.service.context import ServiceContext
from scientistcloud.service.outcome import LOST, Ending, Outcome

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 0.5
_LAST_CHANCE_SECONDS = 2.0
_KEPT = 20  # datasets told of in the document; metadata.json has them all


@dataclass(frozen=True, slots=True)
class _Settlement:
    """What is to be written, and what is to be told once it is."""

    ending: Ending
    write: Callable[[], bool]
    tell: Callable[[], None]


def settle(claim: Claim, outcome: Outcome, record: AttemptRecord, context: ServiceContext) -> bool:
    """Write `outcome` into the document of `claim`; False where the claim was lost meanwhile.

    While the service is stopping, an unreachable MongoDB is given up on after two seconds: the
    lease runs out by itself, and a finished result is adopted by the next owner.
    """
    settlement, ending = _settlement(claim, outcome, context), LOST
    try:
        matched = _write(settlement, context.stopping)
    except DatabaseUnavailable as error:
        matched = True  # as far as anybody knows
        log.warning("Cannot settle", reason=error.message)
    else:
        if matched:
            ending = settlement.ending
            settlement.tell()
        else:
            log.warning(f"The claim on dataset {claim.uuid} is lost")
    context.monitor.ended(claim, ending, record)
    return matched


def _write(settlement: _Settlement, stopping: threading.Event) -> bool:
    """Write as soon as MongoDB answers; False where the claim is lost.

    Raises
    ------
    DatabaseUnavailable
        It did not answer in the time that a service has that is about to end.
    """
    gives_up_at = None
    while True:
        try:
            return settlement.write()
        except DatabaseUnavailable:
            if stopping.is_set():
                gives_up_at = gives_up_at or time.monotonic() + _LAST_CHANCE_SECONDS
                if time.monotonic() > gives_up_at:
                    raise
        if stopping.wait(_RETRY_SECONDS):
            time.sleep(_RETRY_SECONDS)


def _settlement(claim: Claim, outcome: Outcome, context: ServiceContext) -> _Settlement:
    store = context.store
    if outcome.result is not None:
        result = outcome.result
        summary = _portal_summary(result)
        return _Settlement(
            Ending.done(result),
            lambda: store.complete(claim, summary),
            lambda: log.info(f"Finished conversion of dataset {claim.uuid}", **_facts(result)),
        )
    error = outcome.error
    if error is None:
        return _Settlement(
            Ending("released"),
            lambda: store.release(claim),
            lambda: log.info(f"Released dataset {claim.uuid}"),
        )
    if isinstance(error, DeploymentError):
        context.monitor.faults[error.code] = error.message
        log.error(f"This installation is incomplete: {error.message}", remedy=error.remedy)
    if isinstance(error, OutOfSpace):
        context.admission.note_full_disk()
    return _after_error(claim, error, context)


def _after_error(claim: Claim, error: ConversionError, context: ServiceContext) -> _Settlement:
    store, settings = context.store, context.settings
    decision = decide(
        error,
        attempt=claim.attempt,
        delays=claim.delays,
        lost=claim.lost,
        smaller=claim.smaller,
        max_attempts=settings.max_attempts,
        retry_delay_seconds=settings.retry_delay_seconds,
        random=random.random,
    )
    name = f"Conversion of dataset {claim.uuid}"
    match decision:
        case RetryAt(delay_seconds=delay_seconds, counted=counted):
            text = f"{name} is tried again in {delay_seconds:.0f} s: {error.message}"
            return _Settlement(
                Ending("retry", error.code),
                lambda: store.retry(claim, error, delay_seconds, counted=counted),
                lambda: log.warning(text, code=error.code),
            )
        case Fail(error=final, counted=counted):
            return _Settlement(
                Ending("failed", final.code),
                lambda: store.fail(claim, final, counted=counted),
                lambda: log.error(f"{name} failed: {final.message}", code=final.code),
            )


def _portal_summary(result: Mapping[str, Any]) -> PortalSummary:
    """What the portal's lists show of a result; the sizes of the main dataset, GB of 10^9 bytes."""
    main = result["datasets"][0]
    return PortalSummary(
        dimensions="x".join(str(n) for n in main["dims"]),
        data_size_gb=result["bytes_out"] / 1e9,
        result=_facts(result) | {"datasets": result["datasets"][:_KEPT]},
    )


def _facts(result: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("bytes_in", "bytes_out", "seconds", "cpu_seconds", "peak_rss_bytes", "adopted")
    return {key: result[key] for key in keys}
