"""Secrets of the service: not in children, not in logs, documents or answers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from scientistcloud.database.connection import redact
from scientistcloud.service.processes.environment import without_secrets
from tests.site import CONVERTING, DONE, Site, free_port, processes_of, until

PASSWORD = "hunter2%24ecret"
SECRETS = {
    "SECRET_KEY": "needle-4711",
    "AWS_SECRET_ACCESS_KEY": "needle-4712",
    "AWS_SESSION_TOKEN": "needle-4713",
    "GITHUB_TOKEN": "needle-4714",
    "DB_PASSWORD": "needle-4715",
    "SMTP_PASS": "needle-4716",
    "SOME_URL": "https://someone:needle-4717@example.org/",
    "GOOGLE_APPLICATION_CREDENTIALS": "/needle-4718.json",
    "HARMLESS": "-----BEGIN PRIVATE KEY----- needle-4719",
}


def test_variables_that_are_no_secrets_stay() -> None:
    kept = {
        "PATH": "/usr/bin", "HOME": "/root", "PWD": "/", "LANG": "C.UTF-8", "TZ": "UTC",
        "PYTHONPATH": "/a", "LD_LIBRARY_PATH": "/b", "OMP_NUM_THREADS": "2", "TMPDIR": "/tmp",
        "HDF5_USE_FILE_LOCKING": "FALSE", "MALLOC_ARENA_MAX": "2", "VISUS_DATASETS": "/mnt",
        "CONVERSION_MEMORY_LIMIT": "8G",
    }  # fmt: skip
    assert without_secrets(kept | SECRETS | {"MONGO_URL": "mongodb://host"}) == kept


def memory_of(pid: int) -> bytes:
    """Everything that a process may write in its memory."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            area = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if area:
                start, end = (int(each, 16) for each in area.groups())
                memory.seek(start)
                try:
                    found.append(memory.read(end - start))
                except OSError:
                    continue
    return b"".join(found)


def test_no_secret_is_in_a_child_or_the_warm_process(site: Site) -> None:
    """Looked for in the environment, the command line and all memory of real processes."""
    # The database takes the name of a user in the URL only where it asks for one: so the secret
    # of this URL is its name of an application.
    site.url += ("&" if "?" in site.url else "?") + "appName=" + "needle-4720"
    uuid, _ = site.stack((600, 256, 256))
    site.queue(uuid)
    site.start(**SECRETS)
    site.wait(uuid, CONVERTING)
    service = site.services[0]
    until(lambda: len(processes_of(service)) >= 3, 30)
    _, warm, child, *_ = processes_of(service)
    child.send_signal(signal.SIGSTOP)
    needles = [f"needle-{number}".encode() for number in range(4711, 4721)]
    assert needles[-1] in memory_of(service.pid), "the search finds what is there"
    for process in (warm, child):
        seen = memory_of(process.pid)
        seen += Path(f"/proc/{process.pid}/environ").read_bytes()
        seen += Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert len(seen) > 10 << 20
        for needle in needles:
            assert needle not in seen
    child.send_signal(signal.SIGCONT)
    site.wait(uuid, DONE)
    every = site.log() + json.dumps(site.find(uuid), default=str)
    every += (site.converted / uuid / "metadata.json").read_text()
    every += (site.converted / uuid / "conversion.log").read_text()
    assert not [needle for needle in needles if needle.decode() in every]


@pytest.fixture
def unreachable(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "upload").mkdir()
    return {
        "MONGO_URL": f"mongodb://admin:{PASSWORD}@127.0.0.1:1/?serverSelectionTimeoutMS=500",
        "SECRET_KEY": SECRETS["SECRET_KEY"],
        "VISUS_DATASETS": str(tmp_path),
        "METRICS_PORT": "0",
        "LOG_LEVEL": "debug",
    }


def silent(text: str) -> None:
    for secret in (PASSWORD, "hunter2", "$ecret", SECRETS["SECRET_KEY"]):
        assert secret not in text, text


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor"],
        ["status", "x"],
        ["retry", "x"],
        ["worker", "--drain"],
    ],
    ids=" ".join,
)
def test_a_database_that_cannot_be_reached(
    arguments: list[str], unreachable: dict[str, str], tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "scientistcloud", *arguments],
        env=os.environ | unreachable,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )
    try:
        said, _ = process.communicate(timeout=12)
    except subprocess.TimeoutExpired:  # a service goes on trying
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
    assert said
    silent(said)


@pytest.mark.parametrize(
    "url",
    [
        f"mongodb://admin:{PASSWORD}@[::1",
        f"mongodb://admin:{PASSWORD}@host:port/",
        f"mongodb:/admin:{PASSWORD}@host",
        f"mongo://admin:{PASSWORD}@host",
        f"mongodb://admin:{PASSWORD}@a:b@host",
        f"mongodb+srv://admin:{PASSWORD}@no.such.host.invalid/",
    ],
)
def test_a_url_that_cannot_be_used(url: str, unreachable: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scientistcloud", "status"],
        env=os.environ | unreachable | {"MONGO_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    silent(done.stdout + done.stderr)
    silent(redact(url))


def test_the_api(unreachable: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "api.log"
    with log.open("wb") as lines:
        server = subprocess.Popen(
            [sys.executable, "-m", "scientistcloud.api", "--port", str(port)],
            env=os.environ | unreachable,
            stdout=lines,
            stderr=subprocess.STDOUT,
        )
    try:
        answers = {}

        def answered() -> bool:
            for path in ("/health", "/api/v1/datasets/x/status", "/api/v1/datasets/statuses"):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as a:
                        answers[path] = a.read().decode()
                except urllib.error.HTTPError as error:
                    answers[path] = error.read().decode()
                except OSError:
                    return False
            return True

        until(answered, 40, log.read_text)
    finally:
        server.terminate()
        server.wait(20)
    assert "degraded" in answers["/health"]
    silent("".join(answers.values()) + log.read_text())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_service_needs_no_root(site: Site) -> None:
    """As nobody: it reads uploads that it may not write, and leaves them as they are."""
    uuid, _ = site.stack()
    before = {path: path.stat().st_mtime_ns for path in site.upload.rglob("*")}
    nobody = 65534
    site.converted.mkdir()
    os.chown(site.converted, nobody, nobody)
    for folder in (site.root, *site.root.parents):
        if folder.stat().st_uid == 0 and not folder.stat().st_mode & 1 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
    version = f"python3.{sys.version_info.minor}"
    search = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for interpreter in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        command = [*become, interpreter, "-c", f"import sys, os; os.stat({interpreter!r})"]
        if subprocess.run(command, capture_output=True).returncode == 0:
            break
    else:
        pytest.skip("every interpreter lies where only root can read it")
    site.queue(uuid)
    replaced = ["sh", "-c", f'shift; exec {interpreter} "$@"', "sh"]
    site.start("--drain", program=[*become, *replaced], HOME=str(site.converted), **search)
    until(lambda: len(processes_of(site.services[0])) > 1, 30, site.log)
    assert {each.uids().real for each in processes_of(site.services[0])} == {nobody}
    site.services[0].wait(120)
    assert site.find(uuid)["status"] == DONE, site.log()
    assert (site.converted / uuid / "visus.idx").stat().st_uid == nobody
    assert {path: path.stat().st_mtime_ns for path in site.upload.rglob("*")} == before
