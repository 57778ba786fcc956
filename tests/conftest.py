"""Fixtures that all tests share."""

from __future__ import annotations

import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything imports netCDF4, whose own HDF5 would answer Blosc when a test writes with it.
import h5py  # noqa: F401
import hdf5plugin  # noqa: F401
import pytest
from pymongo.database import Database

from scientistcloud.database import mongod
from scientistcloud.database.connection import connect
from scientistcloud.database.embedded import EmbeddedMongo
from tests.site import Site, free_port

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background by a shell. Programs that tests interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

SAMPLES = Path(__file__).resolve().parents[1].parent / "shared" / "samples"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the container image's tests out, unless they are asked for (``-m image``)."""
    if "image" in str(config.option.markexpr):
        return
    left_out = [item for item in items if item.get_closest_marker("image")]
    items[:] = [item for item in items if not item.get_closest_marker("image")]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real files of many instruments; tests that need it are skipped without it."""
    if not SAMPLES.is_dir():
        pytest.skip(f"the sample files are not here ({SAMPLES})")
    return SAMPLES


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MongoDB, a replica set of one, for the whole session."""
    with EmbeddedMongo(tmp_path_factory.mktemp("mongo")) as url:
        yield url


@pytest.fixture
def database(mongo_url: str) -> Iterator[Database[dict[str, Any]]]:
    """A database of its own for each test, removed afterwards."""
    client = connect(mongo_url)
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield client[name]
    client.drop_database(name)
    client.close()


@pytest.fixture(scope="session")
def standalone_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MongoDB that is no replica set; started only where a test asks for it."""
    home = tmp_path_factory.mktemp("standalone")
    port = free_port()
    command = [str(mongod.find()), "--dbpath", str(home), "--port", str(port)]
    command += ["--bind_ip", "127.0.0.1", "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"]
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"mongodb://127.0.0.1:{port}/"
        connect(url, timeout_seconds=30).close()
        yield url
    finally:
        server.kill()  # nobody needs its data any more
        server.wait()


@pytest.fixture
def site(tmp_path: Path, mongo_url: str) -> Iterator[Site]:
    """A site on the session's replica set."""
    made = Site(tmp_path / "site", mongo_url, f"test_{uuid.uuid4().hex[:12]}")
    yield made
    made.close()
