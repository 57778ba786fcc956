"""What becomes of a failed attempt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scientistcloud.datasets.documents.retry import Fail, RetryAt, decide
from scientistcloud.errors import (
    BadSettings,
    ConversionError,
    DeploymentError,
    HostBusy,
    HostLost,
    InternalError,
    MissingLibrary,
    OutOfMemory,
    OutOfSpace,
    PermanentError,
    ResourceLimit,
    TransientError,
    UnexpectedError,
    catalogue,
)

CLASSES = list(catalogue())
COUNTED = [c for c in CLASSES if issubclass(c, TransientError) and c.counted]
UNCOUNTED = [
    c
    for c in CLASSES
    if issubclass(c, TransientError)
    and not c.counted
    and c not in (TransientError, HostBusy, HostLost, OutOfMemory)
]


def fate(error: ConversionError, **changes: Any) -> RetryAt | Fail:
    values = {"attempt": 1, "max_attempts": 3, "retry_delay_seconds": 30.0} | changes
    return decide(error, **values)


@pytest.mark.parametrize("cls", [c for c in CLASSES if issubclass(c, PermanentError)])
def test_a_permanent_error_fails_at_once(cls: type[ConversionError]) -> None:
    error = cls()
    assert fate(error) == Fail(error, counted=False)


@pytest.mark.parametrize("cls", COUNTED)
def test_counted_errors_are_limited_in_all(cls: type[ConversionError]) -> None:
    assert fate(cls(), attempt=1) == RetryAt(30.0, counted=True)
    assert fate(cls(), attempt=2) == RetryAt(60.0, counted=True)
    last = fate(cls("why"), attempt=3)
    assert isinstance(last, Fail)
    assert last.counted
    assert last.error.message == "why"
    assert isinstance(fate(cls(), max_attempts=1), Fail)


def test_a_bug_ends_as_an_internal_error_that_remembers_its_cause() -> None:
    bug = UnexpectedError("ValueError: x")
    last = fate(bug, attempt=3)
    assert isinstance(last, Fail)
    assert isinstance(last.error, InternalError)
    assert last.error.__cause__ is bug


@pytest.mark.parametrize("cls", [*UNCOUNTED, MissingLibrary, BadSettings, DeploymentError])
def test_what_is_not_the_datasets_fault_waits_without_limit(cls: type[ConversionError]) -> None:
    assert fate(cls(), attempt=99, delays=0) == RetryAt(30.0, counted=False)
    assert fate(cls(), attempt=99, delays=3) == RetryAt(240.0, counted=False)
    assert fate(cls(), attempt=99, delays=10**6) == RetryAt(600.0, counted=False)


def test_out_of_memory_is_tried_once_more_whatever_was_before() -> None:
    assert fate(OutOfMemory(), attempt=99, delays=50, lost=19) == RetryAt(30.0, counted=False)
    last = fate(OutOfMemory("It took 5 MiB."), smaller=1)
    assert isinstance(last, Fail)
    assert isinstance(last.error, ResourceLimit)
    assert last.error.message.startswith("It took 5 MiB.")
    assert "CONVERSION_MEMORY_LIMIT" in last.error.remedy


def test_a_busy_host_is_asked_again_at_growing_distances_up_to_a_few_minutes() -> None:
    delays = [fate(HostBusy(), delays=n, attempt=99) for n in (0, 1, 2, 3, 50)]
    assert delays == [RetryAt(s, counted=False) for s in (30.0, 60.0, 120.0, 240.0, 240.0)]


def test_a_lost_host_costs_nothing_up_to_its_own_limit() -> None:
    assert fate(HostLost(), attempt=99, lost=19) == RetryAt(0.0, counted=False)
    assert isinstance(fate(HostLost(), lost=20), Fail)


@given(
    delays=st.integers(0, 10**9),
    first=st.floats(0, 10_000),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_delays_are_spread_and_bounded(delays: int, first: float, chance: float) -> None:
    decision = fate(OutOfSpace(), delays=delays, retry_delay_seconds=first, random=lambda: chance)
    assert isinstance(decision, RetryAt)
    assert 0.75 * first <= decision.delay_seconds + 1e-9
    assert decision.delay_seconds <= max(600.0, first)
