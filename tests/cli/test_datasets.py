"""``submit``, ``status``, ``retry``, ``cancel`` and ``doctor`` on a real MongoDB."""

from __future__ import annotations

import json
import os
import signal
import uuid as uuids
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Commands, eventually


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    folder = tmp_path / "scan"
    (folder / "inner").mkdir(parents=True)
    for number in (1, 2, 10):
        np.save(folder / f"part_{number}.npy", np.full((4, 5), number, np.uint8))
    (folder / "inner" / "notes.txt").write_text("notes")
    return folder


@pytest.fixture
def datasets(database: Any) -> Any:
    return database["visstoredatas"]


def uploads(server: dict[str, str]) -> Path:
    return Path(server["VISUS_DATASETS"]) / "upload"


def queued(datasets: Any, **fields: Any) -> str:
    uuid = str(uuids.uuid4())
    datasets.insert_one({"uuid": uuid, "status": "conversion queued", **fields})
    return uuid


def test_submit_stages_the_files_and_queues_the_dataset(
    commands: Commands, server: dict[str, str], datasets: Any, scan: Path
) -> None:
    words = ["--name", "Bone", "--sensor", "TIFF", "--user", "ada@example.org"]
    done = commands.run(
        "submit", scan, *words, "--param", "a=1", "--param", "b=x y", "--json", env=server
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == "conversion queued"
    document = datasets.find_one({"uuid": told["uuid"]})
    assert document["status"] == "conversion queued"
    assert (document["name"], document["sensor"]) == ("Bone", "TIFF")
    assert document["user"] == "ada@example.org"
    assert document["conversion_parameters"] == {"a": 1, "b": "x y"}
    assert isinstance(document["conversion"]["queued_at"], datetime)
    assert document["created_at"] <= document["updated_at"]
    folder = uploads(server) / told["uuid"]
    copied = {each.relative_to(folder) for each in folder.rglob("*") if each.is_file()}
    assert copied == {each.relative_to(scan) for each in scan.rglob("*") if each.is_file()}
    for name in copied:
        assert (folder / name).read_bytes() == (scan / name).read_bytes()
        assert (folder / name).stat().st_ino != (scan / name).stat().st_ino
    assert list(uploads(server).iterdir()) == [folder]


def test_submit_prints_the_uuid_alone(
    commands: Commands, server: dict[str, str], scan: Path
) -> None:
    done = commands.run("submit", scan / "part_1.npy", "--uuid", "my.own-1", env=server)
    assert (done.returncode, done.stdout) == (0, "my.own-1\n")
    assert (uploads(server) / "my.own-1" / "part_1.npy").is_file()


def test_hard_links_share_the_file_and_say_so(
    commands: Commands, server: dict[str, str], scan: Path
) -> None:
    done = commands.run("submit", scan, "--link", "--uuid", "linked", env=server)
    assert done.returncode == 0, done.stderr
    assert "shares its files" in done.stderr
    link = uploads(server) / "linked" / "part_1.npy"
    assert link.samefile(scan / "part_1.npy")


@pytest.mark.parametrize(
    ("prepare", "words", "status", "code"),
    [
        ("", ["nothing"], 1, "SourceNotFound"),
        ("mkdir empty", ["empty"], 1, "SourceEmpty"),
        ("mkdir out && ln -s /etc/passwd out/link", ["out"], 1, "UnsafeLink"),
        ("mkdir out && ln -s /etc out/link", ["out"], 1, "UnsafeLink"),
        ("mkdir out && mkfifo out/pipe", ["out"], 1, "SpecialFile"),
        ("", ["scan", "--uuid", "../x"], 2, "UnusableUuid"),
        ("mkdir datasets/upload/taken", ["scan", "--uuid", "taken"], 2, "DuplicateUuid"),
    ],
)
def test_what_cannot_be_submitted_leaves_nothing(
    commands: Commands,
    server: dict[str, str],
    datasets: Any,
    scan: Path,
    prepare: str,
    words: list[str],
    status: int,
    code: str,
) -> None:
    assert os.system(f"cd {commands.folder} && {prepare or 'true'}") == 0
    before = list(uploads(server).iterdir())
    done = commands.run("submit", *words, "--json", env=server)
    assert done.returncode == status, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == code
    assert "Traceback" not in done.stderr
    assert list(uploads(server).iterdir()) == before
    assert datasets.count_documents({}) == 0


def test_a_uuid_is_taken_once(
    commands: Commands, server: dict[str, str], datasets: Any, scan: Path
) -> None:
    datasets.insert_one({"uuid": "u1", "status": "done"})
    done = commands.run("submit", scan, "--uuid", "u1", env=server)
    assert done.returncode == 2, done.stderr
    assert "DuplicateUuid" in done.stderr
    assert datasets.count_documents({}) == 1
    assert list(uploads(server).iterdir()) == []


def test_ctrl_c_while_copying_leaves_nothing(
    commands: Commands, server: dict[str, str], datasets: Any, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.mkdir()
    with (large / "zeros.raw").open("wb") as file:
        file.truncate(200 << 30)  # a sparse file: endless to copy, nothing to store here
    process = commands.start("submit", large, "--uuid", "u2", env=server)
    staged = eventually(lambda: list(uploads(server).glob(".staging.u2.*/zeros.raw")))
    eventually(lambda: staged[0].stat().st_size > 0)
    assert datasets.find_one({"uuid": "u2"})["status"] == "uploading"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert list(uploads(server).iterdir()) == []
    assert datasets.count_documents({}) == 0


def test_status_lists_what_is_running_first_then_the_queue(
    commands: Commands, server: dict[str, str], datasets: Any
) -> None:
    now = datetime.now(UTC)
    times = [now - timedelta(minutes=minutes) for minutes in (9, 8, 7)]
    done = queued(datasets, updated_at=times[0])
    datasets.update_one({"uuid": done}, {"$set": {"status": "done", "dimensions": "3x4x5"}})
    late = queued(datasets, conversion={"priority": 0, "share": "nobody", "queued_at": times[2]})
    early = queued(datasets, conversion={"priority": 0, "share": "nobody", "queued_at": times[1]})
    first = queued(datasets, conversion={"priority": 5, "share": "nobody", "queued_at": times[2]})
    unseen = queued(datasets)
    running = str(uuids.uuid4())
    datasets.insert_one(
        {"uuid": running, "status": "converting", "progress": 42.0, "conversion": {}}
    )
    error = {"code": "CorruptSource", "message": "x.tif is cut.", "remedy": "Upload it again."}
    broken = str(uuids.uuid4())
    datasets.insert_one(
        {"uuid": broken, "status": "conversion failed", "conversion": {"error": error}}
    )
    view = commands.run("status", "--json", env=server)
    assert view.returncode == 0, view.stderr
    told = json.loads(view.stdout)
    assert told["counts"] == {
        "conversion failed": 1,
        "conversion queued": 4,
        "converting": 1,
        "done": 1,
    }
    assert told["services"] == 0
    order = [each["uuid"] for each in told["datasets"]]
    assert order[0] == running
    assert order[1:4] == [first, early, late]
    assert set(order[4:]) == {unseen, done, broken}
    places = {each["uuid"]: each["position"] for each in told["datasets"]}
    assert [places[each] for each in (first, early, late, unseen)] == [1, 2, 3, 4]
    assert places[running] is places[done] is None
    shown = commands.run("status", env=server).stdout
    for said in ("4 conversion queued", "42 %", "number 3 in the queue", "x.tif is cut.", "3x4x5"):
        assert said in shown
    assert "No service is running" in shown
    one = commands.run("status", broken, env=server).stdout
    assert "CorruptSource: x.tif is cut." in one
    assert "Upload it again." in one


def test_status_tells_why_a_dataset_waits(
    commands: Commands, server: dict[str, str], datasets: Any
) -> None:
    due = datetime.now(UTC) + timedelta(minutes=5)
    waiting = {"token": "t", "not_before": due, "attempts": 1}
    uuid = queued(
        datasets,
        conversion_last_error="The disk is full.",
        conversion={"priority": 0, "share": "nobody", "queued_at": due, "waiting": waiting},
    )
    told = json.loads(commands.run("status", uuid, "--json", env=server).stdout)
    assert told["position"] == 1
    assert "The disk is full." in told["waiting"]
    assert commands.run("status", "unknown", env=server).returncode == 1


def test_status_tells_place_expected_start_and_limit(
    commands: Commands, server: dict[str, str], datasets: Any
) -> None:
    """A service of two places, both taken by Ann, who may have no more; conversions take 60 s."""
    now = datetime.now(UTC)
    facts = {"places": 2, "limit_per_user": 2, "running": 2, "started_at": now}
    datasets.database.sclib_services.insert_one({"_id": "s", "seen_at": now} | facts)
    for _ in range(2):
        lease = {"token": "t", "owner": "s", "expires_at": now + timedelta(hours=1)}
        conversion = {"share": "user ann", "lease": lease}
        datasets.insert_one({"status": "converting", "conversion": conversion})
    for seconds in (30.0, 90.0, "many"):
        result = {"result": {"seconds": seconds}}
        datasets.insert_one({"status": "done", "completed_at": now, "conversion": result})
    place = {"priority": 0, "queued_at": now}
    ann = queued(datasets, conversion=place | {"share": "user ann"})
    later = place | {"share": "user bob", "queued_at": now + timedelta(seconds=1)}
    bob = queued(datasets, conversion=later)
    views = {}
    for uuid in (ann, bob):
        views[uuid] = json.loads(commands.run("status", uuid, "--json", env=server).stdout)
    assert [views[each]["position"] for each in (ann, bob)] == [2, 1]
    assert "MAX_CONVERTING_PER_USER" in views[ann]["waiting"]
    assert "MAX_CONVERTING_PER_USER" not in views[bob]["waiting"]
    waits = {
        uuid: (datetime.fromisoformat(view["expected_start"]) - now).total_seconds()
        for uuid, view in views.items()
    }
    assert 15 <= waits[bob] < 35  # half a conversion, at two places
    assert waits[ann] > waits[bob]
    shown = commands.run("status", ann, env=server).stdout
    assert "Expected start:  in about" in shown
    datasets.delete_many({"status": "done"})
    assert "Expected start:  unknown" in commands.run("status", ann, env=server).stdout


def test_malformed_documents_are_shown_too(
    commands: Commands, server: dict[str, str], datasets: Any
) -> None:
    for value in ("text", [1], None, {"error": 3, "lease": "x", "waiting": 1, "queued_at": "now"}):
        datasets.insert_one({"uuid": value, "status": "conversion queued", "conversion": value})
    datasets.insert_one({"uuid": 7, "status": 3, "progress": "x", "data_size": "big", "name": {}})
    for words in (["status"], ["status", "--json"], ["doctor"], ["doctor", "--json"]):
        done = commands.run(*words, env=server)
        assert "Traceback" not in done.stderr
        assert "conversion queued" in done.stdout
        assert done.returncode == (1 if words[0] == "doctor" else 0)


def test_watch_goes_on_until_ctrl_c(
    commands: Commands, server: dict[str, str], datasets: Any
) -> None:
    uuid = queued(datasets)
    process = commands.start("status", uuid, "--watch", "--json", env=server)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["status"] == "conversion queued"
    datasets.update_one({"uuid": uuid}, {"$set": {"status": "done"}})
    eventually(lambda: json.loads(process.stdout.readline())["status"] == "done")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


def test_retry_and_cancel(commands: Commands, server: dict[str, str], datasets: Any) -> None:
    broken, other = queued(datasets), queued(datasets)
    datasets.update_many({}, {"$set": {"status": "conversion failed", "error_message": "x"}})
    done = commands.run("retry", "--failed", env=server)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("conversion queued") == 2
    assert "scientistcloud worker" in done.stderr
    assert datasets.count_documents({"status": "conversion queued", "error_message": None}) == 2
    cancelled = commands.run("cancel", broken, "--json", env=server)
    assert json.loads(cancelled.stdout) == {"datasets": [{"uuid": broken, "changed": True}]}
    assert datasets.find_one({"uuid": broken})["status"] == "cancelled"
    assert datasets.find_one({"uuid": other})["status"] == "conversion queued"
    assert commands.run("cancel", broken, env=server).returncode == 1
    assert commands.run("retry", "unknown", env=server).returncode == 1
    assert commands.run("retry", env=server).returncode == 2
    assert commands.run("retry", broken, "--failed", env=server).returncode == 2


def test_doctor_names_all_that_is_wrong(
    commands: Commands, server: dict[str, str], datasets: Any
) -> None:
    old = datetime.now(UTC) - timedelta(hours=1)
    waits = queued(datasets, conversion={"priority": 0, "queued_at": old})
    foreign = str(uuids.uuid4())
    datasets.insert_one({"uuid": foreign, "status": "converting", "updated_at": old})
    error = {"code": "CorruptSource", "message": "x.tif is cut.", "remedy": "Upload it again."}
    datasets.insert_one(
        {"uuid": "bad", "status": "conversion failed", "conversion": {"error": error}}
    )
    (Path(server["VISUS_DATASETS"]) / "converted").rmdir()
    for name in ("a-dataset", ".hidden"):
        (Path(server["VISUS_DATASETS"]) / "upload" / name).mkdir()
    done = commands.run("doctor", env=server)
    assert done.returncode == 1
    text = done.stdout
    for said in (
        "version 6.0",
        "replica set",
        "none is running",
        "1 conversion failed",
        waits,
        f"scientistcloud retry {foreign}",
        "CorruptSource: x.tif is cut.",
        "Upload it again.",
        "converted does not exist",
        "upload: 1 entry, readable",
        "(environment)",
        "(default)",
        " GB) ",
    ):
        assert said in text, said
    told = json.loads(commands.run("doctor", "--json", env=server).stdout)
    assert told["healthy"] is False
    levels = {(each["subject"], each["level"]) for each in told["findings"]}
    assert {("MongoDB", "OK"), ("services", "FAIL"), ("folders", "FAIL")} <= levels
    variables = {each["variable"]: each for each in told["settings"]}
    assert variables["DB_NAME"]["origin"] == "environment"
    assert variables["JOB_RETRY_DELAY_SECONDS"]["origin"] == "default"


def test_doctor_without_mongodb(commands: Commands, server: dict[str, str]) -> None:
    env = server | {"MONGO_URL": "mongodb://user:geheim@127.0.0.1:9/?serverSelectionTimeoutMS=500"}
    done = commands.run("doctor", env=env)
    assert done.returncode == 1
    assert "127.0.0.1:9 cannot be reached" in done.stdout
    assert "readable and writable" in done.stdout
    assert "geheim" not in done.stdout + done.stderr


@pytest.mark.parametrize("words", [["status"], ["retry", "u"], ["cancel", "u"], ["submit", "scan"]])
def test_without_mongodb_it_is_for_later(
    commands: Commands, server: dict[str, str], scan: Path, words: list[str]
) -> None:
    env = server | {"MONGO_URL": "mongodb://user:geheim@127.0.0.1:9/?serverSelectionTimeoutMS=500"}
    done = commands.run(*words, "--json", env=env)
    assert done.returncode == 75
    assert json.loads(done.stdout)["error"]["code"] == "DatabaseUnavailable"
    assert "geheim" not in done.stdout + done.stderr


def test_bad_settings_name_the_variable(commands: Commands, server: dict[str, str]) -> None:
    env = server | {"JOB_MAX_CONCURRENT": "many"}
    assert commands.run("doctor", env=env).returncode == 1
    assert "JOB_MAX_CONCURRENT = 'many'" in commands.run("doctor", env=env).stdout
    done = commands.run("worker", env=env)
    assert done.returncode == 2
    assert "JOB_MAX_CONCURRENT = 'many'" in done.stderr


def test_worker_asks_for_mongo_url(commands: Commands) -> None:
    done = commands.run("worker")
    assert done.returncode == 2
    assert "MONGO_URL is not set" in done.stderr
    assert "scientistcloud up" in done.stderr
