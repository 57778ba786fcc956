"""Owners of a claim, one after another, on the same upload."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.publishing.publish import Publication, open_staging
from scientistcloud.conversion.resuming import journal

UUID = "a-dataset"
OPTIONS = ConversionOptions(96_000_000, 1, checkpoint_seconds=0.0)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a folder for the upload; whatever they cost, there are as many checkpoints as can be."""
    monkeypatch.setattr(journal, "COST_SHARE", float("inf"))
    (tmp_path / "upload").mkdir()
    return tmp_path


def publication(root: Path, name: str = UUID) -> Publication:
    """What a new owner would write."""
    converted = root / "converted"
    return Publication(converted / name, converted / ".staging", name, uuid.uuid4().hex)


def opened(root: Path) -> Publication:
    """A new owner: those before it lose their staging folders."""
    owner = publication(root)
    open_staging(owner)
    return owner
