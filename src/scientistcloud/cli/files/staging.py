"""Bringing files into an upload folder: as a reflink, as a copy with progress, or as hard links."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scientistcloud.errors import (
    InvalidOptions,
    SourceEmpty,
    SourceNotFound,
    SpecialFile,
    Stopped,
    UnsafeLink,
)

FICLONE = 0x40049409
"""The ioctl that makes a file share the blocks of another one (``linux/fs.h``)."""

_COPY_BYTES = 8 << 20
_NO_REFLINK = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One file that is to be brought in: where it is, its name there, its size."""

    path: Path
    name: Path
    size_bytes: int


def find_files(source: Path) -> list[StagedFile]:
    """The file `source`, or all files below the folder `source`, by name.

    Raises
    ------
    SourceNotFound, SourceEmpty, UnsafeLink, SpecialFile
    """
    if not source.exists():
        raise SourceNotFound(f"There is nothing at {source}.", remedy="Check the path.")
    if source.is_file():
        return [StagedFile(source, Path(source.name), source.stat().st_size)]
    files = [_staged(path, source) for path in _walk(source)]
    if not files:
        raise SourceEmpty(f"{source} holds no files.")
    return files


def _walk(source: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(source):
        inner.sort()
        # os.walk lists links to folders as folders, and does not enter them.
        for name in [*sorted(names), *(each for each in inner if Path(folder, each).is_symlink())]:
            yield Path(folder, name)


def _staged(path: Path, source: Path) -> StagedFile:
    status = path.lstat()
    name = path.relative_to(source)
    if stat.S_ISLNK(status.st_mode):
        raise UnsafeLink(
            f"{name} is a link.", remedy="Put the file itself there, or leave the link out."
        )
    if not stat.S_ISREG(status.st_mode):
        raise SpecialFile(f"{name} is no plain file.", remedy="Leave it out.")
    return StagedFile(path, name, status.st_size)


def stage_files(
    files: list[StagedFile],
    folder: Path,
    *,
    link: bool,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
) -> str:
    """Bring `files` into `folder`, which is made, under their names.

    Parameters
    ----------
    progress : callable
        Told the bytes newly done.

    Returns
    -------
    str
        How: ``link``, ``reflink`` or ``copy``.

    Raises
    ------
    InvalidOptions
        Hard links are asked for and cannot be made there.
    Stopped
    """
    how = "link" if link else "reflink"
    for each in files:
        if stop():
            raise Stopped
        target = folder / each.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if link:
            _link(each.path, target)
        elif how == "copy" or not _reflink(each.path, target):
            how = "copy"
            _copy(each.path, target, progress, stop)
            continue
        progress(each.size_bytes)
    return how


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError as error:
        raise InvalidOptions(
            f"{source} cannot be hard-linked to the upload folder: {error.strerror}.",
            remedy="Leave --link out: the files are copied then.",
        ) from error


def _reflink(source: Path, target: Path) -> bool:
    """Share the blocks of `source`, where the file system can; False where it cannot."""
    with source.open("rb") as origin, target.open("wb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), FICLONE, origin.fileno())
        except OSError as error:
            if error.errno not in _NO_REFLINK:
                raise
            return False
    _keep_times(source, target)
    return True


def _copy(
    source: Path, target: Path, progress: Callable[[int], None], stop: Callable[[], bool]
) -> None:
    with source.open("rb", buffering=0) as origin, target.open("wb", buffering=0) as copy:
        buffer = memoryview(bytearray(_COPY_BYTES))
        while count := origin.readinto(buffer):
            if stop():
                raise Stopped
            written = 0
            while written < count:
                written += copy.write(buffer[written:count])
            progress(count)
    _keep_times(source, target)


def _keep_times(source: Path, target: Path) -> None:
    status = source.stat()
    with suppress(OSError):  # some network storage does not let us; nothing depends on it
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
