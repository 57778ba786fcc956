"""Fixtures of the attacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scientistcloud.service.processes.children import WarmProcess
from tests.security.victim import Victim


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmProcess]:
    process = WarmProcess()
    yield process
    process.stop()


@pytest.fixture
def victim(tmp_path: Path, warm: WarmProcess) -> Victim:
    return Victim(tmp_path, warm)
