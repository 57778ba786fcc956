"""Bringing files in, whatever the way: begun, written, made whole, and their dataset queued."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import structlog

from scientistcloud.datasets.catalogue import intake
from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.errors import ConversionError
from scientistcloud.refusals import BadRequest, Conflict, Refusal, TooLarge, WrongChecksum
from scientistcloud.uploads.incoming import Incoming, UploadFacts, new_id
from scientistcloud.uploads.ledger import Ledger
from scientistcloud.uploads.names import relative_path

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that is to come; `size_bytes` None where that is not known."""

    name: str
    size_bytes: int | None
    folder: str = ""
    sha256: str = ""
    metadata: str = ""
    concat: str = ""
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What uploads may take, in bytes and seconds."""

    most_bytes: int
    quiet_seconds: float
    expiry_seconds: float


class Intake:
    """All ways of bringing files in end here.

    Every method may block on disk and MongoDB, and raises `Refusal` or `DatabaseUnavailable`.
    """

    def __init__(
        self, datasets: GuardedCollection, incoming: Incoming, ledger: Ledger, limits: Limits
    ) -> None:
        self._datasets = datasets
        self.incoming = incoming
        self.ledger = ledger
        self.limits = limits

    def begin(self, document: Mapping[str, Any], email: str, file: NewFile) -> UploadFacts:
        """Begin the upload of one file: what can be refused is refused now.

        Raises
        ------
        UnusableName, TooLarge, QuotaExceeded, NoSpace, Conflict
        """
        name = "" if file.concat == "partial" else str(relative_path(file.name, file.folder))
        size_bytes = file.size_bytes or 0
        if size_bytes > self.limits.most_bytes:
            raise TooLarge(f"A file may have {self.limits.most_bytes} bytes at most.")
        self.incoming.require_room(size_bytes)
        uuid, team = str(document["uuid"]), document.get("team_uuid")
        facts = UploadFacts(
            new_id(), uuid, name, file.size_bytes, email, time.time(),
            file.metadata, file.concat, file.sha256.lower(), file.job_id,
        )  # fmt: skip
        intake.open_for_files(self._datasets, document)
        self.ledger.reserve(
            facts.id, uuid, email, size_bytes,
            name=name, team=team if isinstance(team, str) else "", job_id=file.job_id,
        )  # fmt: skip
        try:
            self.incoming.begin(facts)
        except BaseException:
            self.ledger.drop(facts.id)
            raise
        return facts

    def know_size(self, facts: UploadFacts, size_bytes: int) -> UploadFacts:
        """The size of a file is told later."""
        if facts.size_bytes is not None and facts.size_bytes != size_bytes:
            raise BadRequest("The size of this file was told before.")
        if size_bytes > self.limits.most_bytes:
            raise TooLarge(f"A file may have {self.limits.most_bytes} bytes at most.")
        self.incoming.require_room(size_bytes)
        changed = replace(facts, size_bytes=size_bytes)
        self.ledger.reserve(
            facts.id, facts.uuid, facts.email, size_bytes, name=facts.name, job_id=facts.job_id
        )
        self.incoming.change(changed)
        return changed

    def progressed(self, facts: UploadFacts, offset: int) -> None:
        """Some bytes have come."""
        self.ledger.touch(facts.id, offset)
        document = self._datasets.find_one({"uuid": {"$eq": facts.uuid}}, {"_id": 1})
        if document is not None:
            intake.note_life(self._datasets, document["_id"])

    def complete(self, facts: UploadFacts, sha256: str = "") -> str:
        """All bytes are there: the file appears in its dataset; its SHA-256.

        Parameters
        ----------
        sha256 : str
            Where it was computed while the bytes came; else the file is read.

        Raises
        ------
        WrongChecksum
            It is not what was announced; the upload is gone.
        """
        sha256 = sha256 or self.incoming.sha256(facts.id)
        if facts.sha256 and facts.sha256 != sha256:
            self.abandon(facts)
            raise WrongChecksum("The file is not what was announced: its SHA-256 differs.")
        document = self._datasets.find_one({"uuid": {"$eq": facts.uuid}})
        if document is None:
            self.abandon(facts)
            raise Conflict("The dataset was deleted meanwhile.")
        size_bytes = self.incoming.offset(facts.id)
        self.incoming.place(facts.id, facts.uuid, PurePosixPath(facts.name))
        replaced = self.ledger.add_file(facts.uuid, facts.name, size_bytes, sha256)
        intake.note_file(self._datasets, document["_id"], size_bytes, replaced)
        self.ledger.drop(facts.id)
        self._close_if_all(document["_id"])
        return sha256

    def abandon(self, facts: UploadFacts) -> None:
        """The file will not come."""
        self.incoming.remove(facts.id)
        self.ledger.drop(facts.id)

    def join(self, facts: UploadFacts, parts: list[UploadFacts]) -> None:
        """Put partial uploads together into one file, which is then complete."""
        with self.incoming.writing(facts.id) as target:
            for part in parts:
                target.append_file(self.incoming.root / part.id / "data")
        for part in parts:
            self.abandon(part)
        self.complete(facts)

    def finish(self, document: Mapping[str, Any]) -> Document:
        """No further file will be begun; queued now, or when those that are coming are in.

        Of a dataset that is queued already, as its last announced file came, nothing changes.

        Raises
        ------
        Conflict
            No file has come.
        """
        uuid = str(document["uuid"])
        if document.get("status") != "uploading" and document.get("file_count"):
            return dict(document)
        under_way = self.ledger.under_way(uuid)
        if not document.get("file_count") and not under_way:
            raise Conflict("No file has come yet.", remedy="Upload its files first.")
        intake.note_finished(self._datasets, document["_id"])
        if not under_way:
            intake.close(self._datasets, document)
        return self._datasets.find_one({"_id": document["_id"]}) or dict(document)

    def fail(self, document: Mapping[str, Any], problem: str) -> None:
        """The files of a dataset cannot be had."""
        intake.fail(self._datasets, document["_id"], problem)

    def look_after(self) -> None:
        """Queue what has been quiet for long enough; remove uploads that have expired."""
        self._drop_expired()
        quiet_seconds = self.limits.quiet_seconds
        before = datetime.now(UTC) - timedelta(seconds=quiet_seconds)
        for document in intake.quiet(self._datasets, before):
            if not self.ledger.under_way(str(document["uuid"])):
                intake.close(self._datasets, document)

    def _close_if_all(self, document_id: Any) -> None:
        """Queue the dataset if this was its last file.

        Read anew after the file was counted and taken off the list of those under way: of several
        that end at once, the last to do so sees that all are in.
        """
        document = self._datasets.find_one({"_id": document_id}) or {}
        announced = document.get("announced_files")
        has_all = isinstance(announced, int) and document.get("file_count", 0) >= announced
        is_last = has_all or bool(document.get("upload_finished"))
        if is_last and not self.ledger.under_way(str(document["uuid"])):
            intake.close(self._datasets, document)

    def _drop_expired(self) -> None:
        ends = time.time() - self.limits.expiry_seconds
        for upload_id in self.incoming.ids():
            try:
                if self.incoming.touched_at(upload_id) < ends:
                    self.abandon(self.incoming.facts(upload_id))
            except (Refusal, ConversionError) as error:
                log.debug("An upload was removed by somebody else", reason=str(error))
