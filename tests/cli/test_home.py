"""``demo`` and ``up``: all of it on a computer that has nothing, and nothing left at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from scientistcloud.database.connection import connect
from tests.cli.conftest import Commands, eventually


def processes_of(home: Path) -> list[str]:
    """Command lines of what runs for `home`: its mongod, and whoever was started with it."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = " ".join(process.info["cmdline"] or ())
        if str(home) in command and process.info["pid"] != os.getpid():
            found.append(command)
    return found


def health(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return json.load(answer)["status"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def up(commands: Commands, home: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """``up``, and what it said until it served."""
    process = commands.start("up", "--home", home)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C stops everything" in line:
            break
    yield process, lines
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)


def test_demo_converts_shows_and_stops(commands: Commands, home: Path) -> None:
    done = commands.run("demo", "--home", home, "--exit")
    assert done.returncode == 0, done.stdout + done.stderr
    statuses = re.findall(r"^ +[\d.]+ s  (\w[\w ]*?)  +", done.stdout, re.MULTILINE)
    assert list(dict.fromkeys(statuses)) == ["uploading", "conversion queued", "converting", "done"]
    assert "identical" in done.stdout
    named = dict(re.findall(r"^  (dataset|picture|files|log) +(/.*)$", done.stdout, re.MULTILINE))
    assert all(Path(each).exists() for each in named.values())
    assert set(named) == {"dataset", "picture", "files", "log"}
    with Image.open(named["picture"]) as picture:
        colours = np.asarray(picture.convert("RGB"))
    assert colours.shape[1] > 2 * colours.shape[0] > 400
    assert len(np.unique(colours.reshape(-1, 3), axis=0)) > 100
    assert "Processing conversion for dataset" in Path(named["log"]).read_text()
    assert processes_of(home) == []


def test_demo_serves_until_ctrl_c(commands: Commands, home: Path) -> None:
    process = commands.start("demo", "--home", home)
    assert process.stdout is not None
    output = "".join(iter(process.stdout.readline, "Ctrl-C stops everything.\n"))
    assert "identical" in output
    assert len(processes_of(home)) >= 2
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert processes_of(home) == []


def test_up_serves_what_is_submitted(
    commands: Commands, home: Path, up: tuple[subprocess.Popen[str], list[str]], tmp_path: Path
) -> None:
    process, said = up
    assert "mongodb://" in "".join(said)
    address = re.search(r"http://127.0.0.1:\d+/health", "".join(said))
    assert address is not None
    eventually(lambda: health(address[0]) == "healthy", 10)
    np.save(tmp_path / "a.npy", np.arange(1000, dtype=np.uint16).reshape(10, 10, 10))
    done = commands.run("submit", "a.npy", "--wait", "--json", "--home", home)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == "done"
    assert Path(told["path"]).is_relative_to(home / "converted")
    assert Path(told["path"]).is_file()
    (tmp_path / "b.tif").write_bytes(b"II*\0" + b"\xff" * 100)
    failed = commands.run("submit", "b.tif", "--wait", "--home", home)
    assert failed.returncode == 1, failed.stderr
    assert "What to do" in failed.stderr
    well = commands.run("doctor", "--home", home)
    assert well.returncode == 0, well.stdout
    assert "All is well" in well.stdout
    assert "alive for" in well.stdout
    found = subprocess.run(["ps", "auxww"], capture_output=True, text=True, check=True).stdout
    assert f"SCLib_BackgroundService (scientistcloud up --home {home}" in found
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert time.monotonic() - started < 15
    assert processes_of(home) == []


def test_up_starts_mongodb_again_when_it_was_killed(
    home: Path, up: tuple[subprocess.Popen[str], list[str]]
) -> None:
    process, said = up
    url = re.search(r"mongodb://\S+(?=,)", "".join(said))
    assert url is not None
    (server,) = [
        each
        for each in psutil.process_iter(["cmdline"])
        if str(home / "mongodb") in (each.info["cmdline"] or ())
    ]
    server.kill()
    server.wait(10)

    def alive() -> Any:
        try:
            client = connect(url[0], timeout_seconds=2)
        except Exception:  # whatever it says while it is away
            return False
        client.close()
        return True

    eventually(alive, 60)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert processes_of(home) == []


def test_commands_start_and_stop_the_server_of_the_home(commands: Commands, home: Path) -> None:
    done = commands.run("status", "--home", home)
    assert done.returncode == 0, done.stderr
    assert "There are no datasets yet" in done.stdout
    assert (home / "upload").is_dir()
    assert (home / "converted").is_dir()
    assert processes_of(home) == []


def test_drain_ends_when_the_queue_is_empty(
    commands: Commands, server: dict[str, str], database: Any, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 4, 4), np.uint8))
    for _ in range(3):
        assert commands.run("submit", "a.npy", env=server).returncode == 0
    done = subprocess.run(
        [sys.executable, "-m", "scientistcloud", "worker", "--drain"],
        env=commands.environment | server,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Starting SC_BackgroundService worker" in done.stdout
    assert database["visstoredatas"].count_documents({"status": "done"}) == 3
