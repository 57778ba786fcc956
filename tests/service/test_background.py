"""A real service on a real MongoDB: from `conversion queued` to data that OpenVisus reads."""

from __future__ import annotations

import json
import os
import signal
import uuid as uuids
from contextlib import suppress
from typing import Any

import httpx
import numpy as np
import psutil

from tests.site import CONVERTING, DONE, FAILED, QUEUED, Site, free_port, processes_of, until


def test_a_queued_stack_becomes_a_viewable_dataset(site: Site) -> None:
    uuid, samples = site.stack((11, 40, 50))
    site.queue(uuid)
    site.start()
    document = site.wait(uuid, DONE, FAILED)
    assert document["status"] == DONE
    np.testing.assert_array_equal(site.read(uuid), samples)
    assert document["dimensions"] == "50x40x11"
    assert document["progress"] == 100
    assert document["completed_at"] >= document["updated_at"].replace(microsecond=0)
    assert document["data_size"] > 0
    assert document["conversion"]["plan"]["total_bytes"] == samples.nbytes
    assert "lease" not in document["conversion"]
    target = site.converted / uuid
    assert {each.name for each in target.iterdir()} == {
        "visus.idx",
        "visus",
        "metadata.json",
        "conversion.log",
    }
    record = json.loads((target / "metadata.json").read_text())
    assert record["datasets"][0]["dims"] == [50, 40, 11]
    assert len(record["source"]["files"]) == 11


def test_the_log_has_the_lines_that_operators_look_for(site: Site) -> None:
    uuid, _ = site.stack()
    site.queue(uuid)
    site.start("--drain").wait(60)
    lines = site.log().splitlines()
    assert any("Starting SC_BackgroundService worker sc_worker_" in line for line in lines)
    assert any(f"Processing conversion for dataset {uuid}..." in line for line in lines)


def test_the_log_is_json_where_asked_for(site: Site) -> None:
    uuid, _ = site.stack()
    site.queue(uuid)
    site.start("--drain", LOG_FORMAT="json").wait(60)
    messages = [json.loads(line)["message"] for line in site.log().splitlines()]
    assert any(m.startswith("Starting SC_BackgroundService worker sc_worker_") for m in messages)
    assert f"Processing conversion for dataset {uuid}..." in messages


MALFORMED: list[Any] = [
    "text",
    [],
    ["a"],
    None,
    7,
    {"lease": 3},
    {"waiting": "x"},
    {"request": []},
    {"priority": "high"},
    {"queued_at": "now", "attempts": "many"},
    {"lease": {"token": 1}},
]


def test_a_malformed_conversion_is_converted_all_the_same(site: Site) -> None:
    stacks = [site.stack((2, 8, 8), seed) for seed in range(len(MALFORMED))]
    for (uuid, _), conversion in zip(stacks, MALFORMED, strict=True):
        site.queue(uuid, conversion=conversion)
    site.start("--drain").wait(60)
    for uuid, samples in stacks:
        assert site.find(uuid)["status"] == DONE
        np.testing.assert_array_equal(site.read(uuid), samples)


def test_bad_documents_fail_each_with_its_code_and_the_queue_goes_on(site: Site) -> None:
    good, samples = site.stack()
    twin, _ = site.stack()
    empty = str(uuids.uuid4())
    (site.upload / empty).mkdir()
    garbage = str(uuids.uuid4())
    (site.upload / garbage).mkdir()
    (site.upload / garbage / "image.tif").write_bytes(b"II*\0 this is no TIFF at all" * 10)
    pipe = str(uuids.uuid4())
    (site.upload / pipe).mkdir()
    os.mkfifo(site.upload / pipe / "slice_0.tif")
    link = str(uuids.uuid4())
    (site.upload / link).mkdir()
    (site.upload / link / "slice_0.tif").symlink_to("/etc/passwd")
    expected: dict[Any, str] = {
        "..": "UnusableUuid",
        "/etc": "UnusableUuid",
        "": "MissingUuid",
        5: "UnusableUuid",
        str(uuids.uuid4()): "SourceNotFound",
        empty: "SourceEmpty",
        garbage: "CorruptSource",
        pipe: "SpecialFile",
        link: "UnsafeLink",
    }
    documents = [{"uuid": name, "status": QUEUED} for name in expected]
    documents += [{"status": QUEUED, "name": "no uuid"}]
    documents += [{"uuid": twin, "status": QUEUED}, {"uuid": twin, "status": QUEUED}]
    remote = {"uuid": "remote", "status": QUEUED, "google_drive_link": "http://server/mod_visus"}
    site.datasets.insert_many([*documents, remote, {"uuid": good, "status": QUEUED}])
    site.start("--drain").wait(120)
    codes = {
        (document.get("uuid"), document["status"]): document["conversion"]
        .get("error", {})
        .get("code")
        for document in site.datasets.find()
    }
    assert codes[(good, DONE)] is None
    np.testing.assert_array_equal(site.read(good), samples)
    for name, code in expected.items():
        assert codes[(name, FAILED)] == code
    assert codes[(None, FAILED)] == "MissingUuid"
    assert codes[(twin, FAILED)] == "DuplicateUuid"
    assert codes[("remote", FAILED)] == "RemoteDataset"
    failed = site.find(garbage)
    assert "image.tif" in failed["conversion_last_error"]
    assert "Traceback" not in failed["conversion_last_error"]


