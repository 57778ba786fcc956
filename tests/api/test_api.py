"""The API as operators run it: its own process, a real MongoDB, requests over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from scientistcloud.database.connection import connect
from scientistcloud.database.embedded import EmbeddedMongo
from scientistcloud.settings import VARIABLES

WAIT_SECONDS = 20.0


@dataclass
class Api:
    """A running API."""

    process: subprocess.Popen[bytes]
    http: httpx.Client
    log: Path

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()


def _wait(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.05)


def _answers(http: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return http.get("/health").status_code == 200
    return False


@contextlib.contextmanager
def _serving(folder: Path, **variables: str) -> Iterator[Api]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES.values()}
    log = folder / "api.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "scientistcloud.api", "--port", str(port)],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**environment, **variables},
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            _wait(lambda: _answers(http) or process.poll() is not None, "the API")
            assert process.poll() is None, log.read_text()
            yield Api(process, http, log)
    finally:
        process.kill()
        process.wait(WAIT_SECONDS)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, mongo_url: str) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    with _serving(folder, MONGO_URL=mongo_url, DB_NAME=f"api_{os.getpid()}") as running:
        _wait(lambda: running.http.get("/health").json()["status"] == "healthy", "MongoDB")
        yield running


@pytest.fixture
def database(mongo_url: str) -> Iterator[Database[dict[str, Any]]]:
    """The API's own database, empty before each test."""
    client = connect(mongo_url)
    own = client[f"api_{os.getpid()}"]
    # Dropping it would end the API's change stream.
    own["visstoredatas"].delete_many({})
    yield own
    own["visstoredatas"].delete_many({})
    client.close()


def _insert(database: Database[dict[str, Any]], **document: Any) -> None:
    database["visstoredatas"].insert_one(document)


def test_health_says_healthy(api: Api) -> None:
    answer = api.http.get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "healthy"
    assert body["timestamp"]
    assert body["database"] == "reachable"


UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize("identifier", [UUID, "4711", "my-first-scan", "Rock sample"])
def test_a_dataset_is_found_by_uuid_id_slug_and_name(
    api: Api, database: Database[dict[str, Any]], identifier: str
) -> None:
    _insert(
        database,
        uuid=UUID,
        id=4711,
        slug="my-first-scan",
        name="Rock sample",
        status="converting",
        progress=42.5,
        status_message="copying",
    )
    answer = api.http.get(f"/api/v1/datasets/{identifier}/status")
    assert answer.status_code == 200
    body = answer.json()
    del body["updated_at"]
    assert body == {
        "success": True,
        "dataset_uuid": UUID,
        "status": "converting",
        "progress": 42.5,
        "message": "copying",
        "position": None,
        "expected_start": None,
    }


def test_a_dataset_that_is_not_there_is_404(api: Api) -> None:
    for identifier in ("absent", UUID, "9" * 40, "123"):
        answer = api.http.get(f"/api/v1/datasets/{identifier}/status")
        assert answer.status_code == 404
        body = answer.json()
        assert body["success"] is False
        assert body["detail"] == body["message"]
        assert body["code"] == "DatasetNotFound"


@pytest.mark.parametrize(
    ("document", "progress", "message"),
    [
        ({"status": "done"}, 100.0, ""),
        ({"status": "conversion queued", "progress": "half"}, 0.0, ""),
        ({"status": "converting", "progress": 1e9, "status_message": 5}, 100.0, ""),
        ({"status": "converting", "progress": float("nan")}, 0.0, ""),
        (
            {"status": "conversion failed", "status_message": "x", "conversion_last_error": "Bad"},
            0.0,
            "Bad",
        ),
        ({"status": None, "progress": True, "updated_at": "yesterday"}, 0.0, ""),
    ],
)
def test_whatever_a_document_holds_is_answered(
    api: Api,
    database: Database[dict[str, Any]],
    document: dict[str, Any],
    progress: float,
    message: str,
) -> None:
    _insert(database, uuid="odd", **document)
    body = api.http.get("/api/v1/datasets/odd/status").json()
    assert (body["progress"], body["message"]) == (progress, message)


