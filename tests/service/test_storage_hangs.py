"""A file system that stops answering, as network storage does: only what needs it stops, too.

A real one: `bindfs` (FUSE) shows a folder in another place, until it is stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.site import CONVERTING, DONE, QUEUED, Site, free_port, processes_of, until

PATIENCE_SECONDS = 10.0


class Mount:
    """A folder on a file system that may hang."""

    def __init__(self, behind: Path, folder: Path) -> None:
        behind.mkdir()
        folder.mkdir()
        self.folder = folder
        self._process = subprocess.Popen(
            ["bindfs", "-f", str(behind), str(folder)], stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 10
        while not os.path.ismount(folder):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                error = self._process.communicate()[1].decode()
                pytest.skip(f"no FUSE file system can be mounted here: {error.strip()}")
            time.sleep(0.05)

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.go_on()
        subprocess.run(["umount", "-l", str(self.folder)], check=False)
        self._process.terminate()
        self._process.communicate(timeout=10)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    if shutil.which("bindfs") is None or not Path("/dev/fuse").exists():
        pytest.skip("bindfs is not installed, or there is no FUSE")
    made = Mount(tmp_path / "behind", tmp_path / "mount")
    yield made
    made.close()


@pytest.fixture
def hanging(site: Site, mount: Mount) -> Site:
    """A site whose datasets lie on the mount, and its logs do not."""
    site.upload = mount.folder / "upload"
    site.converted = mount.folder / "converted"
    site.upload.mkdir()
    site.settings |= {"VISUS_DATASETS": str(mount.folder), "METRICS_PORT": str(free_port())}
    return site


def ask(site: Site, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{site.settings['METRICS_PORT']}{path}", timeout=5)


def begin(site: Site) -> tuple[Any, str, Any]:
    """Have a conversion under way."""
    service = site.start()
    name, samples = site.stack((64, 512, 512), compression="lzw")
    site.queue(name)
    until(lambda: list((site.converted / name).glob("visus/*/*")) != [], 60, site.logs)
    return service, name, samples


def expires_at(site: Site, name: str) -> datetime:
    found = site.find(name)["conversion"]["lease"]["expires_at"]
    assert isinstance(found, datetime)
    return found


def abandoned(name: str) -> dict[str, Any]:
    """The document of a dataset whose service vanished an hour ago."""
    past = datetime.now(UTC) - timedelta(hours=1)
    lease = {"owner": "gone", "token": "0" * 32, "expires_at": past}
    return {"uuid": name, "status": CONVERTING, "updated_at": past, "conversion": {"lease": lease}}


def test_only_the_conversions_wait_for_storage_that_hangs(hanging: Site, mount: Mount) -> None:
    site = hanging
    _, name, samples = begin(site)
    mount.hang()
    hung_at = time.monotonic()
    before = expires_at(site, name)
    until(lambda: ask(site, "/readyz").status_code == 503, PATIENCE_SECONDS + 8, site.logs)
    told = ask(site, "/readyz").json()["problems"]
    assert "has not answered for" in told["storage"]
    # Health, heartbeat, rescuer, watch, metrics and the doctor go on.
    assert ask(site, "/healthz").json()["problems"] == {}
    site.datasets.insert_one(abandoned("lost"))
    site.queue("next")
    until(lambda: site.find("lost")["status"] == QUEUED, 10, site.logs)
    until(lambda: expires_at(site, name) > before + timedelta(seconds=6), 20, site.logs)
    assert site.find("next")["status"] == QUEUED
    metrics = ask(site, "/metrics").text
    assert 'scientistcloud_claiming_paused{reason="StorageUnavailable"} 1.0' in metrics
    texts = [each["text"] for each in json.loads(site.doctor("--json"))["findings"]]
    assert sum("does not answer within" in text for text in texts) == 2, texts
    assert time.monotonic() - hung_at > 3 * 3.0  # lease lengths
    mount.go_on()
    document = site.wait(name, DONE, seconds=60)
    assert [each["outcome"] for each in document["conversion"]["history"]] == ["done"]
    np.testing.assert_array_equal(site.read(name), samples)
    until(lambda: ask(site, "/readyz").status_code == 200, 15, site.logs)
    for other in ("next", "lost"):  # there are no files of theirs: that is found out now
        assert site.wait(other, "conversion failed")["conversion"]["error"]["code"]


def test_a_cancelled_dataset_is_let_go_while_its_storage_hangs(hanging: Site, mount: Mount) -> None:
    _, name, _ = begin(hanging)
    mount.hang()
    hanging.datasets.update_one({"uuid": name}, {"$set": {"status": "cancelled"}})
    until(lambda: "is lost" in hanging.log(), 5, hanging.logs)
    mount.go_on()
    until(lambda: not (hanging.converted / name / "visus.idx").exists(), 5)
    until(lambda: len(processes_of(hanging.services[0])) == 2, 30, hanging.logs)
    assert hanging.find(name)["status"] == "cancelled"


def test_a_service_gives_its_claims_back_while_the_storage_hangs(
    hanging: Site, mount: Mount
) -> None:
    service, name, _ = begin(hanging)
    mount.hang()
    service.terminate()
    hanging.wait(name, QUEUED, seconds=20)
    mount.go_on()
    assert service.wait(20) == 0
    assert hanging.find(name)["conversion_retry_count"] == 0
