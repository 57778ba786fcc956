"""The real command, started as people start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

SETTINGS = ("MONGO_URL", "DB_NAME", "VISUS_DATASETS", "SECRET_KEY", "METRICS_PORT")
PREFIXES = ("JOB_", "CONVERSION_", "LEASE_", "LOG_", "COLLECTION_", "FOREIGN_", "GENERATION_")
PATIENCE_SECONDS = 90.0


class Commands:
    """Starts ``scientistcloud`` with nothing in the environment but what is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in SETTINGS and not name.startswith(PREFIXES)
        } | {"COLUMNS": "100", "METRICS_PORT": "0"}
        self._started: list[subprocess.Popen[str]] = []

    def run(
        self, *words: object, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            self._command(words),
            cwd=self.folder,
            env=self.environment | dict(env or {}),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *words: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the command in a session of its own and leave it running."""
        process = subprocess.Popen(
            self._command(words),
            cwd=self.folder,
            env=self.environment | dict(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
            if process.stdout is not None:
                process.stdout.close()
            process.wait(20)

    def _command(self, words: tuple[object, ...]) -> list[str]:
        return [sys.executable, "-m", "scientistcloud", *map(str, words)]


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    started = Commands(tmp_path)
    yield started
    started.end()


@pytest.fixture
def server(mongo_url: str, database: Any, tmp_path: Path) -> dict[str, str]:
    """The environment of a service: a database and folders of its own."""
    datasets = tmp_path / "datasets"
    for name in ("upload", "converted"):
        (datasets / name).mkdir(parents=True)
    return {"MONGO_URL": mongo_url, "DB_NAME": database.name, "VISUS_DATASETS": str(datasets)}


def eventually(found: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """What `found` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > deadline:
            pytest.fail(f"did not happen within {seconds:.0f} s")
        time.sleep(0.02)
    return value
