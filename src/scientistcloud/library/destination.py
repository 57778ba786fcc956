"""The folder that a conversion by hand writes to: whether it may, and what it leaves."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scientistcloud.conversion.publishing.generations import (
    BLOCKS,
    HEADER,
    LOG,
    METADATA,
    RETIRED,
    published_generation,
    sweep,
)
from scientistcloud.conversion.publishing.leftovers import finish_revoked
from scientistcloud.conversion.publishing.publish import (
    Publication,
    close_staging,
    open_staging,
)
from scientistcloud.conversion.publishing.staged import STAGING
from scientistcloud.errors import InvalidOptions, SourceNotFound, UnsafeLink
from scientistcloud.idx.files.storage import writing

_ELSEWHERE = "Choose a new or empty folder, or one that an earlier conversion made."


@contextmanager
def destination(source: Path, target: Path) -> Iterator[Publication]:
    """A staging folder inside `target`, which is left without a trace of it, whatever happens.

    A result that was there before is replaced by a new one, or stays as it was; its blocks go
    with the next commit, since nobody but the user of this computer reads them.

    Raises
    ------
    SourceNotFound, InvalidOptions
        There is no `source`, or `target` must not be written to.
    """
    check(source, target)
    target = target.resolve()
    publication = Publication(
        target=target,
        staging_root=target / STAGING,
        name=target.name,
        token=uuid.uuid4().hex,
    )
    missing = _missing_folders(target)
    open_staging(publication)
    try:
        yield publication
    finally:
        _tidy(publication)
        for folder in missing:
            with suppress(OSError):  # something was published in it
                folder.rmdir()


def check(source: Path, target: Path) -> None:
    """Refuse what would overwrite somebody's files or read what is being written.

    Raises
    ------
    SourceNotFound, InvalidOptions, UnsafeLink
    """
    if not source.exists():
        raise SourceNotFound(f"There is nothing at {source}.", remedy="Check the path.")
    if target.is_symlink():
        raise UnsafeLink(f"{target} is a link.", remedy="Name the folder that it leads to.")
    real_source, real_target = source.resolve(), target.resolve()
    if real_target == real_source:
        raise InvalidOptions("Source and destination are the same.", remedy=_ELSEWHERE)
    if real_target.is_relative_to(real_source):
        raise InvalidOptions(
            f"The destination {target} lies inside the source {source}.", remedy=_ELSEWHERE
        )
    if real_source.is_relative_to(real_target):
        raise InvalidOptions(
            f"The source {source} lies inside the destination {target}.", remedy=_ELSEWHERE
        )
    if target.exists() and not target.is_dir():
        raise InvalidOptions(f"{target} is a file, not a folder.", remedy=_ELSEWHERE)
    with writing(f"{target}"):
        if target.is_dir() and not _is_ours(target):
            raise InvalidOptions(
                f"{target} holds files that no conversion made; nothing was touched.",
                remedy=_ELSEWHERE,
            )


def _is_ours(target: Path) -> bool:
    """Whether `target` is empty, holds a dataset of ours, or what a killed conversion left."""
    names = {entry.name for entry in target.iterdir()}
    if HEADER in names:
        return published_generation(target) is not None or _has_our_metadata(target)
    return names <= {STAGING, BLOCKS, LOG} and (not names or STAGING in names)


def _has_our_metadata(target: Path) -> bool:
    try:
        value = json.loads((target / METADATA).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(value, dict) and str(value.get("schema", "")).startswith("scientistcloud/")


def _missing_folders(target: Path) -> list[Path]:
    """Those of `target` and its parents that will have to be made, the innermost first."""
    return [folder for folder in (target, *target.parents) if not folder.exists()]


def _tidy(publication: Publication) -> None:
    close_staging(publication)
    sweep(publication.staging_root, publication.target.parent, 0.0)
    finish_revoked(publication.staging_root, publication.target.parent)
    for folder in (publication.staging_root / RETIRED, publication.staging_root):
        with suppress(OSError):  # another conversion is using it
            folder.rmdir()
