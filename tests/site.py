"""A site to run real services on: a database, an upload and a converted folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid as uuids
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import OpenVisus as ov  # noqa: N813  its own convention
import psutil
import pymongo
import tifffile
from numpy.typing import NDArray

QUEUED, CONVERTING, DONE, FAILED = "conversion queued", "converting", "done", "conversion failed"


@dataclass
class Site:
    """Where services of one test work."""

    root: Path
    url: str
    database: str
    services: list[subprocess.Popen[bytes]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            self.url, tz_aware=True, serverSelectionTimeoutMS=20_000
        )
        self.datasets = self.client[self.database]["visstoredatas"]
        self.upload = self.root / "upload"
        self.converted = self.root / "converted"
        self.upload.mkdir(parents=True, exist_ok=True)

    def environment(self, **more: str) -> dict[str, str]:
        return (
            {name: value for name, value in os.environ.items() if not name.startswith("MONGO")}
            | {
                "MONGO_URL": self.url,
                "DB_NAME": self.database,
                "VISUS_DATASETS": str(self.root),
                "LEASE_SECONDS": "3",
                "LEASE_RENEW_SECONDS": "0.5",
                "JOB_RETRY_DELAY_SECONDS": "1",
                "METRICS_PORT": "0",
            }
            | self.settings
            | more
        )

    def start(
        self, *arguments: str, program: Sequence[str] = (), **more: str
    ) -> subprocess.Popen[bytes]:
        """Start a service in a process group of its own; its log is ``<root>/service-N.log``.

        `program` is what starts it, if it is not to be started directly.
        """
        log = self.root / f"service-{len(self.services)}.log"
        with log.open("wb") as lines:
            process = subprocess.Popen(
                [*program, sys.executable, "-m", "scientistcloud", "worker", *arguments],
                env=self.environment(**more),
                stdout=lines,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.services.append(process)
        return process

    def log(self, number: int = 0) -> str:
        return (self.root / f"service-{number}.log").read_text()

    def stack(
        self,
        shape: tuple[int, ...] = (8, 64, 64),
        seed: int = 0,
        uuid: str | None = None,
        **more: Any,
    ) -> tuple[str, NDArray[Any]]:
        """Put a TIFF stack into a new upload folder; its uuid and its samples."""
        uuid = uuid or str(uuids.uuid4())
        samples = np.random.default_rng(seed).integers(1, 60_000, shape, dtype=np.uint16)
        folder = self.upload / uuid
        folder.mkdir()
        for number, page in enumerate(samples):
            tifffile.imwrite(folder / f"slice_{number}.tif", page, **more)
        return uuid, samples

    def queue(self, *names: str, **more: Any) -> None:
        self.datasets.insert_many([{"uuid": name, "status": QUEUED, **more} for name in names])

    def find(self, uuid: str) -> dict[str, Any]:
        found = self.datasets.find_one({"uuid": uuid})
        assert found is not None
        return found

    def wait(self, uuid: str, *statuses: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until the dataset has one of `statuses`; its document."""
        document: dict[str, Any] = {}

        def there() -> bool:
            nonlocal document
            document = self.find(uuid)
            return document["status"] in statuses

        until(there, seconds, lambda: f"{uuid} is {document}; log:\n{self.logs()}")
        return document

    def logs(self) -> str:
        return "\n".join(self.log(number)[-4000:] for number in range(len(self.services)))

    def read(self, uuid: str, **query: Any) -> NDArray[Any]:
        """The published samples, as OpenVisus reads them."""
        return np.asarray(ov.LoadDataset(str(self.converted / uuid / "visus.idx")).read(**query))

    def doctor(self, *arguments: str) -> str:
        """What ``scientistcloud doctor`` says of it."""
        command = [sys.executable, "-m", "scientistcloud", "doctor", *arguments]
        return subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, timeout=60
        ).stdout

    def close(self) -> None:
        for process in self.services:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGCONT)
                process.kill()
                process.wait()
        self.client.drop_database(self.database)
        self.client.close()


def until(
    true: Callable[[], bool],
    seconds: float = 60.0,
    why: Callable[[], str] = lambda: "",
    pause_seconds: float = 0.02,
) -> None:
    """Wait until `true()`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {why()}"
        time.sleep(pause_seconds)


def free_port() -> int:
    """A port of this host that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes_of(service: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The service, its warm process and its children."""
    try:
        parent = psutil.Process(service.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
