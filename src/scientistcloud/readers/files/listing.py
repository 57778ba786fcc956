"""What lies in an upload: the files that may be read, found without following anything out of it.

The upload folder is other people's ground: it can hold links, pipes and devices, and can change
while it is looked at. So every file is opened by `open_regular`, which neither follows a link nor
waits for a pipe, and looks at what it has opened.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from scientistcloud.errors import (
    SourceChanged,
    SourceEmpty,
    SourceNotFound,
    SpecialFile,
    StorageUnavailable,
    UnsafeLink,
    UnsafeSource,
)
from scientistcloud.readers.names.natural import natural_key as natural_key

HEAD_BYTES = 4096

_JUNK_FOLDERS = frozenset({"__MACOSX", "sessions"})
_JUNK_NAMES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})
# Hidden files that are data: the metadata of a Zarr store.
_ZARR_NAMES = frozenset({".zarray", ".zgroup", ".zattrs", ".zmetadata"})
_CACHE_SUFFIX = ".float32.dat"
_MAX_DEPTH = 32
_KEPT_HEADS = 256


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One regular file of the upload.

    Attributes
    ----------
    name : str
        Relative to the root, with ``/``; for a single file its own name.
    path : Path
        Where it really is: links resolved, inside the root.
    """

    name: str
    path: Path
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Listing:
    """The files of an upload in natural order, and what was left out of it.

    Attributes
    ----------
    root : Path
        The folder, resolved; for a single file the folder that holds it.
    files : tuple of FileEntry
        In natural order, folder by folder.
    ignored : tuple of str
        Names of what was passed over: junk of operating systems and dashboards, hidden files.
    empty : tuple of str
        Names of files without a byte.
    """

    root: Path
    files: tuple[FileEntry, ...]
    ignored: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    _heads: dict[Path, bytes] = field(default_factory=dict, repr=False, compare=False)

    def head(self, entry: FileEntry) -> bytes:
        """The first 4 KiB of a file; those of a few files are kept."""
        head = self._heads.get(entry.path)
        if head is None:
            head = read_head(entry.path)
            if len(self._heads) < _KEPT_HEADS:
                self._heads[entry.path] = head
        return head

    def name_of(self, path: Path) -> str:
        """The name, relative to the root, by which the user knows `path`."""
        return self._names.get(path) or path.name

    @cached_property
    def _names(self) -> dict[Path, str]:
        return {entry.path: entry.name for entry in self.files}

    def fingerprint(self) -> str:
        """Hexadecimal digest of relative names, sizes and times of change.

        It covers empty files too: a file that was filled since is a change.
        """
        digest = hashlib.sha256()
        for entry in self.files:
            digest.update(f"{entry.name}\0{entry.size_bytes}\0{entry.mtime_ns}\n".encode())
        for name in self.empty:
            digest.update(f"{name}\0empty\n".encode())
        return digest.hexdigest()


def scan(root: Path) -> Listing:
    """List the files under `root`, a folder or a single file.

    Raises
    ------
    SourceNotFound
        There is nothing at `root`.
    SourceEmpty
        No file holds a byte.
    UnsafeLink
        A link leads out of `root`.
    SpecialFile
        A pipe, socket or device.
    UnsafeSource
        Folders lie too deep in one another.
    StorageUnavailable
        The storage cannot be read.
    """
    try:
        resolved = root.resolve(strict=True)
        is_folder = resolved.is_dir()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceNotFound(f"There is nothing at {root.name!r}.") from error
    except (OSError, RuntimeError) as error:
        raise StorageUnavailable(f"{root.name!r} cannot be read: {error}") from error
    if not is_folder:
        return _single(resolved)
    found = _Found()
    try:
        for entry in _walk(resolved, resolved, "", 0):
            found.add(*entry)
    except OSError as error:
        raise StorageUnavailable(f"The upload folder cannot be read: {error}") from error
    listing = found.listing(resolved)
    if not listing.files:
        raise SourceEmpty(_empty_message(listing))
    return listing