def test_two_services_convert_everything_exactly_once(site: Site) -> None:
    stacks = dict(site.stack((4, 32, 32), seed) for seed in range(40))
    site.queue(*stacks)
    for service in [site.start("--drain"), site.start("--drain")]:
        service.wait(120)
    lines = (site.log(0) + site.log(1)).splitlines()
    for uuid, samples in stacks.items():
        assert sum(f"Processing conversion for dataset {uuid}..." in line for line in lines) == 1
        assert site.find(uuid)["status"] == DONE
        np.testing.assert_array_equal(site.read(uuid), samples)


def paused_child(site: Site, service: Any, uuid: str) -> psutil.Process:
    """Wait until `uuid` is being converted, and stop its process there."""
    found: list[psutil.Process] = []

    def there() -> bool:
        children = processes_of(service)[2:]
        staged = list((site.converted / ".staging").glob(f"{uuid}.*/conversion.log"))
        found[:] = [child for child in children if staged]
        return bool(found)

    until(there, 30, site.logs)
    found[0].suspend()
    return found[0]


def test_killing_a_service_leaves_its_dataset_to_another(site: Site) -> None:
    uuid, samples = site.stack((64, 512, 512), compression="lzw")
    site.queue(uuid)
    first = site.start()
    child = paused_child(site, first, uuid)
    assert site.find(uuid)["status"] == CONVERTING
    gone = processes_of(first)
    first.kill()
    first.wait()
    psutil.wait_procs(gone, 5)
    assert not child.is_running()
    assert not (site.converted / uuid / "visus.idx").exists()
    site.start()
    site.wait(uuid, DONE, seconds=30)
    np.testing.assert_array_equal(site.read(uuid), samples)
    assert site.find(uuid)["conversion_retry_count"] == 0


def test_a_stopped_service_gives_back_what_it_holds(site: Site) -> None:
    uuid, _ = site.stack((64, 512, 512), compression="lzw")
    site.queue(uuid)
    service = site.start()
    child = paused_child(site, service, uuid)
    family = processes_of(service)
    service.terminate()
    child.resume()
    assert service.wait(10) == 0
    assert not psutil.wait_procs(family, 1)[1]
    document = site.find(uuid)
    assert document["status"] == QUEUED
    assert document["conversion_retry_count"] == 0
    assert "lease" not in document["conversion"]
    assert list((site.converted / ".staging").glob(f"{uuid}*")) == []
    assert not (site.converted / uuid / "visus").exists()


def test_a_warm_process_that_hangs_at_its_start_does_not_keep_the_service_from_stopping(
    site: Site,
) -> None:
    service = site.start()
    until(lambda: len(processes_of(service)) == 2, 30, site.logs)
    warm = processes_of(service)[1]
    warm.suspend()
    service.terminate()
    assert service.wait(10) == 0
    assert not psutil.wait_procs([warm], 2)[1]


def test_a_warm_process_that_was_killed_is_there_again_before_it_is_needed(site: Site) -> None:
    port = free_port()
    service = site.start(METRICS_PORT=str(port))

    def is_ready() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        return False

    until(is_ready, 30, site.logs)
    processes_of(service)[1].kill()
    until(lambda: not is_ready(), 5, site.logs)
    until(is_ready, 20, site.logs)
    assert len(processes_of(service)) == 2


def test_a_child_that_hangs_does_not_keep_the_service_from_stopping(site: Site) -> None:
    uuid, _ = site.stack((64, 512, 512), compression="lzw")
    site.queue(uuid)
    service = site.start()
    paused_child(site, service, uuid)
    family = processes_of(service)
    service.terminate()
    assert service.wait(10) == 0
    assert not psutil.wait_procs(family, 1)[1]
    assert site.find(uuid)["status"] == QUEUED


def test_a_crash_of_the_child_counts_as_an_attempt(site: Site) -> None:
    uuid, samples = site.stack((64, 512, 512), compression="lzw")
    site.queue(uuid)
    service = site.start()
    paused_child(site, service, uuid).send_signal(signal.SIGSEGV)
    for child in processes_of(service)[2:]:
        child.resume()
    document = site.wait(uuid, DONE)
    assert document["conversion_retry_count"] == 1
    np.testing.assert_array_equal(site.read(uuid), samples)


