"""Whether the folders of the datasets are there, readable, writable, and have space."""

from __future__ import annotations

import getpass
import os
import queue
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from scientistcloud.cli.home.diagnosis import Finding, Level
from scientistcloud.cli.terminal.console import size_text
from scientistcloud.settings import Settings

PATIENCE_SECONDS = 5.0
"""How long storage may take to answer; network storage can hang for ever."""

_LITTLE_BYTES = 10e9
_NONE_BYTES = 100e6


def check_folders(settings: Settings) -> Iterator[Finding]:
    """Upload and converted folders, as this user sees them."""
    for variable, folder, writable in (
        ("JOB_IN_DATA_DIR", settings.in_data_dir, False),
        ("JOB_OUT_DATA_DIR", settings.out_data_dir, True),
    ):
        yield _in_time(variable, folder, writable=writable)


def _in_time(variable: str, folder: Path, *, writable: bool) -> Finding:
    """Look in a thread of its own, which is left behind if the storage hangs."""
    answer: queue.SimpleQueue[Finding] = queue.SimpleQueue()

    def look() -> None:
        answer.put(_look(variable, folder, writable=writable))

    threading.Thread(target=look, daemon=True).start()
    try:
        return answer.get(timeout=PATIENCE_SECONDS)
    except queue.Empty:
        return Finding(
            Level.FAIL,
            "folders",
            f"{folder} does not answer within {PATIENCE_SECONDS:.0f} s",
            "Check the network storage and its mount on this host.",
        )


def _look(variable: str, folder: Path, *, writable: bool) -> Finding:
    kind = "converted" if writable else "upload"
    try:
        names = os.listdir(folder)  # noqa: PTH208  paths would be made for nothing
        number = sum(not name.startswith(".") for name in names)
        if writable:
            with tempfile.TemporaryFile(dir=folder):
                pass
        free_bytes = shutil.disk_usage(folder).free
    except FileNotFoundError:
        return Finding(
            Level.FAIL,
            "folders",
            f"the {kind} folder {folder} does not exist",
            f"Mount or make it, or set {variable} or VISUS_DATASETS.",
        )
    except OSError as error:
        return Finding(
            Level.FAIL,
            "folders",
            f"the {kind} folder {folder} cannot be {'written' if writable else 'read'} by "
            f"{getpass.getuser()}: {error.strerror}",
            f"Give {getpass.getuser()} the right to, or run this as the user of the service.",
        )
    facts = {"path": str(folder), "entries": number, "free_bytes": free_bytes}
    rights = "readable and writable" if writable else "readable"
    entries = "1 entry" if number == 1 else f"{number} entries"
    text = f"{kind} {folder}: {entries}, {rights}, {size_text(free_bytes)} free"
    if writable and free_bytes < _LITTLE_BYTES:
        level = Level.FAIL if free_bytes < _NONE_BYTES else Level.WARN
        return Finding(level, "folders", text, "Free space: conversions wait for it.", facts)
    return Finding(Level.OK, "folders", text, facts=facts)
