"""What a scraper of Prometheus gets from a service, and what health checks are told."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from scientistcloud.datasets.reports.gauges import QueueGauges
from scientistcloud.service.attempt_record import AttemptRecord
from scientistcloud.service.monitoring.endpoint import Endpoint
from scientistcloud.service.monitoring.liveness import Liveness
from scientistcloud.service.monitoring.metrics import ServiceMetrics
from scientistcloud.service.monitoring.status import ServiceStatus
from scientistcloud.service.monitoring.storage import StorageState, StorageWatch
from scientistcloud.service.outcome import LOST, Ending
from tests.site import free_port, until

WELL = ServiceStatus(database_up=True, warm=True, storage_seen=True)


class Served:
    """Metrics with an endpoint whose status a test may set."""

    def __init__(self) -> None:
        self.now = WELL
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.metrics = ServiceMetrics("me")
        self.metrics.watch(lambda: self.now)
        self.endpoint = Endpoint(self.metrics.registry, lambda: self.now)

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        text = httpx.get(f"{self.url}/metrics").text
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self.samples()[f"scientistcloud_{name}", frozenset(labels.items())]


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.endpoint.stop()


def ended_record() -> AttemptRecord:
    record = AttemptRecord()
    record.enter("reading")
    record.enter("copying")
    record.end()
    return record


def test_attempts_are_counted_by_outcome_and_code(served: Served) -> None:
    assert served.endpoint.serve(served.port)
    result = {"bytes_in": 1000, "bytes_out": 300, "peak_rss_bytes": 100 << 20}
    served.metrics.ended(Ending.done(result), ended_record())
    served.metrics.ended(Ending("failed", "CorruptSource"), ended_record())
    served.metrics.ended(Ending("released"), ended_record())
    served.metrics.ended(LOST, ended_record())
    with served.metrics.attempt():
        assert served.value("running_attempts") == 1
    assert served.value("running_attempts") == 0
    assert served.value("claims_total") == 1
    assert served.value("attempts_total", outcome="done", code="") == 1
    assert served.value("attempts_total", outcome="failed", code="CorruptSource") == 1
    assert served.value("attempts_total", outcome="released", code="") == 1
    assert served.value("attempts_total", outcome="lost", code="") == 1
    assert served.value("leases_lost_total") == 1
    assert served.value("input_bytes_total") == 1000
    assert served.value("output_bytes_total") == 300
    assert served.value("attempt_duration_seconds_count", outcome="done") == 1
    assert served.value("phase_duration_seconds_count", phase="copying") == 4
    assert served.value("attempt_peak_memory_bytes_bucket", le="1.34217728e+08") == 1
    assert served.value("attempt_peak_memory_bytes_bucket", le="6.7108864e+07") == 0


def test_the_first_bug_is_an_increase(served: Served) -> None:
    """Prometheus sees none where a counter begins at 1."""
    assert served.endpoint.serve(served.port)
    for outcome, code in (("retry", "UnexpectedError"), ("failed", "InternalError")):
        assert served.value("attempts_total", outcome=outcome, code=code) == 0
        served.metrics.ended(Ending(outcome, code), ended_record())
        assert served.value("attempts_total", outcome=outcome, code=code) == 1


def test_the_phases_of_an_attempt_follow_each_other() -> None:
    record = AttemptRecord()
    record.enter("reading")
    record.enter("reading")
    record.enter("copying")
    record.end()
    record.end()
    phases = record.phases()
    assert [phase.name for phase in phases] == ["starting", "reading", "copying"]
    assert all(a.ended_ns == b.began_ns for a, b in itertools.pairwise(phases))
    assert record.seconds == pytest.approx(sum(phase.seconds for phase in phases))
    assert abs(phases[0].began_ns / 1e9 - time.time()) < 60


def test_gauges_tell_what_the_service_knows(served: Served) -> None:
    served.endpoint.serve(served.port)
    served.now = ServiceStatus(
        slots=3,
        paused={"OutOfSpace": "The disk is full."},
        thread_ages_seconds={"heartbeat": 1.5},
        children=2,
        children_memory_bytes=5000,
        storage_free_bytes=77,
        queue=QueueGauges({"conversion queued": 4, "done": 9}, 1, 12.5),
    )
    assert served.value("slots") == 3
    assert served.value("database_up") == 0
    assert served.value("ready") == 0
    assert served.value("claiming_paused", reason="OutOfSpace") == 1
    assert served.value("thread_age_seconds", thread="heartbeat") == 1.5
    assert served.value("children_resident_memory_bytes") == 5000
    assert served.value("storage_free_bytes") == 77
    assert served.value("datasets", status="conversion queued") == 4
    assert served.value("waiting_datasets") == 1
    assert served.value("oldest_queued_age_seconds") == 12.5
    served.now = WELL
    assert served.value("database_up") == 1
    assert served.value("ready") == 1
    assert "scientistcloud_claiming_paused" not in {name for name, _ in served.samples()}


def test_names_and_units_follow_the_conventions(served: Served) -> None:
    served.endpoint.serve(served.port)
    served.now = ServiceStatus(queue=QueueGauges({"done": 1}), storage_free_bytes=1)
    families = list(text_string_to_metric_families(httpx.get(f"{served.url}/metrics").text))
    assert len(families) > 20
    for family in families:
        assert family.documentation, family.name
        assert not any(unit in family.name for unit in ("_ms", "_mb", "_minutes", "percent"))
        if family.type == "counter":
            assert all(s.name.endswith(("_total", "_created")) for s in family.samples)
        else:
            assert not family.name.endswith("_total")


def problems(served: Served, path: str) -> tuple[int, dict[str, str]]:
    answer = httpx.get(f"{served.url}{path}")
    return answer.status_code, answer.json()["problems"]


def test_health_and_readiness_say_what_is_wrong(served: Served) -> None:
    served.endpoint.serve(served.port)
    assert problems(served, "/healthz") == (200, {})
    assert problems(served, "/readyz") == (200, {})
    served.now = ServiceStatus(
        database_problem="It is away.",
        storage_problem="It hangs.",
        paused={"OutOfSpace": "It is full."},
        stopping=True,
        thread_ages_seconds={"heartbeat": 61.0, "dispatcher": 119.0, "other": 1e9},
    )
    code, told = problems(served, "/readyz")
    assert code == 503
    assert told["mongodb"] == "It is away."
    assert told["storage"] == "It hangs."
    assert told["OutOfSpace"] == "It is full."
    assert set(told) == {"mongodb", "storage", "OutOfSpace", "warm process", "stopping"}
    code, told = problems(served, "/healthz")
    assert code == 503
    assert list(told) == ["heartbeat"]
    assert "61 s" in told["heartbeat"]
    assert httpx.get(f"{served.url}/other").status_code == 404


def test_the_pulse_tells_how_long_each_thread_was_silent() -> None:
    now = 100.0
    liveness = Liveness(lambda: now)
    liveness.beat("a")
    now = 103.0
    liveness.beat("b")
    assert liveness.ages_seconds() == {"a": 3.0, "b": 0.0}


def test_storage_that_hangs_is_a_problem_and_recovers() -> None:
    now = 0.0
    go_on, stopping = threading.Event(), threading.Event()
    looks = []

    def look() -> StorageState:
        looks.append(1)
        if len(looks) == 2:
            assert go_on.wait(20)
        return StorageState(free_bytes=len(looks))

    watch = StorageWatch(look, look_seconds=0.01, patience_seconds=10.0, clock=lambda: now)
    assert not watch.has_answered
    assert watch.problem() is None
    watch.start(stopping)
    until(lambda: len(looks) == 2, 10)
    assert watch.problem() is None
    now = 11.0
    assert watch.problem() == "The storage has not answered for 11 s."
    assert watch.free_bytes == 1
    go_on.set()
    until(lambda: watch.free_bytes is not None and watch.free_bytes > 1, 10)
    assert watch.problem() is None
    stopping.set()


def test_a_port_that_is_taken_is_a_warning(served: Served) -> None:
    with socket.socket() as taken, structlog.testing.capture_logs() as lines:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not served.endpoint.serve(port)
    assert [line["log_level"] for line in lines] == ["warning"]
    assert str(port) in lines[0]["event"]


def test_port_zero_means_none(served: Served) -> None:
    assert not served.endpoint.serve(0)


def test_the_port_is_free_again_after_stop(served: Served) -> None:
    assert served.endpoint.serve(served.port)
    served.endpoint.stop()
    assert served.endpoint.serve(served.port)
