"""The pages are true: what they say to type is typed here, and the site has no dead link."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from scientistcloud.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs"
_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ADDRESS = "http://127.0.0.1:5055/health"
_START_SECONDS = 90


@dataclass(frozen=True)
class Block:
    """What a page shows to be typed."""

    language: str
    title: str
    code: str


def blocks_of(page: Path) -> list[Block]:
    return [Block(*each) for each in _BLOCK.findall(page.read_text())]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, a home of its own, and the commands of this environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name in ("MONGO_URL", "SCIENTISTCLOUD_SERVER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@contextlib.contextmanager
def in_another_terminal(command: str, log: Path) -> Iterator[None]:
    """Run a command until the page ends, as Ctrl-C would end it."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers():
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(_START_SECONDS)


def _answers() -> bool:
    try:
        return httpx.get(_ADDRESS).is_success
    except httpx.HTTPError:
        return False


def type_all(page: Path, folder: Path) -> str:
    """Type each block of a page in turn; returns what the Python of it printed."""
    names: dict[str, Any] = {"__name__": "page"}
    printed = io.StringIO()
    with contextlib.ExitStack() as stack:
        for block in blocks_of(page):
            if block.language == "python":
                with contextlib.redirect_stdout(printed):
                    exec(compile(block.code, page.name, "exec"), names)
            elif "another terminal" in block.title:
                stack.enter_context(in_another_terminal(block.code.strip(), folder / "log"))
            elif block.language == "sh":
                typed = ["bash", "-euo", "pipefail", "-c", block.code]
                done = subprocess.run(typed, capture_output=True, text=True, timeout=240)
                assert done.returncode == 0, block.code + done.stdout + done.stderr
    return printed.getvalue()


@pytest.mark.slow
def test_the_tutorial_can_be_typed(folder: Path) -> None:
    printed = type_all(PAGES / "tutorial.md", folder)
    assert "(128, 96, 40) ('data',) uint16" in printed
    assert (folder / "out" / "visus.idx").is_file()


@pytest.mark.slow
def test_the_notebook_can_be_typed(folder: Path) -> None:
    printed = type_all(PAGES / "notebook.md", folder)
    assert "(100, 80, 60) (10, 20, 30)" in printed
    assert "SourceNotFound" in printed
    imported = set(re.findall(r"^import (\S+)", (PAGES / "notebook.md").read_text(), re.MULTILINE))
    assert imported == {"numpy", "scientistcloud"}


@pytest.mark.slow
def test_the_first_command_of_the_readme_works(folder: Path) -> None:
    commands = [each.code.strip() for each in blocks_of(ROOT / "README.md")]
    assert commands[:2] == ["./run demo --exit", "./run test"]  # the second is what runs this
    done = subprocess.run(
        ["bash", "-c", commands[0]],
        cwd=ROOT,
        env=os.environ | {"SCIENTISTCLOUD_VENV": sys.prefix},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything is stopped." in done.stdout + done.stderr


def test_every_command_of_the_readme_exists() -> None:
    known = set(COMMANDS) | set(re.findall(r"#   \./run (\w+) ", (ROOT / "run").read_text()))
    named = set(re.findall(r"`\./run (\w+)", (ROOT / "README.md").read_text()))
    assert named <= known | {"COMMAND"}, named - known


def test_pages_link_only_to_files_that_are_there() -> None:
    """Those beside the site, which mkdocs does not look at, too."""
    for page in [*ROOT.glob("*.md"), *PAGES.rglob("*.md"), ROOT / "benchmarks" / "README.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
