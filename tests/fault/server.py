"""A MongoDB server that may be killed, started again and made to step down at any moment."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from scientistcloud.database import mongod
from tests.site import free_port

START_SECONDS = 60.0


class Server:
    """A replica set of one on a port of its own.

    Parameters
    ----------
    home : Path
        For its data and its log.
    addresses : sequence of str
        Where it listens, ``127.0.0.1`` first.
    """

    def __init__(self, home: Path, addresses: tuple[str, ...] = ("127.0.0.1",)) -> None:
        self._home = home
        self._addresses = addresses
        self._process: subprocess.Popen[bytes] | None = None
        (home / "data").mkdir(parents=True)
        self.port = free_port()
        self.client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            self.url(), tz_aware=True, serverSelectionTimeoutMS=30_000, connect=False
        )

    def url(self, address: str = "127.0.0.1") -> str:
        return f"mongodb://{address}:{self.port}/?directConnection=true"

    def start(self) -> None:
        """Start it and wait until it is primary."""
        command = [str(mongod.find()), "--dbpath", str(self._home / "data")]
        command += ["--port", str(self.port), "--bind_ip", ",".join(self._addresses)]
        command += ["--replSet", "chaos", "--oplogSize", "64", "--nounixsocket"]
        command += ["--wiredTigerCacheSizeGB", "0.25"]
        command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        with (self._home / "mongod.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_primary():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"mongod does not start: see {self._home / 'mongod.log'}")
            time.sleep(0.1)

    def _is_primary(self) -> bool:
        with suppress(PyMongoError), pymongo.timeout(5.0):
            hello = self.client.admin.command("hello")
            if hello.get("isWritablePrimary"):
                return True
            if not hello.get("setName"):
                members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
                settings = {"electionTimeoutMillis": 1000}
                config = {"_id": "chaos", "members": members, "settings": settings}
                self.client.admin.command("replSetInitiate", config)
        return False

    def kill(self) -> None:
        """SIGKILL: what was not journalled is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def step_down(self) -> None:
        """Let it be no primary for a second: every connection is refused what it asks."""
        with suppress(PyMongoError), pymongo.timeout(5.0):
            self.client.admin.command(
                {"replSetStepDown": 1, "secondaryCatchUpPeriodSecs": 0, "force": True}
            )

    def close(self) -> None:
        self.client.close()
        self.kill()
