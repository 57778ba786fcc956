"""An attempt that was killed or released is gone on with; one that nobody wants leaves nothing."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.site import CONVERTING, DONE, QUEUED, Site, processes_of, until

SHAPE = (96, 512, 512)


def partial(site: Site, uuid: str) -> list[Path]:
    folder = site.converted / ".staging" / ".partial" / uuid
    return list(folder.glob("????????????????")) if folder.is_dir() else []


def halfway(site: Site, uuid: str) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """A service whose child has left a checkpoint, and that child, which is suspended there."""
    service = site.start(CHECKPOINT_SECONDS="0")
    child: list[psutil.Process] = []

    def there() -> bool:
        child[:] = processes_of(service)[2:]
        return bool(child) and bool(partial(site, uuid))

    until(there, 60, site.logs, pause_seconds=0.001)
    child[0].suspend()
    assert site.find(uuid)["status"] == CONVERTING
    return service, child[0]


def went_on(site: Site, uuid: str) -> bool:
    return "Going on from" in (site.converted / uuid / "conversion.log").read_text()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_another_service_goes_on_from_the_checkpoint(site: Site, how: signal.Signals) -> None:
    uuid, samples = site.stack(SHAPE, compression="zlib")
    site.queue(uuid)
    service, child = halfway(site, uuid)
    family = processes_of(service)
    service.send_signal(how)
    if how is signal.SIGTERM:
        child.resume()
    service.wait(10)
    psutil.wait_procs(family, 5)
    assert partial(site, uuid)
    site.start()
    site.wait(uuid, DONE)
    assert went_on(site, uuid)
    np.testing.assert_array_equal(site.read(uuid), samples)
    until(lambda: not partial(site, uuid), 5)
    assert len(list((site.converted / uuid / "visus").iterdir())) == 1


def test_the_former_service_wakes_up_while_another_one_goes_on(site: Site) -> None:
    uuid, samples = site.stack(SHAPE, compression="zlib")
    site.queue(uuid)
    late, _ = halfway(site, uuid)
    for process in processes_of(late):
        process.suspend()
    site.start(CHECKPOINT_SECONDS="0")
    blocks = site.converted / uuid / "visus"
    former = partial(site, uuid)[0].name
    until(lambda: not (blocks / former).is_dir(), 30, site.logs, pause_seconds=0.001)
    for process in processes_of(late):
        process.resume()
    site.wait(uuid, DONE)
    assert went_on(site, uuid)
    np.testing.assert_array_equal(site.read(uuid), samples)
    until(lambda: "is lost" in site.log(0), 20, site.logs)
    until(lambda: len(processes_of(late)) == 2, 20, site.logs)
    np.testing.assert_array_equal(site.read(uuid), samples)
    until(lambda: not partial(site, uuid) and len(list(blocks.iterdir())) == 1, 10)


@pytest.mark.parametrize("status", ["cancelled", None])
def test_nothing_is_kept_of_what_nobody_wants(site: Site, status: str | None) -> None:
    uuid, _ = site.stack(SHAPE, compression="zlib")
    site.queue(uuid)
    service, child = halfway(site, uuid)
    if status is None:
        site.datasets.delete_one({"uuid": uuid})
    else:
        site.datasets.update_one({"uuid": uuid}, {"$set": {"status": status}})
    child.resume()
    until(lambda: len(processes_of(service)) == 2, 10, site.logs)
    until(lambda: not partial(site, uuid), 5, site.logs)
    until(lambda: not (site.converted / uuid / "visus").exists(), 5, site.logs)


def test_nothing_is_kept_of_what_is_cancelled_while_it_waits(site: Site) -> None:
    uuid, _ = site.stack(SHAPE, compression="zlib")
    site.queue(uuid)
    service, child = halfway(site, uuid)
    service.terminate()
    child.resume()
    service.wait(10)
    assert site.find(uuid)["status"] == QUEUED
    assert partial(site, uuid)
    site.datasets.update_one({"uuid": uuid}, {"$set": {"status": "cancelled"}})
    site.start(GENERATION_GRACE_SECONDS="4")
    until(lambda: not (site.converted / uuid / "visus").exists(), 30, site.logs)
    assert not partial(site, uuid)
