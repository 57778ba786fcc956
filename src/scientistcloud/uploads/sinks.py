"""Sinks for files of forms: into a dataset that is known, or kept until it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from scientistcloud.uploads.incoming import UploadFacts
from scientistcloud.uploads.intake import Intake, NewFile
from scientistcloud.uploads.receiving import Receiver


class FileSink:
    """One file of a form on its way into a dataset; visible there once it is whole."""

    def __init__(
        self, intake: Intake, document: Mapping[str, Any], email: str, file: NewFile
    ) -> None:
        self._intake = intake
        self.facts: UploadFacts = intake.begin(document, email, file)
        self._stack = ExitStack()
        part = self._stack.enter_context(intake.incoming.writing(self.facts.id))
        most = file.size_bytes if file.size_bytes is not None else intake.limits.most_bytes
        self._receiver = Receiver(part, most, "", hashlib.sha256())
        self._checked = 0
        self.sha256 = ""

    @property
    def size_bytes(self) -> int:
        return self._receiver.offset

    def write(self, data: bytes) -> None:
        """Raises `TooLarge`, `NoSpace`, `StorageUnavailable`."""
        self._receiver.write(data)
        if self.facts.size_bytes is None and self.size_bytes - self._checked > _CHECK_BYTES:
            self._intake.incoming.require_room(0)
            self._checked = self.size_bytes

    def close(self) -> None:
        """All of it has come; counted against the quota at the latest now."""
        size_bytes = self._receiver.offset
        self._stack.close()
        if self.facts.size_bytes is None:
            try:
                self.facts = self._intake.know_size(self.facts, size_bytes)
            except BaseException:
                self._intake.abandon(self.facts)
                raise
        self.sha256 = self._intake.complete(self.facts, self._receiver.digest.hexdigest())

    def give_up(self) -> None:
        self._stack.close()
        self._intake.abandon(self.facts)


_CHECK_BYTES = 64 << 20