def test_a_queued_dataset_has_a_place_and_an_expected_start(
    api: Api, database: Database[dict[str, Any]]
) -> None:
    now = datetime.now(UTC)
    database["sclib_services"].insert_one({"_id": "s", "seen_at": now, "places": 1})
    _insert(
        database, uuid="d", status="done", completed_at=now, conversion={"result": {"seconds": 60}}
    )
    for number in range(2):
        place = {"priority": 0, "share": "user ann", "queued_at": now + timedelta(seconds=number)}
        _insert(database, uuid=f"q{number}", status="conversion queued", conversion=place)
    bodies = [api.http.get(f"/api/v1/datasets/q{n}/status").json() for n in range(2)]
    assert [body["position"] for body in bodies] == [1, 2]
    starts = [datetime.fromisoformat(body["expected_start"]) for body in bodies]
    assert starts[0] < now + timedelta(seconds=20) < starts[1]
    done = api.http.get("/api/v1/datasets/d/status").json()
    assert (done["position"], done["expected_start"]) == (None, None)


def test_statuses_come_in_pages(api: Api, database: Database[dict[str, Any]]) -> None:
    for number in range(5):
        _insert(database, uuid=f"d{number}", status="done" if number % 2 else "uploading")
    everything = api.http.get("/api/v1/datasets/statuses").json()
    assert everything["count"] == 5
    assert [each["dataset_uuid"] for each in everything["datasets"]] == [f"d{n}" for n in range(5)]
    page = api.http.get("/api/v1/datasets/statuses", params={"limit": 2, "offset": 3}).json()
    assert [each["dataset_uuid"] for each in page["datasets"]] == ["d3", "d4"]
    done = api.http.get("/api/v1/datasets/statuses", params={"status": "done"}).json()
    assert [each["dataset_uuid"] for each in done["datasets"]] == ["d1", "d3"]


def _found(api: Api, text: str) -> Callable[[], bool]:
    return lambda: any(text in line for line in api.lines())


def _change_statuses(api: Api, database: Database[dict[str, Any]]) -> None:
    # What operators type: docker logs sclib_fastapi | grep -i "background\|conversion\|processing"
    _wait(_found(api, "watching the statuses"), "the watch")
    _insert(database, uuid="seen\nhere", status="conversion queued")
    _wait(_found(api, "conversion: dataset seen\\nhere is conversion queued"), "the first status")
    for former, status in (("conversion queued", "converting"), ("converting", "done")):
        database["visstoredatas"].update_one({"uuid": "seen\nhere"}, {"$set": {"status": status}})
        text = f"conversion: dataset seen\\nhere is {status}, was {former}"
        _wait(_found(api, text), status)
    database["visstoredatas"].update_one({"uuid": "seen\nhere"}, {"$set": {"progress": 1}})


def test_each_status_change_is_one_line(api: Api, database: Database[dict[str, Any]]) -> None:
    _change_statuses(api, database)
    assert sum("seen\\nhere is" in line for line in api.lines()) == 3


def test_a_status_line_tells_which_attempt(
    tmp_path: Path, mongo_url: str, database: Database[dict[str, Any]]
) -> None:
    variables = {"MONGO_URL": mongo_url, "DB_NAME": database.name, "LOG_FORMAT": "json"}
    with _serving(tmp_path, **variables) as api:
        _wait(_found(api, "watching the statuses"), "the watch")
        lease = {"token": "0123456789abcdef"}
        _insert(database, uuid="a", status="converting", conversion={"attempts": 1, "lease": lease})
        _insert(database, uuid="b", status="done", user="who@example.org", conversion="garbage")
        _wait(_found(api, "dataset b is done"), "the lines")
        told = [json.loads(line) for line in api.lines() if '"dataset"' in line]
    keys = [(line["dataset"], line["attempt"], line["token"]) for line in told]
    assert keys == [("a", 2, "01234567"), ("b", 0, "")]
    assert "example.org" not in api.log.read_text()


