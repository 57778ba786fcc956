"""What Prometheus is told of one service, on METRICS_PORT.

Counters count what happened in this service; gauges that are looked up at a scrape come from memory
and ``/proc`` alone, so that a scrape is answered whatever is down. Names and units follow
https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scientistcloud.errors import DeploymentError, TransientError, catalogue
from scientistcloud.release import __version__
from scientistcloud.service.attempt_record import AttemptRecord
from scientistcloud.service.monitoring.status import ServiceStatus
from scientistcloud.service.outcome import LOST, Ending

_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
_BYTES = tuple(2.0**n for n in range(26, 37))  # 64 MiB to 64 GiB


class ServiceMetrics:
    """The numbers of one service; a registry of its own, so several may share a process."""

    def __init__(self, owner: str = "") -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._make_counters()
        self._make_histograms()
        info = {"version": __version__, "host": socket.gethostname(), "worker": owner}
        Info("scientistcloud", "The service", registry=self.registry).info(info)

    def _make_counters(self) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"scientistcloud_{name}", text, labels, registry=self.registry)

        self._running = Gauge(
            "scientistcloud_running_attempts", "Attempts in progress", registry=self.registry
        )
        self._claims = counter("claims", "Datasets that this service has claimed")
        self._attempts = counter(
            "attempts",
            "Attempts by outcome (done, retry, failed, released, lost) and code of the error",
            "outcome",
            "code",
        )
        for outcome, code in _endings():
            self._attempts.labels(outcome, code)
        self._input = counter("input_bytes", "Bytes of the sources of finished conversions")
        self._output = counter("output_bytes", "Bytes written by finished conversions")
        self._lost = counter("leases_lost", "Claims that became somebody else's, or nobody's")
        self._renewals = counter("renewal_failures", "Renewals of leases that MongoDB left open")
        self._rescues = counter(
            "rescues",
            "Datasets taken back: lease (its service vanished) or foreign (abandoned by another "
            "kind of service)",
            "kind",
        )
        for kind in ("lease", "foreign"):
            self._rescues.labels(kind)

    def _make_histograms(self) -> None:
        self._seconds = Histogram(
            "scientistcloud_attempt_duration_seconds",
            "Time from claim to settlement, by outcome",
            ["outcome"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._phases = Histogram(
            "scientistcloud_phase_duration_seconds",
            "Time that attempts spent in each phase",
            ["phase"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._memory = Histogram(
            "scientistcloud_attempt_peak_memory_bytes",
            "Most resident memory that the process of an attempt held",
            buckets=_BYTES,
            registry=self.registry,
        )

    def watch(self, status: Callable[[], ServiceStatus]) -> None:
        """Tell at each scrape what `status` says then; it must return at once."""
        self.registry.register(_StatusCollector(status))

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count a claim, and its attempt as running."""
        self._claims.inc()
        with self._running.track_inprogress():
            yield

    def ended(self, ending: Ending, record: AttemptRecord) -> None:
        """Count what an attempt came to."""
        self._attempts.labels(ending.name, ending.code).inc()
        if ending == LOST:
            self._lost.inc()
        self._input.inc(ending.bytes_in)
        self._output.inc(ending.bytes_out)
        self._seconds.labels(ending.name).observe(record.seconds)
        for phase in record.phases():
            self._phases.labels(phase.name).observe(phase.seconds)
        peak_bytes = max(record.peak_memory_bytes, ending.peak_memory_bytes)
        if peak_bytes:
            self._memory.observe(peak_bytes)

    def renewal_failed(self) -> None:
        self._renewals.inc()

    def rescued(self, *, lost: int, foreign: int) -> None:
        self._rescues.labels("lease").inc(lost)
        self._rescues.labels("foreign").inc(foreign)


def _endings() -> Iterator[tuple[str, str]]:
    """Outcomes and codes, told as 0 from the start: else the first of a kind were no increase.

    https://prometheus.io/docs/practices/instrumentation/#avoid-missing-metrics
    """
    for outcome in ("done", "released", "lost"):
        yield outcome, ""
    for error in catalogue():
        if not issubclass(error, DeploymentError):
            yield "failed", error.__name__
        if issubclass(error, TransientError):
            yield "retry", error.__name__


class _StatusCollector(Collector):
    """Gauges of what the service knows of itself at the moment of the scrape."""

    def __init__(self, status: Callable[[], ServiceStatus]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        now = self._status()
        yield _gauge("slots", "Attempts that may run at a time", now.slots)
        yield _gauge("database_up", "Whether MongoDB answered last", float(now.database_up))
        yield _gauge("ready", "Whether /readyz says so", float(not now.not_ready()))
        yield _labelled(
            "claiming_paused",
            "1 for each reason why nothing is claimed",
            "reason",
            dict.fromkeys(now.paused, 1.0),
        )
        yield _labelled(
            "faults",
            "1 for each code of what is wrong with this installation",
            "code",
            dict.fromkeys(now.faults, 1.0),
        )
        yield _labelled(
            "thread_age_seconds",
            "Time since each thread of the service went round",
            "thread",
            now.thread_ages_seconds,
        )
        yield _gauge(
            "children_resident_memory_bytes",
            "Resident memory of the processes of all running attempts together",
            now.children_memory_bytes,
        )
        yield _gauge("children", "Processes of running attempts", now.children)
        if now.storage_free_bytes is not None:
            yield _gauge(
                "storage_free_bytes", "Space for converted datasets", now.storage_free_bytes
            )
        if now.queue is not None:
            yield from _queue(now)


def _queue(now: ServiceStatus) -> Iterator[Metric]:
    """The queue as all services see it: take the maximum over them, not the sum."""
    assert now.queue is not None
    counts = now.queue.counts
    yield _labelled("datasets", "Datasets by status, in MongoDB", "status", counts)
    yield _gauge("waiting_datasets", "Queued, to be tried again later", now.queue.waiting)
    yield _gauge(
        "oldest_queued_age_seconds",
        "How long the oldest queued dataset has waited",
        now.queue.oldest_queued_seconds,
    )
    yield _gauge("queue_age_seconds", "How old the numbers on the queue are", now.queue_age_seconds)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"scientistcloud_{name}", text, value=value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"scientistcloud_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
