"""Fixtures of the tests that run real services."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import Site


@pytest.fixture
def site(tmp_path: Path, mongo_url: str) -> Iterator[Site]:
    """A site on the session's replica set."""
    made = Site(tmp_path / "site", mongo_url, f"test_{uuid.uuid4().hex[:12]}")
    yield made
    made.close()
