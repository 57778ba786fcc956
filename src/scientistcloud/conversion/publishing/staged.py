"""Staging folders of attempts, ``<staging root>/<name>.<token>/``: where they are, and whose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

STAGING = ".staging"
REVOKED = ".revoked."
"""Before the name of one that was taken from its owner."""

_OWNED = re.compile(rf"(?!{re.escape(REVOKED)})(?P<name>.+)\.(?P<token>[0-9a-f]{{32}})")
_REVOKED = re.compile(rf"{re.escape(REVOKED)}(?P<name>.+)\.(?P<token>[0-9a-f]{{32}})")


@dataclass(frozen=True, slots=True)
class Staged:
    """The staging folder of one attempt.

    Attributes
    ----------
    name : str
        Of the target within the staging root (the uuid).
    token : str
        Of the attempt's lease.
    """

    path: Path
    name: str
    token: str


def staged_in(staging_root: Path) -> list[Staged]:
    """Those that are their owners' still."""
    return _named(staging_root, _OWNED)


def revoked_in(staging_root: Path) -> list[Staged]:
    """Those that were taken from their owners, and are to be removed."""
    return _named(staging_root, _REVOKED)


def _named(staging_root: Path, pattern: re.Pattern[str]) -> list[Staged]:
    found = [(entry, pattern.fullmatch(entry.name)) for entry in entries(staging_root)]
    return [Staged(entry, match["name"], match["token"]) for entry, match in found if match]


def entries(folder: Path) -> list[Path]:
    """What is in a folder, which need not be there."""
    return list(folder.iterdir()) if folder.is_dir() else []
