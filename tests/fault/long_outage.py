"""MongoDB is away for long while services convert: what is published, and when it goes on.

    python -m tests.fault.long_outage --minutes 10 --report outage.md

Real services on a real mongod, which is killed in mid-conversion and comes back that much later.
Each service reaches it through a gate of its own that stays shut a little longer, while others
(people, another service) change some of the documents. Then: results are published if, and only if,
a renewal of the claim succeeds. What was published is read by OpenVisus; the rest is told by the
documents and the folders, none of our code.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from tests.fault.fleet import run_long
from tests.fault.gate import Gate
from tests.fault.server import Server
from tests.site import CONVERTING, DONE, QUEUED, Site, free_port, processes_of, until

KEPT = ("kept-1", "kept-2")
EDITED = ("cancelled", "asked-again", "deleted")
TAKEN = "taken"
FRESH = tuple(f"fresh-{number}" for number in range(5))
SHAPE = (48, 512, 512)
MOVES_WITHIN_SECONDS = 5.0
_SETTLE_SECONDS = 120.0


@dataclass
class Findings:
    """What was seen; times in seconds after MongoDB could be reached again."""

    outage_seconds: float = 0.0
    ready_while_away: list[str] = field(default_factory=list)
    looks_while_away: int = 0
    slowest_answer_seconds: float = 0.0
    claimed_after_seconds: float = 0.0
    published_after_seconds: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def expect(self, true: bool, what: str) -> None:
        if not true:
            self.wrong.append(what)


class Outage:
    """One run: three services on two ways to MongoDB."""

    def __init__(self, root: Path, settings: dict[str, str], *, hang: bool) -> None:
        self.root = root
        self.found = Findings()
        self.server = Server(root / "mongo")
        self.server.start()
        self.site = Site(root / "site", self.server.url(), "outage", settings=settings)
        self.near = Gate(self.server.port, hang=hang)
        self.far = Gate(self.server.port)
        self.samples: dict[str, NDArray[Any]] = {}
        self.ports: list[int] = []
        self.children: list[psutil.Process] = []

    def start_service(self, gate: Gate, at_once: int) -> subprocess.Popen[bytes]:
        self.ports.append(free_port())
        return self.site.start(
            MONGO_URL=gate.url,
            JOB_MAX_CONCURRENT=str(at_once),
            CONVERSION_MEMORY_LIMIT="300M",
            METRICS_PORT=str(self.ports[-1]),
        )

    def begin(self) -> None:
        """Bring six conversions under way, and stop them there; a third service has nothing."""
        self._convert_at(self.near, (*KEPT, *EDITED))
        self._convert_at(self.far, (TAKEN,))
        self.start_service(self.near, 2)
        until(lambda: self.answer(2, "/readyz")[0] == 200, 60, self.site.logs)

    def _convert_at(self, gate: Gate, names: tuple[str, ...]) -> None:
        service = self.start_service(gate, len(names))
        until(lambda: self.answer(len(self.ports) - 1, "/readyz")[0] == 200, 60, self.site.logs)
        for name in names:
            _, self.samples[name] = self.site.stack(SHAPE, len(self.samples), name)
        self.site.queue(*names)
        stopped: dict[int, psutil.Process] = {}

        def all_stopped() -> bool:
            for child in processes_of(service)[2:]:
                if child.pid not in stopped and self._has_begun(child):
                    child.suspend()
                    stopped[child.pid] = child
            return len(stopped) == len(names)

        until(all_stopped, 60, self.site.logs)
        self.children += stopped.values()

    def _has_begun(self, child: psutil.Process) -> bool:
        """Whether it has begun to write blocks."""
        staging = str(self.site.converted / ".staging")
        with suppress(psutil.Error):
            for each in child.open_files():
                if each.path.startswith(staging):
                    name = Path(each.path).parent.name.rpartition(".")[0]
                    return any((self.site.converted / name).glob("visus/*/*"))
        return False

    def answer(self, service: int, path: str) -> tuple[int, dict[str, Any]]:
        """What the endpoint of a service says; 0 if nothing."""
        began = time.monotonic()
        try:
            url = f"http://127.0.0.1:{self.ports[service]}{path}"
            with urllib.request.urlopen(url, timeout=10) as found:
                code, body = found.status, found.read()
        except urllib.error.HTTPError as error:
            code, body = error.code, error.read()
        except OSError:
            return 0, {}
        self.found.slowest_answer_seconds = max(
            self.found.slowest_answer_seconds, time.monotonic() - began
        )
        return code, json.loads(body) if path != "/metrics" else {}

    def away(self, seconds: float) -> None:
        """MongoDB is killed; the conversions go on to where they ask for leave to publish."""
        self.near.shut()
        self.far.shut()
        self.server.kill()
        began = time.monotonic()
        self.found.slowest_answer_seconds = 0.0
        for child in self.children:
            child.resume()
        while time.monotonic() - began < seconds:
            self._look_while_away(told=time.monotonic() - began > min(15.0, 0.7 * seconds))
            time.sleep(min(1.0, seconds / 20))
        staged = (self.site.converted / ".staging").glob("*/visus.idx")
        names = {path.parent.name.rpartition(".")[0] for path in staged}
        self.found.ready_while_away = sorted(names)
        self.found.expect(names == set(self.samples), f"only {names} were ready for publication")
        self.found.outage_seconds = time.monotonic() - began

    def _look_while_away(self, *, told: bool) -> None:
        self.found.looks_while_away += 1
        published = [path.parent.name for path in self.site.converted.glob("*/visus.idx")]
        self.found.expect(not published, f"{published} published while MongoDB was away")
        for number, service in enumerate(self.site.services):
            self.found.expect(service.poll() is None, f"service {number} ended")
            self.found.expect(self.answer(number, "/healthz")[0] == 200, f"{number} is not alive")
            self.answer(number, "/metrics")
            code, body = self.answer(number, "/readyz")
            if told:
                good = code == 503 and "mongodb" in body.get("problems", {})
                self.found.expect(good, f"/readyz of service {number} says {code} {body}")

    def edit(self) -> None:
        """MongoDB is back, and others change documents before any service reaches it."""
        self.server.start()
        datasets = self.site.datasets
        for name in ("asked-again", TAKEN):
            shutil.rmtree(self.site.upload / name)
            _, self.samples[name] = self.site.stack((6, 64, 64), 90, name)
        datasets.update_one({"uuid": "cancelled"}, {"$set": {"status": "cancelled"}})
        datasets.update_one({"uuid": "asked-again"}, {"$set": {"status": QUEUED}})
        datasets.delete_one({"uuid": "deleted"})
        for name in FRESH:
            _, self.samples[name] = self.site.stack((4, 32, 32), 7, name)

    def come_back(self) -> None:
        """Two services reach MongoDB again, the third only after its dataset was taken over."""
        opened_at = time.time()
        self.near.open()
        self.site.queue(*FRESH)
        taken = {"uuid": {"$in": list(FRESH)}, "status": {"$ne": QUEUED}}
        until(lambda: self.site.datasets.count_documents(taken) > 0, 60, self.site.logs, 0.01)
        self.found.claimed_after_seconds = time.time() - opened_at
        for name in (*KEPT, "asked-again", *FRESH, TAKEN):
            self.site.wait(name, DONE, seconds=_SETTLE_SECONDS)
        late = self.site.services[1]
        header = (self.site.converted / TAKEN / "visus.idx").read_bytes()
        self.far.open()
        until(lambda: "is lost" in self.site.log(1), 60, self.site.logs)
        until(lambda: len(processes_of(late)) == 2, 30, self.site.logs)
        same = (self.site.converted / TAKEN / "visus.idx").read_bytes() == header
        self.found.expect(same, "the late owner published")
        for path in self.site.converted.glob("*/visus.idx"):
            # Of the header's change of name; it was written before.
            after = path.stat().st_ctime - opened_at
            self.found.published_after_seconds[path.parent.name] = round(after, 2)
            self.found.expect(after > 0, f"{path.parent.name} was published before")

    def check(self) -> None:
        """Each result as it should be, once; nothing of those whose claim was lost; no traces."""
        found, site = self.found, self.site
        found.expect(found.claimed_after_seconds < MOVES_WITHIN_SECONDS, "the queue did not move")
        for name in (*KEPT, "asked-again", TAKEN, *FRESH):
            same = np.array_equal(site.read(name), self.samples[name])
            found.expect(same, f"{name} has other samples than its source")
            history = site.find(name)["conversion"]["history"]
            done = [entry["outcome"] for entry in history].count("done")
            found.expect(done == 1, f"{name} was completed {done} times")
        for name in KEPT:
            history = [entry["outcome"] for entry in site.find(name)["conversion"]["history"]]
            found.expect(history == ["done"], f"{name} was converted again: {history}")
        found.expect(site.find("cancelled")["status"] == "cancelled", "cancelled is not")
        for name in ("cancelled", "deleted"):
            there = (site.converted / name / "visus.idx").exists()
            found.expect(not there, f"{name} was published")
        left = site.converted / ".staging"
        until(lambda: not [each for each in left.glob("*.*") if each.name[0] != "."], 60)
        found.expect(site.datasets.count_documents({"status": CONVERTING}) == 0, "claims are left")

    def close(self) -> None:
        self.site.close()
        self.near.close()
        self.far.close()
        self.server.close()


def run(
    root: Path, seconds: float, settings: dict[str, str] | None = None, *, hang: bool = False
) -> Findings:
    """One outage of `seconds`; what was seen, `Findings.wrong` empty if all is as it should be."""
    outage = Outage(root, settings or {}, hang=hang)
    try:
        outage.begin()
        outage.away(seconds)
        outage.edit()
        outage.come_back()
        outage.check()
    finally:
        outage.close()
    outage.found.wrong = sorted(set(outage.found.wrong))
    return outage.found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (%(default)s)")
    parser.add_argument("--hang", action="store_true", help="no answer, rather than a refusal")
    parser.add_argument("--report", type=Path, help="write what was seen into this file (JSON)")
    given = parser.parse_args()
    run_long()
    defaults = {"LEASE_SECONDS": "15", "LEASE_RENEW_SECONDS": "3"}
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="sc-outage-") as name:
        found = run(Path(name), 60 * given.minutes, defaults, hang=given.hang)
    text = json.dumps(asdict(found), indent=2)
    print(text)
    if given.report:
        given.report.write_text(text + "\n")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
