"""Clients that ask for much and take nothing: memory stays bounded, others are served meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.api.serving import Server, serving
from tests.idx.written import write_idx

EDGE = 256
BODY_BYTES = 2 * EDGE**3
CLIENTS = 60
UUID = "slowly-read"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, mongo_url: str) -> Iterator[Server]:
    """A server that may hold few bytes; with a volume whose answers are each as large as that."""
    limits = {"STREAM_BOX_LIMIT": "33554432", "STREAM_CACHE": "33554432"}
    with serving(tmp_path_factory.mktemp("small"), mongo_url, **limits) as running:
        rng = np.random.default_rng(2)
        data = rng.integers(0, 60_000, (1, EDGE, EDGE, EDGE), np.uint16)
        write_idx(Path(running.root) / "converted" / UUID, {"data": data}, 3, codec="raw")
        running.datasets.insert_one(
            {"uuid": UUID, "name": "n", "user": "me", "status": "done", "is_public": True}
        )
        yield running


def _ask(server: Server) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    path = f"/api/v2/datasets/{UUID}/box"
    line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return line


@pytest.mark.slow
def test_slow_readers_hold_a_bounded_memory_and_nobody_up(small: Server) -> None:
    assert small.process is not None
    url = f"/api/v2/datasets/{UUID}/box"
    whole = small.http.get(url)
    assert whole.is_success, whole.text
    assert len(whole.content) == BODY_BYTES
    resident = psutil.Process(small.process.pid)
    before = resident.memory_info().rss
    with ExitStack() as lines:
        asked = [lines.enter_context(_ask(small)) for _ in range(CLIENTS)]
        first = [line.recv(15) for line in asked]
        statuses = {each.split()[1] for each in first}
        assert statuses <= {b"200", b"503"}
        assert b"503" in statuses, "the room for answers on their way was never full"
        grown = resident.memory_info().rss - before
        assert grown < 10 * BODY_BYTES, f"{grown} bytes for {CLIENTS} answers of {BODY_BYTES}"
        part = small.http.get(url, params={"box": "0,64,0,64,0,64"})
        assert part.is_success
        assert len(part.content) == 2 * 64**3
    assert small.http.get("/health").is_success


@pytest.mark.slow
def test_a_thousand_connections_at_once_are_all_answered(small: Server) -> None:
    head = f"GET /d/{UUID}/visus.idx HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with ExitStack() as lines:
        opened = [
            lines.enter_context(socket.create_connection(("127.0.0.1", small.port), timeout=120))
            for _ in range(1000)
        ]
        for line in opened:
            line.sendall(head.encode())
        answers = [line.recv(15) for line in opened]
    assert {each.split()[1] for each in answers} == {b"200"}
