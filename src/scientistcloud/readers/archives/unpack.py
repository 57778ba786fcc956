"""Archives are unpacked into a scratch folder before anything looks at them, safely.

Nothing that an archive says about itself is believed: bytes and members are counted while they are
written, names are checked, links and special files are refused, and nothing is written outside a
fresh folder. Random access into a compressed stream is impossible, so single compressed files
(``.nii.gz``, ``.nc.gz``) are unpacked here as well and their readers see the plain file.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    OutOfSpace,
    SourceEmpty,
    Stopped,
    StorageUnavailable,
    UnrecognizedFormat,
    UnsafeArchive,
)
from scientistcloud.readers.archives.folders import inner_folder, is_inside_zarr, unused
from scientistcloud.readers.archives.kinds import (
    holds_tar,
    is_container,
    kind_of,
    match,
    plain_name,
    promises_single,
    read_head,
)
from scientistcloud.readers.archives.members import (
    Member,
    seven_zip_members,
    tar_members,
    too_many,
    zip_members,
)
from scientistcloud.readers.base import Match
from scientistcloud.readers.files.archive_names import folded, is_junk, safe_parts, shown
from scientistcloud.readers.files.compression import decompress, file_blocks

__all__ = ["UnpackLimits", "match", "unpack"]


_PLAIN = "plain"
"""Browsers decompress what they fetch and keep the name: the file's own reader judges it."""
_LOOK_BYTES = 8 << 20
_RESERVE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """How much one upload may unpack to.

    Attributes
    ----------
    total_bytes : int
        All members of all archives together.
    members : int
        Files and folders, those that are ignored included.
    ratio : int
        Times the size of the uploaded archives; looked at only beyond `ratio_floor_bytes`. Label
        volumes of long runs reach a few hundred, deflate ends at 1032, bombs reach millions.
    """

    total_bytes: int = 1 << 40
    members: int = 200_000
    ratio: int = 500
    ratio_floor_bytes: int = 1 << 30


