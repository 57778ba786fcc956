"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[1].parent / "shared" / "samples"


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real files of many instruments; tests that need it are skipped without it."""
    if not SAMPLES.is_dir():
        pytest.skip(f"the sample files are not here ({SAMPLES})")
    return SAMPLES
