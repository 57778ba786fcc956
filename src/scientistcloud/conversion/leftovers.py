"""What attempts leave behind whose process was killed: removed by whoever comes by."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from scientistcloud.conversion.generations import (
    PARTIAL,
    drop_empty,
    drop_unpublished,
    storage_time,
)
from scientistcloud.conversion.publish import REVOKED, Publication, close_staging

_STAGED = re.compile(r"(?P<name>[^.].*)\.(?P<token>[0-9a-f]{32})")


def finish_revoked(staging_root: Path, converted: Path) -> int:
    """Remove what those who were killed while they tidied up left; returns how many there were."""
    found = list(staging_root.glob(f"{REVOKED}*"))
    for folder in found:
        staged = _STAGED.fullmatch(folder.name.removeprefix(REVOKED))
        if staged is not None:
            target = converted / staged["name"]
            drop_unpublished(target, staging_root, staged["name"])
            drop_empty(target, staging_root, staged["name"])
        shutil.rmtree(folder, ignore_errors=True)
    return len(found)


def close_abandoned(
    staging_root: Path,
    converted: Path,
    grace_seconds: float,
    held: Callable[[Collection[str]], Collection[str]],
) -> list[str]:
    """Close staging folders whose owners are gone and whose datasets nobody asks for any more.

    A token is in a document's lease before its folder is made, and never again once it is gone from
    there: so a folder seen first, whose token `held` does not know after that, has no owner.

    Parameters
    ----------
    grace_seconds : float
        Folders that changed more recently are left alone.
    held : callable
        Which of these tokens are in a lease now.

    Returns
    -------
    list of str
        Names of the datasets whose folders were closed.
    """
    staged = _staged(staging_root)
    now = storage_time(staging_root) if staged else 0.0
    old = [folder for folder in staged if _age_seconds(folder, now) >= grace_seconds]
    if not old:
        return []
    tokens = {folder: folder.name.rpartition(".")[2] for folder in old}
    owned = held(set(tokens.values()))
    closed = []
    for folder, token in tokens.items():
        if token not in owned:
            name = folder.name.rpartition(".")[0]
            owner = Publication(converted / name, staging_root, name, token)
            close_staging(owner, keep_partial=True)
            closed.append(name)
    return closed


def drop_partial(
    staging_root: Path, converted: Path, wanted: Callable[[Collection[str]], Collection[str]]
) -> list[str]:
    """Remove what attempts had finished of datasets that nobody asks for any more.

    Parameters
    ----------
    wanted : callable
        Which of these datasets are queued or being converted now.

    Returns
    -------
    list of str
        Names of the other ones.
    """
    root = staging_root / PARTIAL
    names = [folder.name for folder in root.iterdir()] if root.is_dir() else []
    dropped = sorted(set(names) - set(wanted(names))) if names else []
    for name in dropped:
        shutil.rmtree(root / name, ignore_errors=True)
        drop_unpublished(converted / name, staging_root, name)
        drop_empty(converted / name, staging_root, name)
    return dropped


def _staged(staging_root: Path) -> list[Path]:
    if not staging_root.is_dir():
        return []
    return [entry for entry in staging_root.iterdir() if _STAGED.fullmatch(entry.name)]


def _age_seconds(folder: Path, now: float) -> float:
    try:
        return now - folder.stat().st_mtime
    except FileNotFoundError:  # its owner is quicker
        return float("-inf")
