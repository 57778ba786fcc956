"""Writes into the document what an attempt came to, however long MongoDB is away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from scientistcloud.datasets.document import Claim, PortalSummary
from scientistcloud.datasets.retry import Fail, RetryAt, decide
from scientistcloud.errors import (
    ConversionError,
    DatabaseUnavailable,
    DeploymentError,
    OutOfSpace,
)
from scientistcloud.service.outcome import Outcome
from scientistcloud.service.surroundings import Surroundings

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 0.5
_LAST_CHANCE_SECONDS = 2.0
_KEPT = 20  # datasets told of in the document; metadata.json has them all


def settle(claim: Claim, outcome: Outcome, around: Surroundings) -> bool:
    """Write `outcome` into the document of `claim`; False where the claim was lost meanwhile.

    While the service is stopping, an unreachable MongoDB is given up on after two seconds: the
    lease runs out by itself, and a finished result is adopted by the next owner.
    """
    around.metrics.settled(outcome)
    transition = _transition(claim, outcome, around)
    gave_up_at = None
    while True:
        try:
            matched = transition()
        except DatabaseUnavailable as error:
            if around.stopping.is_set():
                gave_up_at = gave_up_at or time.monotonic() + _LAST_CHANCE_SECONDS
                if time.monotonic() > gave_up_at:
                    log.warning("Cannot settle", dataset=claim.uuid, reason=error.message)
                    return True
            around.stopping.wait(_RETRY_SECONDS)
            time.sleep(_RETRY_SECONDS if around.stopping.is_set() else 0)
        else:
            if not matched:
                log.warning(f"The claim on dataset {claim.uuid} is lost", dataset=claim.uuid)
            return matched


def _transition(claim: Claim, outcome: Outcome, around: Surroundings) -> Callable[[], bool]:
    store = around.store
    if outcome.result is not None:
        result = outcome.result
        log.info(f"Finished conversion of dataset {claim.uuid}", **_summary(claim, result))
        return lambda: store.complete(claim, portal_summary(result))
    error = outcome.error
    if error is None:
        log.info(f"Released dataset {claim.uuid}", dataset=claim.uuid)
        return lambda: store.release(claim)
    if isinstance(error, DeploymentError):
        around.faults[error.code] = error.message
        log.error(f"This installation is incomplete: {error.message}", remedy=error.remedy)
    return _after_error(claim, error, around)


def _after_error(claim: Claim, error: ConversionError, around: Surroundings) -> Callable[[], bool]:
    store, settings = around.store, around.settings
    if isinstance(error, OutOfSpace):
        around.admission.note_full_disk()
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
    match decision:
        case RetryAt(delay_seconds=delay_seconds, counted=counted):
            log.warning(
                f"Conversion of dataset {claim.uuid} is tried again in {delay_seconds:.0f} s: "
                f"{error.message}",
                dataset=claim.uuid,
                code=error.code,
            )
            return lambda: store.retry(claim, error, delay_seconds, counted=counted)
        case Fail(error=final, counted=counted):
            log.error(
                f"Conversion of dataset {claim.uuid} failed: {final.message}",
                dataset=claim.uuid,
                code=final.code,
            )
            return lambda: store.fail(claim, final, counted=counted)


def portal_summary(result: Mapping[str, Any]) -> PortalSummary:
    """What the portal's lists show of a result; the sizes of the main dataset, GB of 10^9 bytes."""
    main = result["datasets"][0]
    kept = ("bytes_in", "bytes_out", "seconds", "cpu_seconds", "peak_rss_bytes", "adopted")
    return PortalSummary(
        dimensions="x".join(str(n) for n in main["dims"]),
        data_size_gb=result["bytes_out"] / 1e9,
        result={key: result[key] for key in kept} | {"datasets": result["datasets"][:_KEPT]},
    )


def _summary(claim: Claim, result: dict[str, object]) -> dict[str, object]:
    keys = ("bytes_in", "bytes_out", "seconds", "cpu_seconds", "peak_rss_bytes", "adopted")
    return {"dataset": claim.uuid} | {key: result[key] for key in keys if key in result}
