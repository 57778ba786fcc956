"""Files on their way in: one folder each, beside the uploads, until they are whole.

``<uploads>/.incoming/<id>/`` holds ``facts.json``, which never changes, and ``data``, whose length
is how much has come: so that an upload goes on at any byte after whatever was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from scientistcloud.errors import StorageUnavailable
from scientistcloud.refusals import Conflict, NoSpace, UnusableName, UploadNotFound, WrongOffset

FOLDER = ".incoming"
_ID = re.compile(r"[0-9a-f]{32}")
_READ_BYTES = 1 << 20
_LOCK_SECONDS = 5.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class UploadFacts:
    """What was said of a file when its upload began.

    Attributes
    ----------
    size_bytes : int or None
        None where it is not known yet.
    concat : str
        Of tus: ``partial``, ``final`` or empty.
    """

    id: str
    uuid: str
    name: str
    size_bytes: int | None
    email: str
    began_at: float
    metadata: str = ""
    concat: str = ""
    sha256: str = ""
    job_id: str = ""


class Incoming:
    """The unfinished files below one folder of uploads.

    Several processes may share it: who writes to a file holds a lock on it.
    """

    def __init__(self, uploads: Path, keep_free_bytes: int = 0) -> None:
        self.root = uploads / FOLDER
        self._uploads = uploads
        self._keep_free_bytes = keep_free_bytes

    def require_room(self, size_bytes: int) -> None:
        """Raise `NoSpace` unless so many bytes fit, with what is kept free for others."""
        self.root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.root).free - self._keep_free_bytes
        if size_bytes > free:
            raise NoSpace(
                f"There is not enough room on the server's disk: {size_bytes} bytes are to come, "
                f"{max(0, free)} are free for uploads."
            )

    def begin(self, facts: UploadFacts) -> None:
        """Make the folder of an upload."""
        folder = self.root / facts.id
        folder.mkdir(parents=True)
        (folder / "data").touch()
        new = folder / "facts.new"
        new.write_text(json.dumps(asdict(facts)))
        new.rename(folder / "facts.json")

    def facts(self, upload_id: str) -> UploadFacts:
        """What was said of an upload; raises `UploadNotFound`."""
        try:
            return UploadFacts(**json.loads((self._folder(upload_id) / "facts.json").read_text()))
        except (FileNotFoundError, NotADirectoryError):
            raise UploadNotFound from None

    def change(self, facts: UploadFacts) -> None:
        """Say something else of an upload: its size, once that is known."""
        new = self._folder(facts.id) / "facts.new"
        new.write_text(json.dumps(asdict(facts)))
        new.rename(new.with_name("facts.json"))

    def offset(self, upload_id: str) -> int:
        """How many bytes have come for good; raises `UploadNotFound`."""
        folder = self._folder(upload_id)
        try:
            doubtful = folder / "unverified"
            if doubtful.exists():
                return int(doubtful.read_text() or "0")
            return (folder / "data").stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            raise UploadNotFound from None

    def touched_at(self, upload_id: str) -> float:
        """When something came last, in Unix seconds."""
        try:
            return (self._folder(upload_id) / "data").stat().st_mtime
        except FileNotFoundError:
            raise UploadNotFound from None

    @contextlib.contextmanager
    def writing(self, upload_id: str) -> Iterator[Part]:
        """The file of an upload, for one writer; raises `Conflict` while there is another."""
        path = self._folder(upload_id) / "data"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise UploadNotFound from None
        try:
            _lock(fd)
            yield Part(fd, path.parent)
        finally:
            os.close(fd)

    def sha256(self, upload_id: str) -> str:
        """Of all that has come, read from disk."""
        digest = hashlib.sha256()
        with (self._folder(upload_id) / "data").open("rb", buffering=0) as file:
            while piece := file.read(_READ_BYTES):
                digest.update(piece)
        return digest.hexdigest()

    def place(self, upload_id: str, uuid: str, name: PurePosixPath) -> Path:
        """Let a whole file appear in its dataset's folder, by rename; where it is then.

        Raises
        ------
        UnusableName
            A part of its path is a file.
        StorageUnavailable
        """
        source = self._folder(upload_id) / "data"
        target = self._uploads / uuid / name
        try:
            with source.open("rb") as file:
                os.fsync(file.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                raise UnusableName(f"{name} is a folder already.")
            source.rename(target)
        except (FileExistsError, NotADirectoryError):
            raise UnusableName(f"A part of the path {name} is a file already.") from None
        except FileNotFoundError:
            raise UploadNotFound from None
        except OSError as error:
            raise StorageUnavailable(f"The file cannot be stored: {error.strerror}.") from error
        self.remove(upload_id)
        return target

    def remove(self, upload_id: str) -> None:
        """Forget an upload, and what has come of it."""
        shutil.rmtree(self._folder(upload_id), ignore_errors=True)

    def exchange(self, source_id: str, target_id: str) -> None:
        """What has come of one upload becomes what has come of another."""
        (self._folder(source_id) / "data").replace(self._folder(target_id) / "data")

    def ids(self) -> list[str]:
        """All uploads that there are."""
        try:
            return [each.name for each in self.root.iterdir() if _ID.fullmatch(each.name)]
        except FileNotFoundError:
            return []

    def _folder(self, upload_id: str) -> Path:
        if not _ID.fullmatch(upload_id):
            raise UploadNotFound
        return self.root / upload_id


class Part:
    """The data of an upload, locked for one writer."""

    def __init__(self, fd: int, folder: Path) -> None:
        self._fd = fd
        self._doubtful = folder / "unverified"
        if self._doubtful.exists():  # its writer died before it could compare checksums
            os.ftruncate(fd, int(self._doubtful.read_text() or "0"))
            self._doubtful.unlink()
        self.offset = os.lseek(fd, 0, os.SEEK_END)

    def require_offset(self, offset: int) -> None:
        if offset != self.offset:
            raise WrongOffset(
                f"{self.offset} bytes have come, so the next is number {self.offset}, not "
                f"{offset}.", facts={"offset": self.offset},
            )  # fmt: skip

    def write(self, data: bytes) -> None:
        """Append.

        Raises
        ------
        NoSpace, StorageUnavailable
        """
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            os.ftruncate(self._fd, self.offset)
            if error.errno in (28, 122):
                raise NoSpace("The server's disk is full.") from error
            raise StorageUnavailable(f"The file cannot be written: {error.strerror}.") from error
        self.offset += len(data)

    def write_at(self, data: bytes, position: int) -> None:
        """Write a piece in its place; pieces may come in any order."""
        try:
            os.pwrite(self._fd, data, position)
        except OSError as error:
            if error.errno in (28, 122):
                raise NoSpace("The server's disk is full.") from error
            raise StorageUnavailable(f"The file cannot be written: {error.strerror}.") from error

    def doubt(self) -> None:
        """What comes from here on counts only once `trust` is called."""
        self._doubtful.write_text(str(self.offset))

    def trust(self) -> None:
        self._doubtful.unlink(missing_ok=True)

    def cut(self, offset: int) -> None:
        """Forget what came after `offset`."""
        os.ftruncate(self._fd, offset)
        os.lseek(self._fd, offset, os.SEEK_SET)
        self.offset = offset
        self.trust()

    def append_file(self, path: Path) -> None:
        """Append another file, without its bytes coming through this process."""
        with path.open("rb") as source:
            left = os.fstat(source.fileno()).st_size
            while left:
                count = os.sendfile(self._fd, source.fileno(), None, min(left, 1 << 30))
                if not count:
                    break
                left -= count
        self.offset = os.lseek(self._fd, 0, os.SEEK_END)


def new_id() -> str:
    """A name that nobody can guess."""
    return secrets.token_hex(16)


def _lock(fd: int) -> None:
    """Wait for a writer whose connection is breaking; not for one that goes on."""
    ends = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends:
                raise Conflict(
                    "This file is being written by another request.",
                    remedy="Wait until that one has ended.",
                ) from None
            time.sleep(_LOOK_SECONDS)
        else:
            return