def open_regular(path: Path) -> int:
    """Open a regular file for reading; the descriptor is the caller's.

    Raises
    ------
    SpecialFile
        It is no regular file (it is not waited for, as opening a pipe would).
    UnsafeLink
        It has become a link since it was listed.
    SourceChanged
        It is gone.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise SourceChanged(f"{path.name} vanished while it was being read.") from error
    except OSError as error:
        if path.is_symlink():
            raise UnsafeLink(f"{path.name} became a link while it was being read.") from error
        raise StorageUnavailable(f"{path.name} cannot be opened: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise SpecialFile(f"{path.name} is not a regular file.")
    return fd


def read_head(path: Path, size_bytes: int = HEAD_BYTES) -> bytes:
    """The first bytes of a regular file."""
    fd = open_regular(path)
    try:
        return os.pread(fd, size_bytes, 0)
    except OSError as error:
        raise StorageUnavailable(f"{path.name} cannot be read: {error.strerror}.") from error
    finally:
        os.close(fd)


class _Found:
    """What the walk has met so far."""

    def __init__(self) -> None:
        self.files: list[FileEntry] = []
        self.ignored: list[str] = []
        self.empty: list[str] = []

    def add(self, name: str, path: Path, ignored: bool) -> None:
        if ignored:
            self.ignored.append(name)
            return
        entry = _entry(name, path)
        if entry.size_bytes == 0:
            self.empty.append(name)
        else:
            self.files.append(entry)

    def listing(self, root: Path) -> Listing:
        self.files.sort(key=lambda entry: natural_key(entry.name))
        return Listing(
            root,
            tuple(self.files),
            tuple(sorted(self.ignored, key=natural_key)),
            tuple(sorted(self.empty, key=natural_key)),
        )


def _walk(
    root: Path, folder: Path, prefix: str, depth: int, above: frozenset[Path] = frozenset()
) -> Iterator[tuple[str, Path, bool]]:
    """Yield (relative name, path, to be ignored) of all but folders."""
    if depth > _MAX_DEPTH:
        raise UnsafeSource(f"{prefix} lies more than {_MAX_DEPTH} folders deep.")
    with os.scandir(folder) as entries:
        members = sorted(entries, key=lambda e: e.name)
    for member in members:
        name = prefix + _printable(member.name)
        path = Path(member.path)
        if _is_junk(member.name):
            yield name, path, True
            continue
        target = _inside(root, path, name) if member.is_symlink() else path
        if not target.is_dir():
            yield name, target, False
        elif member.name in _JUNK_FOLDERS:
            yield name + "/", path, True
        elif target not in above | {folder}:
            yield from _walk(root, target, name + "/", depth + 1, above | {folder})


def _is_junk(name: str) -> bool:
    lower = name.casefold()
    return (
        (name.startswith(".") and name not in _ZARR_NAMES)
        or lower in _JUNK_NAMES
        or lower.endswith(_CACHE_SUFFIX)
        or name == "__MACOSX"
    )


def _printable(name: str) -> str:
    """A name that can be shown and encoded, whatever bytes the file system holds."""
    return name.encode("utf-8", "backslashreplace").decode()


def _inside(root: Path, path: Path, name: str) -> Path:
    """Where the link `path` leads, if that is inside `root`."""
    try:
        target = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnsafeLink(f"The link {name} leads nowhere.") from error
    except (RuntimeError, OSError) as error:
        raise UnsafeLink(f"The link {name} cannot be followed.") from error
    if not target.is_relative_to(root):
        raise UnsafeLink(f"The link {name} leads out of the dataset's folder.")
    return target


def _entry(name: str, path: Path) -> FileEntry:
    try:
        status = path.lstat()
    except FileNotFoundError as error:
        raise SourceChanged(f"{name} vanished while the folder was being read.") from error
    if not stat.S_ISREG(status.st_mode):
        raise SpecialFile(f"{name} is a pipe, a socket or a device, not a file.")
    return FileEntry(name, path, status.st_size, status.st_mtime_ns)


def _single(path: Path) -> Listing:
    entry = _entry(path.name, path)
    if entry.size_bytes == 0:
        raise SourceEmpty(f"{path.name} is empty.")
    return Listing(path.parent, (entry,))


def _empty_message(listing: Listing) -> str:
    if listing.empty:
        return f"All files of the upload are empty (0 bytes): {', '.join(listing.empty[:5])}."
    return "The upload holds no files with data."
