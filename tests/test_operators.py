"""What operators type: the names, lines and files that they know from the service of today."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pymongo.database import Database

from scientistcloud.settings import VARIABLES

ROOT = Path(__file__).resolve().parents[1]
JOBS = ROOT / "SCLib_JobProcessing"
SERVICE = [sys.executable, str(JOBS / "SCLib_BackgroundService.py")]
WORKER = [sys.executable, "-m", "scientistcloud", "worker"]
CONNECT = "from SCLib_MongoConnection import get_mongo_connection; print(get_mongo_connection())"
WAIT_SECONDS = 60.0


def _environment(**variables: str) -> dict[str, str]:
    base = {k: v for k, v in os.environ.items() if k not in VARIABLES.values()}
    return {**base, "METRICS_PORT": "0", **variables}


def _wait(check: Callable[[], object], what: str, log: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not check():
        assert time.monotonic() < deadline, f"waited too long for {what}:\n{log.read_text()}"
        time.sleep(0.1)


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    log: Path
    folder: Path

    def says(self, text: str) -> bool:
        return text in self.log.read_text()


@contextlib.contextmanager
def _running(command: list[str], folder: Path, **variables: str) -> Iterator[Running]:
    data = folder / "data"
    for name in ("upload", "converted"):
        (data / name).mkdir(parents=True, exist_ok=True)
    log = folder / "service.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=_environment(VISUS_DATASETS=str(data), **variables),
        )
    try:
        yield Running(process, log, folder)
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(12)
        process.kill()
        process.wait(WAIT_SECONDS)


def _settings_file(folder: Path, database: Database[dict[str, Any]]) -> Path:
    path = folder / "settings.json"
    path.write_text(json.dumps({"db_name": database.name}))
    return path


def _queue(running: Running, database: Database[dict[str, Any]], uuid: str) -> None:
    upload = running.folder / "data" / "upload" / uuid
    upload.mkdir()
    tifffile.imwrite(upload / "a.tif", np.arange(4096, dtype="u2").reshape(64, 64))
    database["visstoredatas"].insert_one({"uuid": uuid, "status": "conversion queued"})


def _is_done(database: Database[dict[str, Any]], uuid: str) -> Callable[[], bool]:
    query = {"uuid": uuid, "status": "done"}
    return lambda: database["visstoredatas"].find_one(query) is not None


def test_the_service_under_its_known_name_needs_only_the_database(
    tmp_path: Path, mongo_url: str, database: Database[dict[str, Any]]
) -> None:
    file = _settings_file(tmp_path, database)
    with _running([*SERVICE, file.name], tmp_path, MONGO_URL=mongo_url) as running:
        _wait(lambda: running.says("Starting SC_BackgroundService worker"), "the start", file)
        _queue(running, database, "scan")
        _wait(_is_done(database, "scan"), "the conversion", running.log)
        assert (tmp_path / "data/converted/scan/visus.idx").is_file()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) == 0
        line = next(each for each in running.log.read_text().splitlines() if "Starting" in each)
        assert "\x1b" not in line


@pytest.mark.parametrize("command", [SERVICE, WORKER], ids=["known name", "scientistcloud worker"])
def test_ps_shows_the_background_service(
    tmp_path: Path, mongo_url: str, database: Database[dict[str, Any]], command: list[str]
) -> None:
    if shutil.which("ps") is None:
        pytest.skip("ps is not installed (Debian: procps)")
    with _running(command, tmp_path, MONGO_URL=mongo_url, DB_NAME=database.name) as running:
        _wait(lambda: running.says("Starting SC_BackgroundService worker"), "start", running.log)
        shown = subprocess.run(
            "unset COLUMNS; ps aux | grep BackgroundService",
            shell=True,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        pids = [line.split()[1] for line in shown.splitlines()]
        assert str(running.process.pid) in pids
        found = subprocess.run(
            ["pgrep", "-f", "SCLib_BackgroundService"], capture_output=True, text=True, check=True
        )
        assert str(running.process.pid) in found.stdout.split()


def test_lines_of_the_service_are_json_where_asked(
    tmp_path: Path, mongo_url: str, database: Database[dict[str, Any]]
) -> None:
    variables = {"MONGO_URL": mongo_url, "DB_NAME": database.name, "LOG_FORMAT": "json"}
    with _running(SERVICE, tmp_path, **variables) as running:
        _wait(lambda: running.says("Starting SC_BackgroundService worker"), "start", running.log)
        _queue(running, database, "scan")
        _wait(_is_done(database, "scan"), "the conversion", running.log)
    messages = [json.loads(line)["message"] for line in running.log.read_text().splitlines()]
    assert any(each.startswith("Starting SC_BackgroundService worker") for each in messages)


def test_help_works_from_any_folder(tmp_path: Path) -> None:
    result = subprocess.run(
        [*SERVICE, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert "SETTINGS" in result.stdout
    assert "--drain" in result.stdout


@pytest.mark.parametrize(
    ("variables", "arguments", "said"),
    [
        ({}, [], "MONGO_URL"),
        ({"JOB_MAX_CONCURRENT": "many"}, [], "JOB_MAX_CONCURRENT = 'many'"),
        ({}, ["absent.json"], "absent.json"),
    ],
)
def test_what_is_wrong_at_the_start_is_named(
    tmp_path: Path, variables: dict[str, str], arguments: list[str], said: str
) -> None:
    result = subprocess.run(
        [*SERVICE, *arguments],
        cwd=tmp_path,
        env=_environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def _connect(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = _environment(**variables)
    environment["PYTHONPATH"] = str(JOBS)
    return subprocess.run(
        [sys.executable, "-c", CONNECT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_mongo_connection_is_made_and_shown(mongo_url: str) -> None:
    result = _connect(MONGO_URL=mongo_url)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("MongoClient(")


def test_no_mongodb_is_told_in_time_with_host_reason_and_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(JOBS))
    from SCLib_MongoConnection import get_mongo_connection

    from scientistcloud.errors import DatabaseUnavailable

    with socket.socket() as silent:
        # Connections are taken and never answered, as by a host that hangs.
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("MONGO_URL", f"mongodb://user:hunter2@{host}/?retryWrites=false")
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable) as caught:
            get_mongo_connection()
        assert time.monotonic() - started < 5
    assert host in caught.value.message
    assert caught.value.remedy
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__!r}"


def test_a_refused_connection_shows_no_password() -> None:
    result = _connect(MONGO_URL="mongodb://user:hunter2@127.0.0.1:9/")
    assert result.returncode == 1
    assert "127.0.0.1:9 cannot be reached" in result.stderr
    assert "Check that MongoDB runs there" in result.stderr
    assert "hunter2" not in result.stderr + result.stdout


def test_a_missing_mongo_url_is_named() -> None:
    result = _connect()
    assert result.returncode == 1
    assert "MONGO_URL is not set" in result.stderr


def test_the_title_tells_how_the_service_was_started() -> None:
    code = (
        "from scientistcloud.service.processes.title import show_as\n"
        "print(show_as(arguments=['/a/scientistcloud/__main__.py', 'worker', 'my file.json']))\n"
        "print(open('/proc/self/cmdline').read().rstrip(chr(0)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    title = "SCLib_BackgroundService (scientistcloud worker 'my file.json')"
    assert result.stdout.splitlines() == [title, title]
