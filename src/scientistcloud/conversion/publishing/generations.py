"""The generations of a target's blocks: which one is published, and which may go.

Each conversion writes its blocks to a folder of its own, ``visus/<generation>/``, which the header
names. A generation that was replaced stays for readers that hold its header, marked as retired by
a file ``<staging root>/.retired/<name>/<generation>``, and goes after a period of grace. One that
was not finished stays while there is a checkpoint ``<staging root>/.partial/<name>/<generation>``.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from scientistcloud.conversion.publishing.staged import entries, staged_in

HEADER = "visus.idx"
BLOCKS = "visus"
METADATA = "metadata.json"
LOG = "conversion.log"
RETIRED = ".retired"
PARTIAL = ".partial"
_DROPPED = ".dropped"

_GENERATION = re.compile(rf"[0-9a-f]{{16}}({re.escape(_DROPPED)})?")
_TEMPLATE = re.compile(r"^\(filename_template\)\s*\n\s*\./visus/([0-9A-Za-z]+)/", re.MULTILINE)


def published_generation(folder: Path) -> str | None:
    """The generation that ``folder/visus.idx`` names; None where there is none of ours."""
    try:
        head = (folder / HEADER).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    found = _TEMPLATE.search(head)
    return found.group(1) if found else None


def dataset_folders(target: Path) -> list[Path]:
    """`target` and the folders of its further datasets (those that hold a folder ``visus``)."""
    if not target.is_dir():
        return []
    inner = [
        entry
        for entry in target.iterdir()
        if entry.name != BLOCKS and entry.is_dir() and not entry.is_symlink()
    ]
    return [target, *(entry for entry in inner if (entry / BLOCKS).is_dir())]


def drop_unpublished(target: Path, staging_root: Path, name: str) -> None:
    """Remove generations of `target` that nobody needs: published, retired, written or resumed.

    The order of looking matters, because others publish meanwhile: a generation seen first is
    still being staged, or was published after that, or was marked retired before it ceased to be.
    """
    found = [(folder, each) for folder in dataset_folders(target) for each in _generations(folder)]
    keep = {each.token[:16] for each in staged_in(staging_root) if each.name == name}
    keep |= {published_generation(folder) or "" for folder, _ in found}
    keep |= {marker.name for marker in entries(staging_root / RETIRED / name)}
    keep |= {checkpoint.name for checkpoint in entries(staging_root / PARTIAL / name)}
    for folder, generation in found:
        if generation.name not in keep:
            remove_generation(generation)
            with suppress(OSError):  # not empty: something else is published there
                (folder / BLOCKS).rmdir()
                if folder != target:
                    folder.rmdir()


def drop_empty(target: Path, staging_root: Path, name: str) -> None:
    """Remove `target` if nothing is in it and nobody is at work on it.

    A confined child may write the folder that was there when it began, not one of the same name.
    """
    if all(each.name != name for each in staged_in(staging_root)):
        with suppress(OSError):  # not empty, or never made
            target.rmdir()


def withdraw(target: Path) -> None:
    """Remove what was published, because its document is gone: the headers first."""
    for folder in dataset_folders(target):
        with suppress(FileNotFoundError):
            (folder / HEADER).unlink()
    for folder in dataset_folders(target):
        for generation in _generations(folder):
            remove_generation(generation)
        with suppress(OSError):
            (folder / BLOCKS).rmdir()
    for name in (METADATA, LOG):
        with suppress(FileNotFoundError):
            (target / name).unlink()
    with suppress(OSError):  # somebody else's files are in it: theirs to keep
        target.rmdir()


def sweep(staging_root: Path, converted: Path, grace_seconds: float) -> int:
    """Remove generations that were replaced more than `grace_seconds` ago; returns how many."""
    removed = 0
    root = staging_root / RETIRED
    if not root.is_dir():
        return 0
    now = storage_time(root)
    for folder in entries(root):
        target = converted / folder.name
        for marker in entries(folder):
            if now - marker.stat().st_mtime < grace_seconds:
                continue
            for dataset in dataset_folders(target):
                if published_generation(dataset) != marker.name:
                    shutil.rmtree(dataset / BLOCKS / marker.name, ignore_errors=True)
                    removed += 1
            marker.unlink(missing_ok=True)
        with suppress(OSError):  # another conversion has retired one meanwhile
            folder.rmdir()
    return removed


def storage_time(folder: Path) -> float:
    """The time by which the storage dates files, asked by touching `folder`.

    The ages of files go by it: the clock of this host may differ by minutes.
    """
    os.utime(folder)
    return folder.stat().st_mtime


def _generations(folder: Path) -> list[Path]:
    """The folders below ``folder/visus`` that are named as our generations are."""
    return [e for e in entries(folder / BLOCKS) if _GENERATION.fullmatch(e.name) and e.is_dir()]


def remove_generation(generation: Path) -> None:
    """Remove a folder of blocks; renamed first, so that nobody takes it over half removed."""
    away = generation
    if not generation.name.endswith(_DROPPED):
        away = generation.with_name(generation.name + _DROPPED)
        try:
            generation.rename(away)
        except OSError:  # another attempt was quicker, or somebody else is removing it
            return
    shutil.rmtree(away, ignore_errors=True)
