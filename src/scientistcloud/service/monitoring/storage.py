"""Whether the folders of the datasets answer: asked by one thread, which alone hangs if they do.

Network storage can stall for ever in a call as simple as ``stat``. Whoever must not hang (the
dispatcher, health checks, metrics) looks at what this thread saw last, and for how long it has been
waiting since.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scientistcloud.errors import BadSettings

LOOK_SECONDS = 5.0
PATIENCE_SECONDS = 10.0
"""How long the storage may take to answer before nothing more is claimed."""


@dataclass(frozen=True, slots=True)
class StorageState:
    """What was seen at one look; `problem` in a sentence, None if all was well."""

    free_bytes: int | None = None
    problem: str | None = None


def look_at_storage(upload: Path, converted: Path) -> StorageState:
    """Read the one folder and write the other, as a conversion will."""
    try:
        upload.stat()
    except OSError as error:
        return StorageState(problem=f"{upload} cannot be read: {error.strerror}.")
    try:
        with tempfile.TemporaryFile(dir=converted):
            pass
        status = os.statvfs(converted)
    except OSError as error:
        return StorageState(problem=f"{converted} cannot be written: {error.strerror}.")
    return StorageState(status.f_bavail * status.f_frsize)


def make_folder(converted: Path) -> None:
    """Make the folder of the converted datasets; returns in time although the storage hangs.

    Raises
    ------
    BadSettings
        It cannot be made.
    """
    errors: list[OSError] = []

    def make() -> None:
        try:
            converted.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=make, name="make-folder", daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    for error in errors:
        raise BadSettings(
            f"The folder of the converted datasets, {converted}, cannot be made: {error.strerror}.",
            remedy="Set VISUS_DATASETS or JOB_OUT_DATA_DIR to a folder that this user may write.",
        ) from error


class StorageWatch:
    """Looks at the storage again and again, in a thread of its own."""

    def __init__(
        self,
        look: Callable[[], StorageState],
        *,
        look_seconds: float = LOOK_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._look_seconds = look_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._began_at: float | None = None
        self._state: StorageState | None = None

    def start(self, stopping: threading.Event) -> None:
        """Look until `stopping` is set; nobody ever waits for the thread."""
        threading.Thread(target=self._run, args=(stopping,), name="storage", daemon=True).start()

    def problem(self) -> str | None:
        """Why no dataset can be converted here, or None; never hangs."""
        began_at = self._began_at
        waited_seconds = 0.0 if began_at is None else self._clock() - began_at
        if waited_seconds > self._patience_seconds:
            return f"The storage has not answered for {waited_seconds:.0f} s."
        return self._state.problem if self._state else None

    @property
    def has_answered(self) -> bool:
        """Whether it was looked at at all."""
        return self._state is not None

    @property
    def free_bytes(self) -> int | None:
        """Free space for converted datasets when it was last seen."""
        return self._state.free_bytes if self._state else None

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self._began_at = self._clock()
            self._state = self._look()
            self._began_at = None
            stopping.wait(self._look_seconds)
