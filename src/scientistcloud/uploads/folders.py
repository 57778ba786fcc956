"""The files of one dataset's folder: listed and found, never outside of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scientistcloud.refusals import NotFound
from scientistcloud.uploads.names import relative_path


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A plain file; `name` is relative to the folder, with ``/``; `modified_at` in Unix seconds."""

    name: str
    size_bytes: int
    modified_at: float


def walk(folder: Path, prefix: str = "") -> Iterator[FoundFile]:
    """The plain files below `folder`, by name; links and hidden files are passed over."""
    try:
        entries = sorted(os.scandir(folder), key=lambda each: each.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path), f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            facts = entry.stat(follow_symlinks=False)
            yield FoundFile(f"{prefix}{entry.name}", facts.st_size, facts.st_mtime)


def list_files(folder: Path, *, after: str = "", limit: int) -> list[FoundFile]:
    """Up to `limit` files, in the order of `walk`, behind the one called `after`."""
    found: list[FoundFile] = []
    seen = not after
    for each in walk(folder):
        if seen:
            found.append(each)
        if len(found) >= limit:
            break
        seen = seen or each.name == after
    return found


def find_file(folder: Path, name: str) -> Path:
    """The plain file `name` of a folder.

    Raises
    ------
    NotFound
        There is none, or a part of the way to it is a link.
    UnusableName
    """
    path = folder
    for part in relative_path(name).parts:
        path = path / part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound("There is no such file.") from None
        if stat.S_ISLNK(mode):
            raise NotFound("There is no such file.")
    if not stat.S_ISREG(mode):
        raise NotFound("There is no such file.")
    return path
