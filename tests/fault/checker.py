"""Checks what a run has left behind, by OpenVisus and the database alone.

    python -m tests.fault.checker --url URL --database NAME --shared FOLDER \
        --journal FILE --seen FILE [--all-done] [--scratch FOLDER ...] \
        [--services PID,PID --failpoints FOLDER]

Prints a JSON object: ``wrong``, a list of sentences, and counts. The exit status tells whether
there was anything wrong. It knows the documents and files from the contract, not from our code.

The datasets are those of `tests.fault.reader`. A document carries ``requested_version``, written
together with the request; the source's newest version stands in the upload.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import OpenVisus as ov  # noqa: N813  its own convention
import pymongo

_TEMPLATE = re.compile(r"^\(filename_template\)\s*\n\s*\./visus/([0-9A-Za-z]+)/", re.MULTILINE)
DELETED_SECONDS = 30.0

REHEARSAL = "scientistcloud-rehearsal-"
"""Left by a warm process that was killed at its start, until one starts two minutes later."""

EXPECTED_CODES = {
    "",
    "AttemptCrashed",
    "HostBusy",
    "HostLost",
    "OutOfSpace",
    "SourceChanged",
    "StorageUnavailable",
}
"""What an attempt may end with under these faults; anything else blames the wrong one."""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Checker:
    """One look at everything."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            options.url, serverSelectionTimeoutMS=30_000
        )
        self.documents = list(client[options.database]["visstoredatas"].find())
        self.journal = lines(options.journal)
        self.seen = lines(options.seen)
        self.converted: Path = options.shared / "converted"
        self.counts: dict[str, int] = defaultdict(int)

    def check(self) -> Iterator[str]:
        for document in self.documents:
            for problem in self._document(document):
                yield f"{document['_id']}: {problem}"
        yield from self._once()
        yield from self._seen()
        yield from self._leftovers()
        yield from self._processes()
        for folder in self.options.scratch:
            for entry in folder.iterdir():
                if not entry.name.startswith(REHEARSAL):
                    yield f"left in the scratch folder of a host: {entry}"

    def _document(self, document: dict[str, Any]) -> Iterator[str]:
        status, conversion = document["status"], document.get("conversion")
        self.counts[status] += 1
        if not isinstance(conversion, dict):
            if status != "cancelled":
                yield f"{status} with conversion = {conversion!r}"
            return
        if "lease" in conversion:
            yield f"{status} with a lease"
        if status == "done":
            yield from self._done(document)
        elif self.options.all_done:
            yield f"{status}: {document.get('status_message')} {document.get('conversion')}"
        elif status == "conversion failed":
            error = conversion.get("error") or {}
            self.counts[f"failed: {error.get('code')}"] += 1
            if not error.get("code") or not document.get("conversion_last_error"):
                yield "failed without a cause"
        elif status != "cancelled":
            yield f"blocked: {status}, {document.get('status_message')}, {conversion}"

    def _done(self, document: dict[str, Any]) -> Iterator[str]:
        uuid, folder = document["_id"], self.converted / document["_id"]
        source = np.load(self.options.shared / "upload" / uuid / "volume.npy", mmap_mode="r")
        newest = int(source.flat[0]) % 65536
        if not (folder / "visus.idx").is_file():
            yield "done, and cannot be opened"
            return
        samples = np.asarray(ov.LoadDataset(str(folder / "visus.idx")).read())
        values = np.unique(samples).tolist()
        index, version = divmod(values[0], 65536)
        if len(values) > 1 or uuid != f"chaos-{index}" or samples.shape != source.shape:
            yield f"done with the values {values[:4]} and the shape {samples.shape}"
        elif not document["requested_version"] <= version <= newest:
            wanted = f"{document['requested_version']} to {newest}"
            yield f"done with version {version} where {wanted} was asked for"
        conversion = document["conversion"]
        if {"waiting", "queued_at", "error"} & conversion.keys():
            yield f"done, and still {sorted(conversion)}"
        record = json.loads((folder / "metadata.json").read_text())
        if record["request"] != conversion["request"]["id"]:
            yield "metadata.json tells of another request"
        if record["generation"] != self._generation(folder):
            yield "metadata.json tells of another generation"

    def _generation(self, folder: Path) -> str | None:
        header = folder / "visus.idx"
        found = _TEMPLATE.search(header.read_text()) if header.exists() else None
        return found.group(1) if found else None

    def _once(self) -> Iterator[str]:
        """No request was completed twice, nor published twice from the same source."""
        request_of: dict[str, str] = {}
        completed: dict[str, set[str]] = defaultdict(set)
        for entry in self.journal:
            if "token" in entry:
                request_of[entry["token"][:16]] = entry["request"]
                self.counts[f"attempts: {entry['outcome']} {entry['code']}".rstrip()] += 1
                if entry["code"] not in EXPECTED_CODES:
                    yield f"{entry['uuid']}: an attempt ended with {entry['code']}"
                if entry.get("outcome") == "done":
                    completed[entry["request"]].add(entry["token"])
        for request, tokens in completed.items():
            self.counts["requests completed"] += 1
            if len(tokens) > 1:
                yield f"request {request} was completed by {len(tokens)} attempts"
        published: dict[tuple[str, int], set[str]] = defaultdict(set)
        for entry in self.seen:
            request_id = request_of.get(entry.get("generation", ""))
            if "version" in entry and request_id:
                published[request_id, entry["version"]].add(entry["generation"])
        for (request, version), generations in published.items():
            self.counts["publications seen"] += 1
            if len(generations) > 1:
                yield f"request {request}: version {version} was published {len(generations)} times"

    def _seen(self) -> Iterator[str]:
        deleted = [(e["uuid"], e["at"]) for e in self.journal if e.get("fault") == "delete"]
        for entry in self.seen:
            self.counts["looks of the reader"] += entry.get("looks", 0)
            if "wrong" not in entry:
                continue
            removed = any(
                uuid == entry["uuid"] and 0 <= entry["at"] - at < DELETED_SECONDS
                for uuid, at in deleted
            )
            if removed and entry["after"] != entry["generation"]:
                self.counts["looks at what was being deleted"] += 1
            else:
                yield f"the reader saw something wrong: {entry}"

    def _leftovers(self) -> Iterator[str]:
        """Nothing is staged, and there are no blocks but those published or just replaced.

        Every dataset is settled: what an attempt had finished for a next one is of no use either.
        """
        staging = self.converted / ".staging"
        for entry in staging.iterdir() if staging.is_dir() else ():
            if entry.name not in (".retired", ".partial"):
                yield f"left in the staging folder: {entry.name}"
        for kept in staging.glob(".partial/*/*"):
            yield f"left in the staging folder: {kept.relative_to(staging)}"
        for folder in self.converted.glob("chaos-*"):
            retired = staging / ".retired" / folder.name
            known = {each.name for each in retired.iterdir()} if retired.is_dir() else set()
            known.add(self._generation(folder) or "")
            blocks = folder / "visus"
            found = {each.name for each in blocks.iterdir()} if blocks.is_dir() else set()
            if found - known:
                yield f"{folder.name}: generations that nobody sees: {sorted(found - known)}"

    def _processes(self) -> Iterator[str]:
        """Beside the running services and a warm process for each there is nobody."""
        if not self.options.failpoints:
            return
        mark = f"SC_FAILPOINTS={self.options.failpoints}".encode()
        services = {int(pid) for pid in self.options.services.split(",") if pid}
        warm: dict[int, int] = {}
        for folder in Path("/proc").iterdir():
            try:
                if not folder.name.isdigit() or mark not in (folder / "environ").read_bytes():
                    continue
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            pid = int(folder.name)
            if pid in services or (parent in services and parent not in warm):
                warm[parent] = pid
            else:
                yield f"process {pid} is left over (its parent is {parent})"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--database", required=True)
    for name in ("--shared", "--journal", "--seen"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--scratch", nargs="*", type=Path, default=[])
    parser.add_argument("--all-done", action="store_true")
    parser.add_argument("--services", default="")
    parser.add_argument("--failpoints", default="")
    checker = Checker(parser.parse_args())
    wrong = list(checker.check())
    print(json.dumps({"wrong": wrong, "counts": checker.counts}, indent=2))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
