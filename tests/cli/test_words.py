"""What commands say: help that teaches, sizes and times, progress, the demonstration's picture."""

from __future__ import annotations

import io
import json
import math
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import typer

from scientistcloud.cli.files.phantom import make_phantom
from scientistcloud.cli.main import COMMANDS
from scientistcloud.cli.terminal import console, progress
from scientistcloud.cli.terminal.arguments import parse_parameters
from scientistcloud.cli.terminal.progress import ProgressDisplay
from scientistcloud.errors import (
    BadSettings,
    ConversionError,
    CorruptSource,
    DatabaseUnavailable,
    InvalidOptions,
    MissingLibrary,
    OutOfSpace,
    UnusableUuid,
    catalogue,
)
from tests.cli.conftest import Commands


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_example(commands: Commands, command: str) -> None:
    done = commands.run(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"scientistcloud {command}" in done.stdout.partition("Examples:")[2]
    assert "Exit status:" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_the_help_lists_every_command(commands: Commands) -> None:
    done = commands.run("--help")
    listed = done.stdout.partition("Commands:")[2]
    assert [line.split()[0] for line in listed.splitlines() if line.strip()] == list(COMMANDS)
    assert "..." not in listed
    assert commands.run().returncode == 2
    assert "Did you mean 'convert'" in commands.run("convrt").stderr
    assert commands.run("--version").stdout.startswith("scientistcloud ")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CorruptSource(), 1),
        (InvalidOptions(), 2),
        (UnusableUuid(), 2),
        (BadSettings(), 2),
        (OutOfSpace(), 75),
        (DatabaseUnavailable(), 75),
        (MissingLibrary(), 75),
    ],
)
def test_the_class_of_an_error_decides_the_exit_status(error: ConversionError, status: int) -> None:
    assert console.exit_status(error) == status


def test_every_error_has_an_exit_status() -> None:
    assert {console.exit_status(each()) for each in catalogue()} == {1, 2, 75}


def test_errors_end_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, console.told_errors(as_json=True):
        raise CorruptSource("x.tif is cut.", remedy="Upload it again.")
    assert ended.value.exit_code == 1
    output = capsys.readouterr()
    expected = {"code": "CorruptSource", "message": "x.tif is cut.", "remedy": "Upload it again."}
    assert json.loads(output.out) == {"status": "failed", "error": expected}
    assert output.err == "CorruptSource: x.tif is cut.\nWhat to do: Upload it again.\n"


def test_a_bug_is_told_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, console.told_errors(as_json=True):
        raise ValueError("odd")
    assert ended.value.exit_code == 1
    output = capsys.readouterr()
    assert json.loads(output.out)["error"]["code"] == "InternalError"
    assert "Traceback" in output.err


def test_json_has_no_numbers_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    console.print_json({"a": math.nan, "b": [math.inf, 1.5], "c": moment, "d": Path("x"), 3: True})
    assert json.loads(capsys.readouterr().out) == {
        "a": None,
        "b": [None, 1.5],
        "c": "2026-01-02T00:00:00+00:00",
        "d": "x",
        "3": True,
    }


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_999, "1 MB"),
        (134_217_728, "134 MB"),
        (2.5e12, "2.5 TB"),
        (2.5e15, "2500 TB"),
    ],
)
def test_sizes(size: float, text: str) -> None:
    assert console.size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59, "59 s"), (600, "10 min"), (7200, "2 h"), (2e5, "2 d")],
)
def test_durations(seconds: float, text: str) -> None:
    assert console.duration_text(seconds) == text


def test_moments() -> None:
    now = datetime.now(UTC)
    assert console.since_text(now - timedelta(hours=3), now) == "3 h"
    assert console.since_text((now - timedelta(hours=3)).replace(tzinfo=None), now) == "3 h"
    assert console.since_text("yesterday", now) == "?"


def test_parameters_are_json_where_they_can_be(tmp_path: Path) -> None:
    pairs = ["a=1", "b=x=y", "c=[1, 2]", "d=true", "e=", 'f="1"']
    values = {"a": 1, "b": "x=y", "c": [1, 2], "d": True, "e": "", "f": "1"}
    assert parse_parameters(pairs) == values
    (tmp_path / "p.json").write_text('{"parameters": {"a": 2}, "format": "TIFF stack"}')
    (tmp_path / "q.json").write_text('{"a": 3}')
    (tmp_path / "r.json").write_text("[]")
    assert parse_parameters([f"@{tmp_path}/p.json"]) == {"a": 2}
    assert parse_parameters([f"@{tmp_path}/q.json", "a=4"]) == {"a": 4}
    for bad in ("a", "=1", "@nothing.json", f"@{tmp_path}/r.json"):
        with pytest.raises(typer.BadParameter):
            parse_parameters([bad])


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    return clock


def test_progress_is_plain_lines_with_rate_and_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressDisplay() as display:
        display.show("Converting", 0, 1000e6)
        clock.now += 0.9
        display.show("Converting", 50e6, 1000e6)
        assert capsys.readouterr().err == ""
        clock.now += 1.1
        display.show("Converting", 100e6, 1000e6)
        clock.now += 1.0
        display.show("Converting", 150e6, 1000e6)
        clock.now += 5.0
        display.show("Converting", 400e6, 1000e6)
    assert capsys.readouterr().err.splitlines() == [
        "Converting  10 %  100 MB of 1 GB  50 MB/s  0:00:18 left",
        "Converting  40 %  400 MB of 1 GB  50 MB/s  0:00:12 left",
    ]


def test_nothing_is_shown_of_what_takes_less_than_a_second(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressDisplay() as display:
        for _ in range(9):
            clock.now += 0.1
            display.show("Converting", 1, 2)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_is_taken_away(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with ProgressDisplay() as display:
        clock.now += 2
        display.show("Converting", 100e6, 1000e6)
        clock.now += 2
        display.show("Verifying", 400e6, 1000e6)
    assert "Converting" in terminal.getvalue()
    assert "Verifying" in terminal.getvalue()
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is shown again


def test_the_phantom_is_worth_looking_at_and_always_the_same() -> None:
    shape = (24, 32, 40)
    volume = make_phantom(shape)
    assert (volume.shape, volume.dtype) == (shape, np.uint16)
    np.testing.assert_array_equal(volume, make_phantom(shape))
    assert len(np.unique(volume)) > 1000
    assert volume[:, 16, 20].std() > volume[0].std() * 5
