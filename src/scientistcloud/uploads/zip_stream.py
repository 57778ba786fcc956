"""A folder as a ZIP archive, made while it is read: no copy on disk, little in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from scientistcloud.uploads.folders import walk

_READ_BYTES = 1 << 20


class _Outlet(io.RawIOBase):
    """What `zipfile` writes to; bytes are taken out again after each piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        found = b"".join(self._pieces)
        self._pieces.clear()
        return found


def zip_stream(folder: Path) -> Iterator[bytes]:
    """The bytes of a ZIP of all files below `folder`; stored, since most data does not shrink."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for found in walk(folder):
            path = folder / found.name
            entry = zipfile.ZipInfo.from_file(path, found.name, strict_timestamps=False)
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while piece := source.read(_READ_BYTES):
                    target.write(piece)
                    yield outlet.take()
            yield outlet.take()
    yield outlet.take()