def test_metrics_count_requests_by_route(api: Api) -> None:
    api.http.get("/api/v1/datasets/absent/status")
    api.http.get("/api/v1/datasets/other/status")
    api.http.get("/made/up")
    text = api.http.get("/metrics").text
    route = 'route="/api/v1/datasets/{identifier}/status"'
    counted = [line for line in text.splitlines() if "requests_total" in line and route in line]
    assert any('code="404"' in line and float(line.split()[-1]) >= 2 for line in counted)
    assert "absent" not in text
    assert "made" not in text
    assert "scientistcloud_api_database_up 1.0" in text
    assert "process_resident_memory_bytes" in text


def test_status_changes_are_seen_without_a_replica_set(tmp_path: Path, standalone_url: str) -> None:
    client = connect(standalone_url)
    name = f"api_{os.getpid()}"
    try:
        with _serving(tmp_path, MONGO_URL=standalone_url, DB_NAME=name) as api:
            _change_statuses(api, client[name])
            assert sum("seen\\nhere is" in line for line in api.lines()) == 3
    finally:
        client.drop_database(name)
        client.close()


def test_without_mongodb_it_starts_and_says_why(tmp_path: Path) -> None:
    url = "mongodb://u:hunter2@127.0.0.1:9/"
    with _serving(tmp_path, MONGO_URL=url, LOG_FORMAT="json") as api:
        _wait(lambda: "127.0.0.1:9" in api.http.get("/health").json()["database"], "the reason")
        started = time.monotonic()
        body = api.http.get("/health").json()
        assert time.monotonic() - started < 2
        assert body["status"] == "degraded"
        answer = api.http.get("/api/v1/datasets/x/status")
        assert answer.status_code == 503
        assert answer.json()["code"] == "DatabaseUnavailable"
        assert answer.json()["success"] is False
        log = api.log.read_text()
    assert "hunter2" not in f"{body} {answer.text} {log}"
    told = [json.loads(line) for line in log.splitlines()]
    assert any("127.0.0.1:9" in each["message"] for each in told)


def test_an_outage_is_told_once_and_waited_out(tmp_path: Path) -> None:
    server = EmbeddedMongo(tmp_path / "mongo")
    url = server.start()
    try:
        with _serving(tmp_path, MONGO_URL=url) as api:
            _wait(_found(api, "watching the statuses"), "the watch")
            server.stop()
            _wait(_found(api, "statuses cannot be watched"), "the outage")
            assert api.http.get("/health").json()["status"] == "degraded"
            assert server.start() == url
            _wait(lambda: api.http.get("/health").json()["status"] == "healthy", "the return")
            with connect(url) as client:
                _insert(client["scientistcloud"], uuid="late", status="conversion queued")
            _wait(_found(api, "dataset late is conversion queued"), "the status")
            assert sum("cannot be watched" in line for line in api.lines()) == 1
    finally:
        server.stop()


def test_without_a_mongo_url_it_names_the_variable(tmp_path: Path) -> None:
    with _serving(tmp_path) as api:
        _wait(lambda: "MONGO_URL" in api.http.get("/health").json()["database"], "the reason")
        assert api.http.get("/health").json()["status"] == "degraded"
        assert api.http.get("/api/v1/datasets/x/status").status_code == 503


def test_a_bad_setting_stops_it_at_the_start() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "scientistcloud.api"],
        env={**os.environ, "METRICS_PORT": "many"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "METRICS_PORT = 'many'" in result.stderr


def test_sigterm_ends_it(tmp_path: Path, mongo_url: str) -> None:
    with _serving(tmp_path, MONGO_URL=mongo_url) as api:
        api.process.send_signal(signal.SIGTERM)
        assert api.process.wait(10) in (0, -signal.SIGTERM)
