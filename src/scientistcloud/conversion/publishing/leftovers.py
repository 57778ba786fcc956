"""What attempts leave behind whose process was killed: removed by whoever comes by."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from scientistcloud.conversion.publishing.generations import (
    PARTIAL,
    drop_empty,
    drop_unpublished,
    storage_time,
)
from scientistcloud.conversion.publishing.publish import Publication, close_staging
from scientistcloud.conversion.publishing.staged import entries, revoked_in, staged_in


def finish_revoked(staging_root: Path, converted: Path) -> int:
    """Remove what those who were killed while they tidied up left; returns how many there were."""
    found = revoked_in(staging_root)
    for staged in found:
        target = converted / staged.name
        drop_unpublished(target, staging_root, staged.name)
        drop_empty(target, staging_root, staged.name)
        shutil.rmtree(staged.path, ignore_errors=True)
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
    staged = staged_in(staging_root)
    now = storage_time(staging_root) if staged else 0.0
    old = [each for each in staged if _age_seconds(each.path, now) >= grace_seconds]
    owned = held({each.token for each in old}) if old else ()
    abandoned = [each for each in old if each.token not in owned]
    for each in abandoned:
        owner = Publication(converted / each.name, staging_root, each.name, each.token)
        close_staging(owner, keep_partial=True)
    return [each.name for each in abandoned]


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
    names = [folder.name for folder in entries(root)]
    dropped = sorted(set(names) - set(wanted(names))) if names else []
    for name in dropped:
        shutil.rmtree(root / name, ignore_errors=True)
        drop_unpublished(converted / name, staging_root, name)
        drop_empty(converted / name, staging_root, name)
    return dropped


def _age_seconds(folder: Path, now: float) -> float:
    try:
        return now - folder.stat().st_mtime
    except FileNotFoundError:  # its owner is quicker
        return float("-inf")
