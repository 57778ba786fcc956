"""One line an event, the same keys on each line about a dataset, and nothing that is secret."""

from __future__ import annotations

import io
import json
import logging
import re
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import structlog

from scientistcloud.logs import set_up_logging
from tests.site import DONE, FAILED, QUEUED, Site, processes_of, until

USER = "scientist@example.org"
SECRET = "hunter2-secret-key"
CONSOLE_LINE = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z \[(info|warning|error|debug) *\] \S")


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_whatever_happens_is_one_line(restored: None, log_format: str) -> None:
    stream = io.StringIO()
    set_up_logging(log_format, "info", stream)
    log = structlog.get_logger("x")
    log.info("a file called\nlike two lines\x1b[31m", name="first\nsecond", size=3)
    try:
        raise ValueError("with\ntwo lines")
    except ValueError:
        log.exception("It failed")
    logging.getLogger("other").error("from\nelsewhere")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert "\x1b" not in stream.getvalue()
    assert "like two lines" in lines[0]
    assert "ValueError" in lines[1]
    assert "test_logs.py" in lines[1]


def live(site: Site) -> dict[str, str]:
    """Have success, failure, retry, loss, cancel and release happen; the datasets' names."""
    good, _ = site.stack((4, 32, 32))
    bad = site.upload / "bad"
    bad.mkdir()
    (bad / "image.tif").write_bytes(b"II*\0 this is no TIFF at all" * 10)
    changing = site.upload / "changing\nline.txt"
    changing.mkdir()
    site.queue(good, "bad", "changing\nline.txt", user=USER, user_email=USER)
    service = site.start()
    site.wait(good, DONE, FAILED)
    site.wait("bad", FAILED)
    site.wait("changing\nline.txt", FAILED)
    names = {"done": good, "failed": "bad"}
    for role in ("retry", "lost", "cancelled", "released"):
        name, _ = site.stack((64, 512, 512), compression="lzw")
        names[role] = name
        site.queue(name, user=USER)
        until(lambda name=name: staged(site, name), 60, site.logs)  # type: ignore[misc]
        child = processes_of(service)[2]
        child.suspend()
        if role == "retry":
            child.send_signal(signal.SIGSEGV)
            child.resume()
            site.wait(name, DONE)
        elif role == "lost":
            site.datasets.delete_one({"uuid": name})
        elif role == "cancelled":
            site.datasets.update_one({"uuid": name}, {"$set": {"status": "cancelled"}})
        else:
            service.terminate()
        child_ended(site, service, child, running=role == "released")
    assert site.wait(names["released"], QUEUED)
    return names


def staged(site: Site, name: str) -> bool:
    return bool(list((site.converted / ".staging").glob(f"{name}.*/conversion.log")))


def child_ended(site: Site, service: Any, child: Any, *, running: bool) -> None:
    if child.is_running():
        child.resume()
    if running:
        assert service.wait(15) == 0
    else:
        until(lambda: len(processes_of(service)) == 2, 30, site.logs)


def test_every_line_about_a_dataset_tells_which_attempt(site: Site) -> None:
    site.settings |= {"LOG_FORMAT": "json", "LOG_LEVEL": "debug", "SECRET_KEY": SECRET}
    names = live(site)
    text = site.log()
    lines = [json.loads(line) for line in text.splitlines()]
    about = [
        line
        for line in lines
        if "dataset" in line or any(name in json.dumps(line) for name in names.values())
    ]
    for line in about:
        assert {"dataset", "attempt", "token"} <= line.keys(), line
        assert re.fullmatch("[0-9a-f]{8}", line["token"]), line
        assert isinstance(line["attempt"], int)
        assert line["level"] in ("debug", "info", "warning", "error")
        assert line["timestamp"].endswith("Z")
    told = {
        role: [line["message"] for line in about if line["dataset"] == name]
        for role, name in names.items()
    }
    for role, words in {
        "done": "Finished conversion",
        "failed": "failed:",
        "retry": "is tried again in",
        "lost": "is lost",
        "cancelled": "is lost",
        "released": "Released dataset",
    }.items():
        assert told[role][0].startswith("Processing conversion for dataset"), role
        assert any(words in message for message in told[role]), (role, told[role])
    attempts = {line["attempt"] for line in about if line["dataset"] == names["retry"]}
    assert attempts == {1, 2}
    assert_nothing_secret(text, site)


def assert_nothing_secret(text: str, site: Site) -> None:
    assert USER not in text
    assert SECRET not in text
    tokens = {
        entry["token"]
        for document in site.datasets.find()
        for entry in document.get("conversion", {}).get("history", [])
    }
    assert len(tokens) >= 5
    assert not any(token in text for token in tokens)


def test_console_lines_have_the_same_keys(site: Site) -> None:
    name = "one"
    (site.upload / name).mkdir()
    np.save(site.upload / name / "volume.npy", np.arange(4096, dtype="u2").reshape(16, 16, 16))
    (site.upload / "empty").mkdir()
    site.queue(name, "empty", "two\nlines", user=USER)
    site.start("--drain").wait(60)
    lines = site.log().splitlines()
    for line in lines:
        assert CONSOLE_LINE.match(line), line
        if "dataset=" in line:
            assert re.search(r" token=[0-9a-f]{8}\b", line), line
            assert re.search(r" attempt=1\b", line), line
    assert sum("dataset=one" in line for line in lines) == 2
    assert sum("dataset=empty" in line for line in lines) >= 2
    assert sum("dataset two\\nlines" in line for line in lines) >= 2
    assert USER not in "\n".join(lines)
