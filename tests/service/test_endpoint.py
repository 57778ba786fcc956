"""The HTTP port beside clients that connect and say nothing, or too slowly."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry

from scientistcloud.service.monitoring.endpoint import MOST_CLIENTS, Endpoint
from scientistcloud.service.monitoring.status import ServiceStatus
from tests.site import free_port, until

CLIENTS = 3 * MOST_CLIENTS


def handlers() -> int:
    return sum("process_request" in thread.name for thread in threading.enumerate())


@pytest.fixture
def port() -> Iterator[int]:
    endpoint = Endpoint(CollectorRegistry(), lambda: ServiceStatus(slots=1))
    number = free_port()
    assert endpoint.serve(number, "127.0.0.1")
    yield number
    endpoint.stop()


def test_clients_that_say_nothing_keep_nobody_out(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            client.sendall(b"GET /metrics HTTP/1.1\r\nA-header-that-")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert answer.status == 200
        until(lambda: handlers() <= MOST_CLIENTS, 5)
    until(lambda: handlers() == 0, 5)