def test_a_service_that_wakes_up_late_publishes_nothing(site: Site) -> None:
    uuid, _ = site.stack((64, 512, 512), compression="lzw")
    site.queue(uuid)
    late = site.start()
    paused_child(site, late, uuid)
    family = processes_of(late)
    for process in family:
        process.suspend()
    for page in (site.upload / uuid).iterdir():
        page.unlink()
    (site.upload / uuid).rmdir()
    _, newer = site.stack((16, 64, 64), seed=9, uuid=uuid)
    site.start()
    site.wait(uuid, DONE, seconds=30)
    header = (site.converted / uuid / "visus.idx").read_bytes()
    for process in reversed(family):
        process.resume()
    until(lambda: "is lost" in site.log(0), 20, site.logs)
    until(lambda: len(processes_of(late)) == 2, 20, site.logs)
    assert (site.converted / uuid / "visus.idx").read_bytes() == header
    np.testing.assert_array_equal(site.read(uuid), newer)
    until(lambda: list((site.converted / ".staging").glob(f"{uuid}*")) == [], 10)


def test_cancelling_stops_the_conversion(site: Site) -> None:
    uuid, _ = site.stack((64, 512, 512), compression="lzw")
    site.queue(uuid)
    service = site.start()
    child = paused_child(site, service, uuid)
    site.datasets.update_one({"uuid": uuid}, {"$set": {"status": "cancelled"}})
    child.resume()
    until(lambda: len(processes_of(service)) == 2, 5, site.logs)
    assert site.find(uuid)["status"] == "cancelled"
    assert not (site.converted / uuid / "visus.idx").exists()


def test_converting_again_replaces_the_data_and_clears_the_old_error(site: Site) -> None:
    uuid, _ = site.stack((4, 32, 32))
    site.queue(uuid)
    site.start()
    site.wait(uuid, DONE)
    first = site.converted / uuid / "visus.idx"
    before = first.read_bytes()
    for page in (site.upload / uuid).iterdir():
        page.unlink()
    site.datasets.update_one({"uuid": uuid}, {"$set": {"status": QUEUED}})
    failed = site.wait(uuid, FAILED)
    assert failed["conversion"]["error"]["code"] == "SourceEmpty"
    assert first.read_bytes() == before
    (site.upload / uuid).rmdir()
    _, newer = site.stack((4, 32, 32), seed=5, uuid=uuid)
    site.datasets.update_one({"uuid": uuid}, {"$set": {"status": QUEUED}})
    document = site.wait(uuid, DONE)
    assert not document.get("conversion_last_error")
    np.testing.assert_array_equal(site.read(uuid), newer)


def test_the_upload_is_left_as_it_was(site: Site) -> None:
    uuid, _ = site.stack()
    folder = site.upload / uuid
    before = {path.name: (path.stat(), path.read_bytes()) for path in folder.iterdir()}
    site.queue(uuid)
    site.start("--drain").wait(60)
    assert site.find(uuid)["status"] == DONE
    after = {path.name: (path.stat(), path.read_bytes()) for path in folder.iterdir()}
    assert before.keys() == after.keys()
    for name, (stat, content) in before.items():
        assert (stat.st_mode, stat.st_mtime_ns) == (
            after[name][0].st_mode,
            after[name][0].st_mtime_ns,
        )
        assert content == after[name][1]


def test_without_a_replica_set_it_polls(site: Site, standalone_url: str) -> None:
    elsewhere = Site(site.root, standalone_url, site.database)
    try:
        elsewhere.start()
        until(lambda: "Starting SC_BackgroundService" in elsewhere.log(), 20)
        uuid, samples = elsewhere.stack()
        elsewhere.queue(uuid)
        elsewhere.wait(uuid, DONE, seconds=20)
        np.testing.assert_array_equal(elsewhere.read(uuid), samples)
    finally:
        elsewhere.close()


def test_deleting_the_document_stops_the_conversion_and_leaves_no_files(site: Site) -> None:
    uuid, _ = site.stack((64, 512, 512), compression="lzw")
    site.queue(uuid)
    service = site.start()
    child = paused_child(site, service, uuid)
    site.datasets.delete_one({"uuid": uuid})
    child.resume()
    until(lambda: len(processes_of(service)) == 2, 5, site.logs)
    until(lambda: not (site.converted / uuid).exists(), 5, site.logs)
    assert len(list((site.upload / uuid).iterdir())) == 64


def test_asking_again_while_it_converts_starts_afresh(site: Site) -> None:
    uuid, samples = site.stack((64, 512, 512), compression="lzw")
    site.queue(uuid)
    service = site.start()
    child = paused_child(site, service, uuid)
    first = site.find(uuid)["conversion"]["request"]["id"]
    site.datasets.update_one({"uuid": uuid}, {"$set": {"status": QUEUED}})
    child.resume()
    site.wait(uuid, CONVERTING, seconds=10)
    document = site.wait(uuid, DONE)
    assert document["conversion"]["request"]["id"] != first
    np.testing.assert_array_equal(site.read(uuid), samples)
