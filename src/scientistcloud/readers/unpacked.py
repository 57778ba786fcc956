"""An upload of archives: what is inside them, listed like an upload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scientistcloud.errors import AmbiguousFormat
from scientistcloud.readers.archives import unpack as archives
from scientistcloud.readers.archives.unpack import UnpackLimits, unpack
from scientistcloud.readers.base import Match
from scientistcloud.readers.files.listing import FileEntry, Listing, scan
from scientistcloud.readers.registry import best_match, owned_folders


@dataclass(frozen=True)
class Unpacked:
    """The result of unpacking.

    Attributes
    ----------
    folder : Path
        The new folder, the caller's to remove.
    archives : tuple of str
        Names of the archives.
    """

    folder: Path
    listing: Listing
    archives: tuple[str, ...]


def unpack_listing(
    listing: Listing,
    scratch: Path,
    stop: Callable[[], bool] = lambda: False,
    limits: UnpackLimits | None = None,
) -> Unpacked | None:
    """Unpack the archives of `listing` into `scratch`; None where the upload is no archive.

    Raises
    ------
    AmbiguousFormat
        There are archives, and data beside them.
    UnsafeArchive, CorruptSource, SourceEmpty, UnrecognizedFormat, OutOfSpace, Stopped
        As `archives.unpack`.
    """
    owned = owned_folders(listing)
    free = [entry for entry in listing.files if not owned(entry)]
    graded = [(entry, archives.match(entry.path, listing.head(entry))) for entry in free]
    packed = [entry for entry, grade in graded if grade is not Match.NO]
    if not packed:
        return None
    data = _data_beside(listing, {entry.path for entry in packed})
    if data:
        if all(grade is Match.POSSIBLE for _, grade in graded if grade is not Match.NO):
            return None
        raise AmbiguousFormat(
            f"The upload holds both archives ({packed[0].name}) and data ({data[0].name}).",
            remedy="Upload either the archives or the unpacked files.",
        )
    folder = unpack([entry.path for entry in packed], scratch, limits or UnpackLimits(), stop)
    return Unpacked(_top(folder, scratch), scan(folder), tuple(entry.name for entry in packed))


def _data_beside(listing: Listing, packed: set[Path]) -> list[FileEntry]:
    return [
        entry
        for entry in listing.files
        if entry.path not in packed and best_match(listing, entry)[1] is Match.CERTAIN
    ]


def _top(folder: Path, scratch: Path) -> Path:
    """The folder directly in `scratch` that `folder` is or lies in."""
    relative = folder.resolve().relative_to(scratch.resolve())
    return scratch / relative.parts[0]
