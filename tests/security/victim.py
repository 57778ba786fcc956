"""A dataset among others, converted by a real child as the service does, to be attacked."""

from __future__ import annotations

import itertools
import select
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scientistcloud.service.confinement.limits import Limits, LimitsWatch
from scientistcloud.service.processes.children import WarmProcess

WAIT_SECONDS = 60.0
MIB = 1 << 20
SECRET = b"the secret of another dataset " * 300
ACCOUNTS = Path("/etc/passwd").read_bytes().splitlines()[0]
_ANSWERS = {"plan": {"go": True}, "ready": {"commit": True}}
_numbers = itertools.count(1)


@dataclass
class Victim:
    """One upload beside a file that nothing of it may reach.

    Attributes
    ----------
    upload, secret : Path
        The folder to be converted; the file beside it.
    limits : dict
        Of the child.
    """

    root: Path
    warm: WarmProcess
    limits: dict[str, Any] = field(
        default_factory=lambda: {"memory_bytes": 512 * MIB, "cpu_seconds": 30.0}
    )
    uuid: str = "dataset"

    def __post_init__(self) -> None:
        self.upload = self.root / "upload" / "dataset"
        self.upload.mkdir(parents=True)
        self.secret = self.root / "upload" / "other" / "secret.raw"
        self.secret.parent.mkdir()
        self.secret.write_bytes(SECRET)
        self.converted = self.root / "converted"

    def convert(self, sensor: str | None = None, **parameters: object) -> dict[str, Any]:
        """The last word of a child that converts the upload, watched as the service does."""
        before = self._outside()
        child = self.warm.launch(self._order(sensor, parameters))
        deadline = time.monotonic() + WAIT_SECONDS
        watch = LimitsWatch(Limits(**self.limits))
        last: dict[str, Any] = {}
        try:
            while not last.keys() & {"done", "failed", "stopped"}:
                outgrown = watch.look(child.pid, time.monotonic())
                if outgrown is not None:
                    return {"failed": outgrown.to_dict()}
                if not select.select([child.channel], [], [], 0.1)[0]:
                    assert time.monotonic() < deadline, "no word from it"
                    continue
                last, _ = child.channel.receive()
                for kind in _ANSWERS.keys() & last.keys():
                    child.channel.send(_ANSWERS[kind])
        finally:
            child.signal(signal.SIGKILL)
            child.wait(10)
            child.channel.close()
        assert self._outside() == before, "it changed something outside"
        published = self._published()
        for secret in (SECRET, ACCOUNTS):
            assert secret not in published, "it published what is not its own"
        return last

    def refusal(self, sensor: str | None = None, **parameters: object) -> tuple[str, str]:
        """Code and message with which the upload is refused."""
        last = self.convert(sensor, **parameters)
        assert "failed" in last, last
        told = last["failed"]
        text = told["message"] + told["remedy"]
        assert text.isprintable(), text
        assert str(self.upload) not in text
        assert str(self.converted) not in text
        assert not (self.converted / "dataset" / "visus.idx").exists()
        return told["code"], told["message"]

    def _order(self, sensor: str | None, parameters: dict[str, object]) -> dict[str, Any]:
        options = {"memory_limit_bytes": int(self.limits["memory_bytes"]), "threads": 1}
        return {
            "source": str(self.upload),
            "target": str(self.converted / "dataset"),
            "staging_root": str(self.converted / ".staging"),
            "name": "dataset",
            "token": f"{next(_numbers):032x}",
            "request": f"{next(_numbers)}",
            "options": options | {"sensor": sensor, "parameters": parameters},
            "limits": self.limits,
        }

    def _outside(self) -> dict[str, tuple[int, int]]:
        """All files of the upload folders, with size and time of change."""
        found = {}
        for path in (self.root / "upload").rglob("*"):
            status = path.lstat()
            found[str(path)] = (status.st_size, status.st_mtime_ns)
        return found

    def _published(self) -> bytes:
        files = [path for path in (self.converted / "dataset").rglob("*") if path.is_file()]
        return b"".join(path.read_bytes() for path in files if path.stat().st_size < 64 * MIB)