def unpack(
    archives: Sequence[Path], scratch: Path, limits: UnpackLimits, stop: Callable[[], bool]
) -> Path:
    """Unpack `archives`, and the archives inside them, into a new folder of `scratch`.

    One archive's members come to lie at the top, those of several in folders of their names,
    single compressed files side by side. Where everything sits in one inner folder, that is
    returned. What operating systems leave behind is ignored.

    Returns
    -------
    Path
        The folder in which the data are. On any error the new folder is removed.

    Raises
    ------
    UnsafeArchive
        A password, a link, a dangerous name, an unknown method, or a limit that is exceeded.
    CorruptSource
        An archive is damaged or incomplete.
    SourceEmpty
        There are no files with data inside.
    UnrecognizedFormat
        A RAR archive.
    OutOfSpace
        The disk of `scratch` is full.
    Stopped
        `stop()` turned true.
    """
    folder = Path(tempfile.mkdtemp(prefix="unpacked-", dir=scratch))
    try:
        packed_bytes = sum(path.stat().st_size for path in archives)
        _unpack_all(archives, folder, _Unpacking(limits, packed_bytes, scratch, stop))
        if not any(path.is_file() and path.stat().st_size for path in folder.rglob("*")):
            raise SourceEmpty(f"{', '.join(p.name for p in archives[:3])}: no data inside.")
        return inner_folder(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _unpack_all(archives: Sequence[Path], folder: Path, work: _Unpacking) -> None:
    base = Path(os.path.commonpath([path.parent for path in archives]))
    for path in archives:
        name = path.relative_to(base)
        target = folder / name.parent
        container = is_container(path, read_head(path))
        if container and len(archives) > 1:
            target = unused(target / plain_name(path))
        work.unpack(path, name.as_posix(), target)
        if container:
            work.unpack_nested(target, name.as_posix())


class _Unpacking:
    """What has been written so far, all archives together."""

    def __init__(
        self, limits: UnpackLimits, packed_bytes: int, scratch: Path, stop: Callable[[], bool]
    ) -> None:
        self._limits = limits
        self._scratch = scratch
        self._most_bytes = min(
            limits.total_bytes, max(limits.ratio_floor_bytes, limits.ratio * packed_bytes)
        )
        self._stop = stop
        self._bytes = 0
        self._members = 0
        self._next_look = 0

    def unpack(self, path: Path, name: str, target: Path) -> None:
        """Unpack one archive, called `name` in messages, into the folder `target`."""
        try:
            self._unpack(path, name, target)
        except (ConversionError, Stopped):
            raise
        except (OSError, MemoryError) as error:
            raise _storage_error(error, name) from error
        except Exception as error:
            # The libraries raise nearly anything on damaged archives.
            reason = shown(str(error), 200)
            raise CorruptSource(f"{name} is damaged or incomplete ({reason}).") from error

    def _unpack(self, path: Path, name: str, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        kind = kind_of(read_head(path))
        if kind is None and promises_single(path):
            kind = _PLAIN
        if kind is None:
            raise CorruptSource(f"{name} is not the archive that its name promises.")
        if kind == "rar":
            raise UnrecognizedFormat(
                f"{name} is a RAR archive, which cannot be unpacked here.",
                remedy="Pack the files as .zip, .7z or .tar.gz.",
            )
        seen: set[str] = set()
        for member in self._members_of(kind, path, name):
            self._count_member(name)
            parts = safe_parts(name, member.name)
            if not parts:
                continue
            if is_junk(parts):
                self._skip(member, name)
                continue
            self._write(member, name, parts, target, seen)

    def _members_of(self, kind: str, path: Path, name: str) -> Iterator[Member]:
        most = self._limits.members - self._members
        if kind == _PLAIN:
            return iter([Member(plain_name(path), False, file_blocks(path))])
        if kind == "zip":
            return zip_members(path, name, most)
        if kind == "7z":
            return seven_zip_members(path, name, most)
        if kind == "tar":
            return tar_members(path, name, most)
        if holds_tar(path, kind):
            return tar_members(path, name, most, kind)
        blocks = decompress(file_blocks(path), kind, name)
        return iter([Member(plain_name(path), False, blocks)])

    def _write(
        self, member: Member, name: str, parts: tuple[str, ...], target: Path, seen: set[str]
    ) -> None:
        place = target.joinpath(*parts)
        if member.is_folder:
            place.mkdir(parents=True, exist_ok=True)
            return
        if folded(parts) in seen:
            raise UnsafeArchive(f"{name} holds several files of one name: '{'/'.join(parts)}'.")
        seen.add(folded(parts))
        place.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(place, flags, 0o644), "wb", buffering=0) as file:  # noqa: PTH123
            for block in member.blocks:
                self._count_bytes(len(block), name)
                rest = memoryview(block)
                while rest:
                    rest = rest[file.write(rest) :]

    def _skip(self, member: Member, name: str) -> None:
        for block in member.blocks:
            self._count_bytes(len(block), name)

    def _count_member(self, name: str) -> None:
        self._members += 1
        if self._members > self._limits.members:
            raise too_many(name, self._limits.members)
        if self._stop():
            raise Stopped

    def _count_bytes(self, count: int, name: str) -> None:
        self._bytes += count
        if self._bytes > self._most_bytes:
            raise UnsafeArchive(
                f"{name} unpacks to more than {self._most_bytes:,} bytes, far more than its size"
                " makes plausible or this service takes.",
                remedy="Upload the files themselves instead of an archive.",
            )
        if self._bytes >= self._next_look:
            self._next_look = self._bytes + _LOOK_BYTES
            self._leave_space(name)
        if self._stop():
            raise Stopped

    def _leave_space(self, name: str) -> None:
        """Stop before the disk is full: others (a database, perhaps) write on it too."""
        disk = shutil.disk_usage(self._scratch)
        if disk.free < min(_RESERVE_BYTES, disk.total // 20):
            raise OutOfSpace(f"There is too little space left to unpack {name}.")

    def unpack_nested(self, folder: Path, name: str, level: int = 1) -> None:
        """Unpack the archives in `folder` beside themselves and remove them; one level, no more."""
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            head = read_head(path)
            if match(path, head) is not Match.CERTAIN or is_inside_zarr(path, folder):
                continue
            inner = f"{name}/{path.relative_to(folder).as_posix()}"
            container = is_container(path, head)
            if container and level > 1:
                raise UnsafeArchive(
                    f"{inner} is an archive in an archive in an archive.",
                    remedy="Pack the files themselves into one archive.",
                )
            target = unused(path.parent / plain_name(path)) if container else path.parent
            self.unpack(path, inner, target)
            path.unlink()
            if container:
                self.unpack_nested(target, inner, level + 1)


def _storage_error(error: OSError | MemoryError, name: str) -> ConversionError:
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpace(f"There is no space left to unpack {name}.")
    if code in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return UnsafeArchive(f"{name} holds a file and a folder, or two files, of one name.")
    if code in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
        return UnsafeArchive(f"{name} has a member whose name cannot be written.")
    if code is None:
        return CorruptSource(f"{name} is damaged or incomplete ({shown(str(error), 200)}).")
    return StorageUnavailable(f"{name} cannot be unpacked: {os.strerror(code)}.")
