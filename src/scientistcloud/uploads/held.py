"""A file of a form whose dataset is told only after it: held until it is known whose it is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

from scientistcloud.refusals import TooLarge
from scientistcloud.uploads.incoming import UploadFacts, new_id
from scientistcloud.uploads.intake import Intake, NewFile
from scientistcloud.uploads.names import relative_path

_CHECK_BYTES = 64 << 20


class HeldFile:
    """Written beside the uploads; `enter` moves it into a dataset, `forget` removes it."""

    def __init__(self, intake: Intake, filename: str) -> None:
        relative_path(filename)  # refuses an unusable name before its bytes have come
        intake.incoming.require_room(0)
        self._intake = intake
        self._filename = filename
        self._facts = UploadFacts(new_id(), "", "", None, "", time.time())
        intake.incoming.begin(self._facts)
        self._stack = ExitStack()
        self._part = self._stack.enter_context(intake.incoming.writing(self._facts.id))
        self._digest = hashlib.sha256()
        self._checked = 0
        self.size_bytes = 0

    @property
    def path(self) -> Path:
        """Where its bytes lie."""
        return self._intake.incoming.root / self._facts.id / "data"

    def write(self, data: bytes) -> None:
        """Raises `TooLarge`, `NoSpace`, `StorageUnavailable`."""
        self.size_bytes += len(data)
        if self.size_bytes > self._intake.limits.most_bytes:
            raise TooLarge(f"A file may have {self._intake.limits.most_bytes} bytes at most.")
        if self.size_bytes - self._checked > _CHECK_BYTES:
            self._intake.incoming.require_room(0)
            self._checked = self.size_bytes
        self._part.write(data)
        self._digest.update(data)

    def close(self) -> None:
        self._stack.close()

    def give_up(self) -> None:
        self.forget()

    def enter(
        self, document: Mapping[str, Any], email: str, folder: str, job_id: str
    ) -> PurePosixPath:
        """Let the file appear in a dataset; where it is there.

        Raises
        ------
        UnusableName, QuotaExceeded, Conflict
        """
        file = NewFile(self._filename, self.size_bytes, folder, job_id=job_id)
        facts = self._intake.begin(document, email, file)
        self._intake.incoming.exchange(self._facts.id, facts.id)
        self._intake.complete(facts, self._digest.hexdigest())
        return PurePosixPath(facts.name)

    def forget(self) -> None:
        """Remove what is left of it; nothing, where it has entered a dataset."""
        self._stack.close()
        self._intake.incoming.remove(self._facts.id)
