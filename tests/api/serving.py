"""An API of a test: a process of its own, a real MongoDB, folders, and tokens for its people."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pymongo

from scientistcloud.access.tokens import issue
from scientistcloud.settings import VARIABLES
from tests.site import free_port, until

SECRET = "a secret that only the tests of this project know"
OWNER, MEMBER, FRIEND, STRANGER, ADMIN = (
    f"{name}@example.org" for name in ("owner", "member", "friend", "stranger", "admin")
)


def bearer(email: str, **more: Any) -> dict[str, str]:
    """The header by which a person is known."""
    return {"authorization": f"Bearer {issue(email, SECRET, **more)}"}


@dataclass
class Server:
    """A server that can be killed and started again on the same port."""

    root: Path
    url: str
    variables: dict[str, str] = field(default_factory=dict)
    database: str = field(default_factory=lambda: f"test_{uuid.uuid4().hex[:12]}")
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            self.url, tz_aware=True
        )
        self.datasets = self.client[self.database]["visstoredatas"]
        (self.root / "upload").mkdir(parents=True, exist_ok=True)
        (self.root / "converted").mkdir(exist_ok=True)
        self.address = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.address, timeout=30)
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if k not in VARIABLES.values()}
        return {
            **own,
            "MONGO_URL": self.url,
            "DB_NAME": self.database,
            "VISUS_DATASETS": str(self.root),
            "UPLOAD_KEEP_FREE": "0",
            "METRICS_PORT": "0",
            **self.variables,
        }

    def start(self) -> None:
        with (self.root / "api.log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scientistcloud.api", "--port", str(self.port)],
                stdout=out, stderr=subprocess.STDOUT, env=self.environment(),
            )  # fmt: skip
        until(self._is_up, 30, lambda: (self.root / "api.log").read_text())

    def worker(self) -> subprocess.Popen[bytes]:
        """A background service beside it."""
        with (self.root / "worker.log").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "scientistcloud", "worker"],
                stdout=out, stderr=subprocess.STDOUT, env=self.environment(),
            )  # fmt: skip

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def close(self) -> None:
        self.kill()
        self.http.close()
        self.client.drop_database(self.database)
        self.client.close()

    def log(self) -> str:
        return (self.root / "api.log").read_text()

    def wait(self, name: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until a dataset has one of `statuses`; its document."""
        until(lambda: (self.find(name) or {}).get("status") in statuses, seconds,
              lambda: f"{self.find(name)}")  # fmt: skip
        found = self.find(name)
        assert found is not None
        return found

    def find(self, name: str) -> dict[str, Any] | None:
        return self.datasets.find_one({"uuid": name})

    def create(self, headers: dict[str, str] | None = None, **body: Any) -> str:
        answer = self.http.post(
            "/api/v2/datasets", json={"name": "made", **body}, headers=headers or {}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["uuid"])

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        with contextlib.suppress(httpx.TransportError):
            return bool(self.http.get("/health").json()["status"] == "healthy")
        return False


@contextlib.contextmanager
def serving(root: Path, url: str, **variables: str) -> Iterator[Server]:
    """A running server, with all that is its own removed afterwards."""
    server = Server(root, url, variables)
    try:
        server.start()
        yield server
    finally:
        server.close()
