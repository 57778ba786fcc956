"""Open files, and scratch files made of what cannot be entered in the middle."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterable
from pathlib import Path

from scientistcloud.errors import (
    CorruptSource,
    MissingMember,
    OutOfSpace,
    StorageUnavailable,
    UnsafeLink,
)
from scientistcloud.readers.base import Selection
from scientistcloud.readers.files.archive_names import shown
from scientistcloud.readers.files.open_files import FilePool

_MOST_UNUSED_BYTES = 64 << 20


class ScratchPool(FilePool):
    """A `FilePool` that can hold decoded copies; closing it removes them.

    Parameters
    ----------
    selection : Selection
        Its `scratch` is where the copies go.
    """

    def __init__(self, selection: Selection) -> None:
        super().__init__(selection.root)
        self._selection = selection
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._count = 0
        self._decoded: dict[str, int] = {}

    def decode(self, blocks: Iterable[bytes], length: int, name: str) -> Path:
        """A new scratch file with the first `length` bytes of `blocks`.

        Raises
        ------
        CorruptSource
            There are fewer.
        OutOfSpace
            The disk of the scratch folder is full.
        """
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="read-", dir=self._selection.scratch)
        self._count += 1
        path = Path(self._folder.name) / f"{self._count}.raw"
        left, more = length, 0
        try:
            with path.open("xb") as file:
                for block in blocks:
                    file.write(block[:left])
                    more += max(0, len(block) - left)
                    left -= min(left, len(block))
                    # Read on to the end, where the checksum is, but not through a bomb.
                    if more > _MOST_UNUSED_BYTES:
                        break
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OutOfSpace(f"There is no space left to decode {name}.") from error
            raise StorageUnavailable(f"{name} cannot be decoded: {error.strerror}.") from error
        if left:
            raise CorruptSource(
                f"{name} is cut short: its header describes {length:,} bytes of samples, and there "
                f"are {length - left:,}."
            )
        self._decoded[name] = length
        return path

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for the record about what had to be decoded."""
        if not self._decoded:
            return ()
        first, total = next(iter(self._decoded)), sum(self._decoded.values())
        more = f" and {len(self._decoded) - 1} more" if len(self._decoded) > 1 else ""
        return (
            f"{first}{more} cannot be entered in the middle: {total:,} bytes were decoded into "
            "scratch space.",
        )

    def member(self, header: Path, written: str) -> Path:
        """The file that `header` calls `written`, inside the upload.

        Raises
        ------
        UnsafeLink
            It would lie outside.
        MissingMember
            It is not there.
        """
        plain = written.strip().replace("\\", "/")
        root = self._selection.root.resolve()
        if not plain or "\0" in plain or len(plain) > 4096:
            raise CorruptSource(f"{self.name(header)} names no valid data file.")
        place = (header.parent / plain).resolve()
        if not place.is_relative_to(root):
            raise UnsafeLink(
                f"{self.name(header)} refers to '{shown(plain)}', outside the upload.",
                remedy="Upload the data file beside its header and name it without a folder.",
            )
        if not place.is_file():
            raise MissingMember(
                f"{shown(plain)}, which {self.name(header)} refers to, was not uploaded."
            )
        return place

    def close(self) -> None:
        super().close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
