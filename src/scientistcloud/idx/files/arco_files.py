"""Where the blocks of the ARCO layout go: `ArcoFiles`, one file a block."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from scientistcloud.idx.files.block_store import MAX_OPEN_FILES, FileState
from scientistcloud.idx.files.blockfile import arco_file_name
from scientistcloud.idx.files.layout import IdxLayout
from scientistcloud.idx.files.manifest import FileSum
from scientistcloud.idx.files.storage import Background, Folders, write_all, writing


class ArcoFiles:
    """One file a block below a folder; a block's own checksum covers all of its file."""

    def __init__(self, layout: IdxLayout, folder: Path) -> None:
        self._names = [f.name for f in layout.fields]
        self._folders = Folders(folder)
        self._background = Background(MAX_OPEN_FILES)
        self._lock = threading.Lock()

    def store(
        self, timestep: int, field: int, block: int, payload: bytes | memoryview, flags: int
    ) -> None:
        path = self._folders.root / arco_file_name(timestep, self._names[field], block)
        with writing():
            with self._lock:
                self._folders.ensure(path.parent)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                write_all(fd, payload, 0)
            except BaseException:
                os.close(fd)
                raise
            self._background.submit(_sync_and_close, fd)

    def leave_out(self, timestep: int, block: int) -> None:
        pass

    def settle(self) -> None:
        self.finish()

    def files(self) -> Iterator[FileState]:
        return iter(())

    def finish(self) -> dict[str, FileSum]:
        with writing():
            self._background.finish()
            self._folders.sync()
        return {}

    def abandon(self) -> None:
        self._background.close()


def _sync_and_close(fd: int) -> None:
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
