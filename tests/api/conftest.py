"""Servers that tests of the API share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.serving import ADMIN, SECRET, Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mongo_url: str) -> Iterator[Server]:
    """A server that tells people apart, and a background service beside it."""
    root = tmp_path_factory.mktemp("server")
    more = {"AUTH": "token", "SECRET_KEY": SECRET, "ADMIN_EMAILS": ADMIN}
    with serving(root, mongo_url, UPLOAD_QUIET_SECONDS="1.5", **more) as running:
        worker = running.worker()
        yield running
        worker.terminate()
        worker.wait(20)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, mongo_url: str) -> Iterator[Server]:
    """A server for this computer's user alone, with a background service beside it."""
    with serving(tmp_path_factory.mktemp("local"), mongo_url) as running:
        worker = running.worker()
        yield running
        worker.terminate()
        worker.wait(20)
