"""What attempts leave behind whose process was killed: removed by whoever comes by."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from scientistcloud.conversion.generations import drop_unpublished
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
            with suppress(OSError):  # not empty, or never made
                target.rmdir()
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
    old = [folder for folder in _staged(staging_root) if _age_seconds(folder) >= grace_seconds]
    if not old:
        return []
    tokens = {folder: folder.name.rpartition(".")[2] for folder in old}
    owned = held(set(tokens.values()))
    closed = []
    for folder, token in tokens.items():
        if token not in owned:
            name = folder.name.rpartition(".")[0]
            close_staging(Publication(converted / name, staging_root, name, token))
            closed.append(name)
    return closed


def _staged(staging_root: Path) -> list[Path]:
    if not staging_root.is_dir():
        return []
    return [entry for entry in staging_root.iterdir() if _STAGED.fullmatch(entry.name)]


def _age_seconds(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:  # its owner is quicker
        return float("-inf")
