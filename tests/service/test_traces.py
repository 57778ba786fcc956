"""Traces as a collector gets them: over HTTP, from a service that does real work."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog

from scientistcloud.service.monitoring.traces import ENDPOINTS, Traces, open_traces
from tests.site import Site

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Takes what OTLP over HTTP brings."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, request: Any) -> None:
        for resource in request.resource_spans:
            for each in resource.resource.attributes:
                if each.key == "service.name":
                    self.services.add(each.value.string_value)
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def keys_of(span: Any) -> dict[str, Any]:
    return {
        each.key.removeprefix("scientistcloud."): each.value.string_value or each.value.int_value
        for each in span.attributes
    }


def test_each_attempt_is_one_trace_with_its_phases(site: Site, collector: Collector) -> None:
    good, _ = site.stack()
    (site.upload / "empty").mkdir()
    site.queue(good, "empty")
    service = site.start("--drain", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert service.wait(60) == 0
    assert collector.services == {"scientistcloud"}
    roots = {keys_of(span)["dataset"]: span for span in collector.spans if not span.parent_span_id}
    assert set(roots) == {good, "empty"}
    assert roots[good].trace_id != roots["empty"].trace_id
    done, failed = keys_of(roots[good]), keys_of(roots["empty"])
    history = site.find(good)["conversion"]["history"]
    assert done["token"] == history[0]["token"][:8]
    assert (done["attempt"], done["outcome"], failed["outcome"]) == (1, "done", "failed")
    assert failed["code"] == "SourceEmpty"
    assert roots["empty"].status.message == "SourceEmpty"
    parts = [span for span in collector.spans if span.parent_span_id == roots[good].span_id]
    parts.sort(key=lambda span: int(span.start_time_unix_nano))
    names = [span.name for span in parts]
    assert names[0] == "starting"
    assert {"admission", "copying", "verifying", "confirming", "publishing"} < set(names)
    assert names[-1] == "settling"
    root = roots[good]
    assert parts[0].start_time_unix_nano == root.start_time_unix_nano
    assert parts[-1].end_time_unix_nano == root.end_time_unix_nano
    for former, later in itertools.pairwise(parts):
        assert former.end_time_unix_nano == later.start_time_unix_nano
        assert keys_of(later)["token"] == done["token"]


def test_a_collector_that_is_away_keeps_no_service_from_ending(site: Site) -> None:
    name, _ = site.stack()
    site.queue(name)
    service = site.start("--drain", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert service.wait(60) == 0
    assert site.find(name)["status"] == "done"


def test_without_an_endpoint_nothing_is_imported() -> None:
    code = (
        "import sys; from scientistcloud.service.monitoring.traces import open_traces; "
        "open_traces('x').close(); "
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PATH": ""}, check=False)
    assert done.returncode == 0


def test_without_the_extra_a_warning_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with structlog.testing.capture_logs() as lines:
        assert type(open_traces("x")) is Traces
    assert [line["log_level"] for line in lines] == ["warning"]
    assert "scientistcloud[otel]" in lines[0]["remedy"]
