"""One OpenTelemetry trace an attempt, where a collector is named; otherwise nothing at all.

The usual variables of OpenTelemetry say where traces go: they are off unless
``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``) is set. Needs the extra
``scientistcloud[otel]``; the libraries are not even imported otherwise.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import structlog

from scientistcloud.datasets.documents.document import Claim
from scientistcloud.release import __version__
from scientistcloud.service.attempt_record import AttemptRecord
from scientistcloud.service.log_keys import log_keys
from scientistcloud.service.outcome import Ending

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = structlog.get_logger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_CLOSE_SECONDS = 1.0


class Traces:
    """Where traces go: nowhere."""

    def record(self, claim: Claim, ending: Ending, record: AttemptRecord) -> None:
        """Tell of an attempt that has ended."""

    def close(self) -> None:
        """Send what is left; gives up after a second."""


class SpanTraces(Traces):
    """Makes a span of each attempt, with one of each phase below it."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("scientistcloud", __version__)

    def record(self, claim: Claim, ending: Ending, record: AttemptRecord) -> None:
        from opentelemetry import trace
        from opentelemetry.context import Context

        phases = record.phases()
        keys = {f"scientistcloud.{key}": value for key, value in log_keys(claim).items()}
        outcome = {"scientistcloud.outcome": ending.name, "scientistcloud.code": ending.code}
        span = self._tracer.start_span(
            "attempt",
            context=Context(),
            start_time=phases[0].began_ns,
            attributes=keys | outcome | {"scientistcloud.request": claim.request_id},
        )
        inside = trace.set_span_in_context(span)
        for phase in phases:
            part = self._tracer.start_span(
                phase.name, context=inside, start_time=phase.began_ns, attributes=keys
            )
            part.end(phase.ended_ns)
        if ending.code:
            span.set_status(trace.Status(trace.StatusCode.ERROR, ending.code))
        span.end(phases[-1].ended_ns)

    def close(self) -> None:
        # A collector that is away must not keep the service from ending.
        thread = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        thread.start()
        thread.join(_CLOSE_SECONDS)


def open_traces(owner: str) -> Traces:
    """The traces of this service, sent where the environment says."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return Traces()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning(
            f"No traces: {error.name} is not installed",
            remedy="pip install 'scientistcloud[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT.",
        )
        return Traces()
    service = {
        "service.name": "scientistcloud",
        "service.version": __version__,
        "service.instance.id": owner,
    }
    provider = TracerProvider(resource=Resource.create(service), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return SpanTraces(provider)
