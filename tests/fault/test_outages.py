"""MongoDB goes away in mid-conversion; readers watch all the time; nothing is lost or mixed."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import OpenVisus as ov  # noqa: N813  its own convention
import pytest

from scientistcloud.database.embedded import EmbeddedMongo
from tests.site import DONE, QUEUED, Site, processes_of, until


@pytest.fixture
def mongo(tmp_path: Path) -> Any:
    """A server of this test's own, which it may stop and start."""
    server = EmbeddedMongo(tmp_path / "mongo")
    yield server
    server.stop()


def pause_in_mid_conversion(site: Site, service: Any, name: str) -> Any:
    """Stop the child of `name` once it has begun to write; its process."""
    until(lambda: list((site.converted / name / "visus").glob("*/manifest")) != [], 30, site.logs)
    child = processes_of(service)[2]
    child.suspend()
    return child


def test_a_service_waits_for_a_database_that_starts_later(
    tmp_path: Path, mongo: EmbeddedMongo
) -> None:
    url = mongo.start()
    mongo.stop()
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site", url, "late")
    try:
        service = site.start()
        until(lambda: "Waiting for MongoDB" in site.log(), 20)
        assert service.poll() is None
        mongo.start()
        name, samples = site.stack((2, 16, 16))
        site.queue(name)
        site.wait(name, DONE, seconds=20)
        np.testing.assert_array_equal(site.read(name), samples)
    finally:
        site.close()


def test_a_service_stops_in_time_while_the_database_is_away(
    tmp_path: Path, mongo: EmbeddedMongo
) -> None:
    site = Site(tmp_path / "site", mongo.start(), "away")
    try:
        name, _ = site.stack((64, 512, 512), compression="lzw")
        site.queue(name)
        service = site.start()
        pause_in_mid_conversion(site, service, name).resume()
        family = processes_of(service)
        mongo.stop()
        service.terminate()
        assert service.wait(10) == 0
        until(lambda: not any(process.is_running() for process in family), 2)
        mongo.start()
        site.start()
        site.wait(name, DONE, seconds=40)
    finally:
        site.close()


def test_readers_see_the_old_data_or_the_new_never_a_mixture(site: Site) -> None:
    name = str(uuid.uuid4())
    values: set[tuple[int, ...]] = set()
    ended = threading.Event()

    def watch() -> None:
        """Read the dataset again and again, each time through a newly opened header."""
        while not ended.is_set():
            if (site.converted / name / "visus.idx").exists():
                values.add(tuple(np.unique(site.read(name)).tolist()))

    (site.upload / name).mkdir()
    site.start()
    reader = threading.Thread(target=watch)
    reader.start()
    opened: list[tuple[Any, int]] = []
    try:
        for value in range(1, 6):
            np.save(site.upload / name / "volume.npy", np.full((64, 96, 96), value, np.uint16))
            site.datasets.update_one({"uuid": name}, {"$set": {"status": QUEUED}}, upsert=True)
            site.wait(name, DONE)
            dataset = ov.LoadDataset(str(site.converted / name / "visus.idx"))
            opened.append((dataset, value))
            assert np.unique(dataset.read()).tolist() == [value]
    finally:
        ended.set()
        reader.join()
    assert values <= {(value,) for value in range(1, 6)}
    assert len(values) > 1
    for dataset, value in opened:
        assert np.unique(np.asarray(dataset.read())).tolist() == [value]
