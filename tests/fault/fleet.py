"""A MongoDB, several hosts with a service each, shared folders, and a reader that watches them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from pymongo.errors import PyMongoError

from tests.fault.hosts import Host, address
from tests.fault.server import Server
from tests.fault.steps import Failpoints

ROOT = Path(__file__).resolve().parents[2]
DATABASE = "chaos"
NPY_HEADER_BYTES = 128
QUEUED, CONVERTING = "conversion queued", "converting"


class Fleet:
    """What one run works on; `close` ends every process and removes every network of it."""

    def __init__(
        self,
        root: Path,
        services: int,
        settings: dict[str, str],
        *,
        network: bool = False,
        small_disk_bytes: int = 0,
        shim: bool = False,
    ) -> None:
        self.root = root
        self.shared = root / "shared"
        self.shared.mkdir(parents=True)
        self._mounted = small_disk_bytes > 0
        if self._mounted:
            size = f"size={small_disk_bytes}"
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", size, "sc-chaos", str(self.shared)], check=True
            )
        self.upload, self.converted = self.shared / "upload", self.shared / "converted"
        self.upload.mkdir()
        self.failpoints = Failpoints()
        slow_storage = self.shared if shim else None
        self.hosts = [
            Host(
                number,
                root,
                self.failpoints.folder,
                network=network,
                slow_storage=slow_storage,
            )
            for number in range(services)
        ]
        addresses = tuple(address(number) for number in range(services)) if network else ()
        self.server = Server(root / "mongo", ("127.0.0.1", *addresses))
        self.datasets = self.server.client[DATABASE]["visstoredatas"]
        self._settings = settings
        self._reader: subprocess.Popen[bytes] | None = None
        self._journal_lock = threading.Lock()

    def start(self) -> None:
        self.server.start()
        for host in self.hosts:
            self.start_service(host)
        with (self.root / "reader.log").open("ab") as log:
            self._reader = subprocess.Popen(
                [sys.executable, "-m", "tests.fault.reader", str(self.converted), str(self.seen)],
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
            )

    def start_service(self, host: Host) -> None:
        settings = {
            "DB_NAME": DATABASE,
            "VISUS_DATASETS": str(self.shared),
            "METRICS_PORT": "0",
            "JOB_MAX_CONCURRENT": "2",
            "CONVERSION_CPU_LIMIT": "1",
            "CONVERSION_MEMORY_LIMIT": "400M",
            "OMP_NUM_THREADS": "1",
        }
        host.start(self.server, settings | self._settings)

    @property
    def seen(self) -> Path:
        """What the reader notes."""
        return self.root / "reader.jsonl"

    @property
    def journal(self) -> Path:
        """What was done to the datasets, and what became of every attempt."""
        return self.root / "journal.jsonl"

    def note(self, **entry: Any) -> None:
        with self._journal_lock, self.journal.open("a") as file:
            file.write(json.dumps(entry | {"at": time.time()}, default=str) + "\n")

    def write_source(self, uuid: str, version: int, shape: tuple[int, ...]) -> None:
        """Put a new version in the place of the dataset's only file, in one step."""
        value = int(uuid.removeprefix("chaos-")) * 65536 + version
        draft = self.shared / f".draft-{uuid}-{threading.get_ident()}.npy"
        np.save(draft, np.full(shape, value, np.uint32))
        (self.upload / uuid).mkdir(exist_ok=True)
        draft.replace(self.upload / uuid / "volume.npy")
        self.note(uuid=uuid, source=version)

    def overwrite_source(self, uuid: str, version: int) -> None:
        """Write a new version into the very file that may be open elsewhere, in one call."""
        value = int(uuid.removeprefix("chaos-")) * 65536 + version
        path = self.upload / uuid / "volume.npy"
        content = bytearray(path.read_bytes())
        samples = np.frombuffer(content, np.uint32, offset=NPY_HEADER_BYTES)
        samples[:] = value
        with path.open("r+b", buffering=0) as file:
            file.write(content)
        self.note(uuid=uuid, source=version)

    def request(self, uuid: str, version: int) -> dict[str, Any]:
        """Ask for a conversion as the portal does, by the status alone; the document before."""
        before = self.datasets.find_one_and_update(
            {"_id": uuid},
            {"$set": {"uuid": uuid, "status": QUEUED, "requested_version": version}},
            upsert=True,
        )
        self.note(uuid=uuid, requested=version)
        return before or {}

    def host_of(self, document: dict[str, Any]) -> Host | None:
        """Whose lease is on this document; None where its service is stopped or gone."""
        owner = lease_of(document).get("owner", "")
        found = next((h for h in self.hosts if h.is_running and h.owner in owner), None)
        return None if found is None or found.is_stopped else found

    def wait_until_settled(self, seconds: float) -> list[dict[str, Any]]:
        """Wait until nothing is queued or converting; the documents that still are."""
        deadline = time.monotonic() + seconds
        while True:
            active = {"status": {"$in": [QUEUED, CONVERTING]}}
            with suppress(PyMongoError):
                left = list(self.datasets.find(active))
                if not left or time.monotonic() > deadline:
                    return left
            time.sleep(0.1)

    def stop_reader(self) -> None:
        if self._reader is not None:
            self._reader.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._reader.wait(30)
            self._reader.kill()

    def close(self) -> None:
        self.stop_reader()
        for host in self.hosts:
            host.close()
        self.server.close()
        self.failpoints.close()
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.shared)], check=False)


@contextmanager
def fleet(root: Path, services: int, settings: dict[str, str], **more: Any) -> Iterator[Fleet]:
    made = Fleet(root, services, settings, **more)
    try:
        made.start()
        yield made
    finally:
        made.close()


def lease_of(document: dict[str, Any]) -> dict[str, Any]:
    """The document's lease, or an empty object."""
    conversion = document.get("conversion")
    lease = conversion.get("lease") if isinstance(conversion, dict) else None
    return lease if isinstance(lease, dict) else {}


def run_long() -> None:
    """Let others go first, and clean up at SIGTERM as at the end."""
    os.nice(5)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
