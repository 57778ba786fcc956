"""What becomes of a failed attempt: the error's class and a few counts decide, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scientistcloud.errors import (
    ConversionError,
    DeploymentError,
    HostBusy,
    HostLost,
    InternalError,
    OutOfMemory,
    PermanentError,
    ResourceLimit,
    TransientError,
    UnexpectedError,
)

LOST_LIMIT = 20
"""Hosts or leases that one request may lose before it is given up."""

_BUSY_DOUBLINGS = 3
"""Room is found soon where others end; many that wait long must not keep the services busy."""
LONGEST_DELAY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Queue it again, due after a delay; `counted` attempts are limited in number."""

    delay_seconds: float
    counted: bool


@dataclass(frozen=True, slots=True)
class Fail:
    """Give it up with this error; `counted` if this attempt was one of the limited ones."""

    error: ConversionError
    counted: bool = False


def decide(
    error: ConversionError,
    *,
    attempt: int,
    max_attempts: int,
    retry_delay_seconds: float,
    delays: int = 0,
    lost: int = 0,
    smaller: int = 0,
    random: Callable[[], float] = lambda: 0.5,
) -> RetryAt | Fail:
    """Decide the fate of the dataset after an attempt ended with `error`.

    Parameters
    ----------
    attempt : int
        Number of the attempt that failed, from 1 (`Claim.attempt`).
    max_attempts : int
        Counted attempts in all (`JOB_MAX_RETRY_ATTEMPTS`).
    retry_delay_seconds : float
        Delay after the first failure; it doubles with each one, up to ten minutes (or to itself
        where it is longer).
    delays : int
        Uncounted delays so far (`Claim.delays`).
    lost : int
        Hosts lost so far, this one not included (`Claim.lost`).
    smaller : int
        How often memory did not suffice so far (`Claim.smaller`): a second time is the last one.
    random : callable
        Uniform in [0, 1): spreads the delays by +-25 %.
    """
    if isinstance(error, PermanentError):
        return Fail(error)
    if isinstance(error, HostLost):
        return Fail(error) if is_last_loss(lost) else RetryAt(0.0, counted=False)
    if isinstance(error, OutOfMemory) and smaller:
        return Fail(_too_large(error))
    if isinstance(error, OutOfMemory):
        return RetryAt(_delay_seconds(0, retry_delay_seconds, random), counted=False)
    if isinstance(error, HostBusy):
        doubled = min(delays, _BUSY_DOUBLINGS)
        return RetryAt(_delay_seconds(doubled, retry_delay_seconds, random), counted=False)
    if isinstance(error, DeploymentError) or (
        isinstance(error, TransientError) and not error.counted
    ):
        return RetryAt(_delay_seconds(delays, retry_delay_seconds, random), counted=False)
    if attempt < max_attempts:
        return RetryAt(_delay_seconds(attempt - 1, retry_delay_seconds, random), counted=True)
    return Fail(_final(error), counted=True)


def is_last_loss(lost: int) -> bool:
    """Whether a request that has lost so many hosts is given up if it loses another."""
    return lost >= LOST_LIMIT


def _delay_seconds(failures: int, first_seconds: float, random: Callable[[], float]) -> float:
    """Exponential from `first_seconds`, limited, +-25 %."""
    limit = max(LONGEST_DELAY_SECONDS, first_seconds)
    # 2**30 is beyond any limit and no overflow.
    delay = min(first_seconds * 2.0 ** min(failures, 30), limit)
    return min(delay * (0.75 + 0.5 * random()), limit)


def _too_large(error: OutOfMemory) -> ConversionError:
    final = ResourceLimit(
        f"{error.message} A second attempt with a smaller plan did not suffice either.",
        remedy="Raise CONVERSION_MEMORY_LIMIT or convert it on a larger host; else save the data "
        "in smaller chunks, strips or tiles, or split the dataset.",
    )
    final.__cause__ = error
    return final


def _final(error: ConversionError) -> ConversionError:
    if not isinstance(error, UnexpectedError):
        return error
    final = InternalError(error.message)
    final.__cause__ = error
    return final
