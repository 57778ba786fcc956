"""Files in numbered chunks, in any order, each with its SHA-256: the portal's protocol."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scientistcloud.refusals import BadRequest, Conflict, WrongChecksum
from scientistcloud.uploads.incoming import UploadFacts
from scientistcloud.uploads.intake import Intake, NewFile

CHUNK_BYTES = 100 << 20


class Chunks:
    """Uploads by chunks; what has come is noted beside the data, so that restarts lose nothing."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def begin(
        self, document: Mapping[str, Any], email: str, name: str, size_bytes: int, sha256: str
    ) -> UploadFacts:
        """Begin a file; raises what `Intake.begin` does."""
        metadata = json.dumps({"chunks": self.count(size_bytes)})
        file = NewFile(name, size_bytes, sha256=sha256, metadata=metadata)
        return self._intake.begin(document, email, file)

    @staticmethod
    def count(size_bytes: int) -> int:
        """How many chunks a file has."""
        return max(1, -(-size_bytes // CHUNK_BYTES))

    def size_of(self, facts: UploadFacts, index: int) -> int:
        """How long a chunk must be; raises `BadRequest` where there is no such chunk."""
        size_bytes = facts.size_bytes or 0
        if not 0 <= index < self.count(size_bytes):
            raise BadRequest("There is no such chunk.")
        return min(CHUNK_BYTES, size_bytes - index * CHUNK_BYTES)

    def put(self, facts: UploadFacts, index: int, path: Path, sha256: str) -> int:
        """Take a chunk that lies in a file of its own; how many there are now.

        Raises
        ------
        BadRequest, WrongChecksum
        """
        if path.stat().st_size != self.size_of(facts, index):
            raise BadRequest(f"Chunk {index} has another size than it must have.")
        digest = hashlib.sha256()
        with self._intake.incoming.writing(facts.id) as part, path.open("rb") as data:
            position = index * CHUNK_BYTES
            while piece := data.read(1 << 20):
                digest.update(piece)
                part.write_at(piece, position)
                position += len(piece)
        if sha256 and digest.hexdigest() != sha256.lower():
            self._note(facts, index).unlink(missing_ok=True)
            raise WrongChecksum(f"Chunk {index} is not what was sent: its SHA-256 differs.")
        self._note(facts, index).touch()
        here = self.here(facts)
        self._intake.progressed(facts, min(len(here) * CHUNK_BYTES, facts.size_bytes or 0))
        return len(here)

    def here(self, facts: UploadFacts) -> list[int]:
        """The numbers of the chunks that have come."""
        folder = self._intake.incoming.root / facts.id
        return sorted(int(each.name.partition("-")[2]) for each in folder.glob("chunk-*"))

    def missing(self, facts: UploadFacts) -> list[int]:
        here = set(self.here(facts))
        return [index for index in range(self.count(facts.size_bytes or 0)) if index not in here]

    def complete(self, facts: UploadFacts) -> None:
        """Raises `Conflict` where chunks are missing, and what `Intake.complete` does."""
        missing = self.missing(facts)
        if missing:
            raise Conflict(f"{len(missing)} chunks are missing.", facts={"missing": missing[:100]})
        self._intake.complete(facts)

    def _note(self, facts: UploadFacts, index: int) -> Path:
        return self._intake.incoming.root / facts.id / f"chunk-{index}"
