"""What a scraper of Prometheus gets from a service."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest
import structlog

from scientistcloud.errors import CorruptSource
from scientistcloud.service.metrics import ServiceMetrics
from scientistcloud.service.outcome import Outcome


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def metrics() -> Iterator[ServiceMetrics]:
    made = ServiceMetrics()
    yield made
    made.stop()


def test_attempts_are_counted_by_outcome_and_code(metrics: ServiceMetrics, port: int) -> None:
    assert metrics.serve(port)
    metrics.settled(Outcome(result={"bytes_in": 1000}))
    metrics.settled(Outcome(error=CorruptSource("x")))
    metrics.settled(Outcome())
    with metrics.attempt():
        running = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    after = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert "scientistcloud_running_attempts 1.0" in running
    assert "scientistcloud_running_attempts 0.0" in after
    for line in (
        'scientistcloud_attempts_total{code="",outcome="done"} 1.0',
        'scientistcloud_attempts_total{code="CorruptSource",outcome="failed"} 1.0',
        'scientistcloud_attempts_total{code="",outcome="released"} 1.0',
        "scientistcloud_converted_bytes_total 1000.0",
        "scientistcloud_attempt_seconds_count 1.0",
    ):
        assert line in after


def test_a_port_that_is_taken_is_a_warning(metrics: ServiceMetrics) -> None:
    with socket.socket() as taken, structlog.testing.capture_logs() as lines:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not metrics.serve(port)
    assert [line["log_level"] for line in lines] == ["warning"]
    assert str(port) in lines[0]["event"]


def test_port_zero_means_none(metrics: ServiceMetrics) -> None:
    assert not metrics.serve(0)


def test_the_port_is_free_again_after_stop(metrics: ServiceMetrics, port: int) -> None:
    assert metrics.serve(port)
    metrics.stop()
    assert metrics.serve(port)
