"""Datasets over ``/api/v2`` and as the portal asks for them."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from typing import Any

import httpx
import pytest

from tests.api.serving import FRIEND, OWNER, STRANGER, Server, bearer
from tests.site import until

OWN = bearer(OWNER)


def test_lists_come_newest_first_a_page_at_a_time(server: Server) -> None:
    made = [server.create(OWN, name=f"paged {index}") for index in range(7)]
    seen: list[str] = []
    query: dict[str, Any] = {"q": "paged", "limit": 3}
    while True:
        page = server.http.get("/api/v2/datasets", params=query, headers=OWN).json()
        seen += [each["uuid"] for each in page["datasets"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == made[::-1]
    bad = server.http.get("/api/v2/datasets?cursor=xx", headers=OWN)
    assert (bad.status_code, bad.json()["code"]) == (400, "BadRequest")


def test_the_same_key_makes_one_dataset(server: Server) -> None:
    headers = OWN | {"idempotency-key": "once"}
    first, second = server.create(headers), server.create(headers)
    assert first == second
    assert server.create(bearer(STRANGER) | {"idempotency-key": "once"}) != first


def test_changes_need_what_was_seen_last(server: Server) -> None:
    uuid = server.create(OWN)
    place = f"/api/v2/datasets/{uuid}"
    etag = server.http.get(place, headers=OWN).headers["etag"]
    changed = server.http.patch(place, json={"name": "new"}, headers=OWN | {"if-match": etag})
    assert changed.json()["name"] == "new"
    late = server.http.patch(place, json={"name": "late"}, headers=OWN | {"if-match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "Changed")
    unknown = server.http.patch(place, json={"status": "done"}, headers=OWN)
    assert unknown.status_code == 422
    assert server.http.get(place, headers=OWN).json()["name"] == "new"


def test_what_was_deleted_can_be_brought_back(server: Server) -> None:
    uuid = server.create(OWN, name="precious")
    place = f"/api/v2/datasets/{uuid}"
    gone = server.http.delete(place, headers=OWN).json()
    assert gone["gone_at"] > gone["deleted_at"]
    assert server.http.get(place, headers=OWN).status_code == 404
    assert server.http.post(f"{place}/restore", headers=bearer(STRANGER)).status_code == 404
    assert server.http.post(f"{place}/restore", headers=OWN).json()["name"] == "precious"
    assert server.http.get(place, headers=OWN).status_code == 200


def test_a_failure_says_what_to_do_and_is_tried_again_with_other_choices(server: Server) -> None:
    uuid = server.create(OWN, files=1)
    form = [("files", ("a.txt", b"no data at all"))]
    server.http.post(f"/api/v2/datasets/{uuid}/files", files=form, headers=OWN)
    server.wait(uuid, "conversion failed")
    shown = server.http.get(f"/api/v2/datasets/{uuid}", headers=OWN).json()
    assert (shown["stage"], shown["error"]["code"]) == ("failed", "UnrecognizedFormat")
    assert shown["error"]["remedy"]
    body = {"parameters": {"format": "raw"}, "sensor": "OTHER"}
    again = server.http.post(f"/api/v2/datasets/{uuid}/retry", json=body, headers=OWN)
    assert again.json()["parameters"] == {"format": "raw"}
    assert again.json()["error"] is None
    server.wait(uuid, "conversion failed")


def test_sharing_means_one_thing_everywhere(server: Server) -> None:
    uuid = server.create(OWN, name="shared")
    friend = bearer(FRIEND)
    assert server.http.get(f"/api/v2/datasets/{uuid}", headers=friend).status_code == 404
    body = {"dataset_uuid": uuid, "user_email": FRIEND}
    shared = server.http.post("/api/v1/share/user", json=body, headers=OWN).json()
    assert shared["success"] is True
    for path in (f"/api/v2/datasets/{uuid}", f"/api/v1/datasets/{uuid}",
                 f"/api/v1/datasets/{uuid}/status", f"/api/v1/datasets/{uuid}/files"):  # fmt: skip
        assert server.http.get(path, headers=friend).status_code == 200, path
    mine = server.http.get("/api/v1/datasets/by-user", headers=friend).json()
    assert [each["uuid"] for each in mine["datasets"]["shared"]] == [uuid]
    assert server.http.post("/api/v1/share/user", json=body, headers=OWN).status_code == 400
    ended = server.http.delete(f"/api/v2/datasets/{uuid}/shares?email={FRIEND}", headers=OWN)
    assert ended.status_code == 200
    assert server.http.get(f"/api/v2/datasets/{uuid}", headers=friend).status_code == 404


def test_teams_as_the_portal_keeps_them(server: Server) -> None:
    made = server.http.post(
        "/api/v1/teams", json={"team_name": "Lab", "emails": []}, headers=OWN
    ).json()
    assert made["success"] is True
    uuid = made["team"]["uuid"]
    body = {"emails": [OWNER, FRIEND]}
    changed = server.http.put(f"/api/v1/teams/{uuid}", json=body, headers=OWN).json()
    assert FRIEND in changed["team"]["emails"]
    found = server.http.get("/api/v1/teams/by-user", headers=bearer(FRIEND)).json()
    assert [(each["team_name"], each["is_owner"]) for each in found["teams"]] == [("Lab", False)]
    refused = server.http.put(f"/api/v1/teams/{uuid}", json=body, headers=bearer(FRIEND))
    assert refused.status_code == 403
    assert isinstance(refused.json()["detail"], str)
    assert server.http.delete(f"/api/v1/teams/{uuid}", headers=OWN).json()["success"] is True


def test_the_portals_edit_and_retry(server: Server) -> None:
    uuid = server.create(OWN)
    place = f"/api/v1/datasets/{uuid}"
    body = {"name": "edited", "tags": "x,y", "google_drive_link": "https://a.example/b"}
    edited = server.http.put(place, json=body, headers=OWN).json()
    assert set(edited["updated_fields"]) == set(body)
    assert edited["dataset"]["tags"] == ["x", "y"]
    busy = server.http.post(f"{place}/convert", json={}, headers=OWN)
    assert busy.status_code == 409  # its files are still to come
    server.datasets.update_one({"uuid": uuid}, {"$set": {"status": "conversion failed"}})
    queued = server.http.post(f"{place}/convert", json={}, headers=OWN).json()
    assert (queued["success"], queued["status"]) == (True, "conversion queued")
    wrong = server.http.patch(f"{place}/settings/status?setting_value=done", headers=OWN)
    assert wrong.status_code == 400
    assert server.http.delete(place, headers=OWN).json()["success"] is True


def test_secrets_of_other_stores_are_never_given_out(server: Server) -> None:
    uuid = server.create(OWN)
    keys = {"accesskey": "AKIA-secret", "secretkey": "very-secret"}
    server.datasets.update_one({"uuid": uuid}, {"$set": keys})
    for path in (f"/api/v1/datasets/{uuid}", "/api/v1/datasets", "/api/v1/datasets/by-user"):
        assert "secret" not in server.http.get(path, headers=OWN).text, path


def test_a_zip_is_made_while_it_is_sent(server: Server) -> None:
    uuid = server.create(OWN, convert=False)
    form = [("files", (f"d/{index}.bin", bytes([index]) * 1000)) for index in range(5)]
    server.http.post(f"/api/v2/datasets/{uuid}/files", files=form, headers=OWN)
    for path in (f"/api/v2/datasets/{uuid}/zip",
                 f"/api/v1/datasets/{uuid}/download-zip?directory=upload"):  # fmt: skip
        answer = server.http.get(path, headers=OWN)
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            assert archive.read("d/3.bin") == b"\3" * 1000
    part = server.http.get(
        f"/api/v2/datasets/{uuid}/files/upload/d/3.bin", headers=OWN | {"range": "bytes=10-19"}
    )
    assert (part.status_code, part.content) == (206, b"\3" * 10)


def _listen(server: Server, found: list[tuple[str, dict[str, Any]]], last_id: str = "") -> Any:
    def run() -> None:
        headers = OWN | ({"last-event-id": last_id} if last_id else {})
        event_id = ""
        try:
            with httpx.stream(
                "GET", f"{server.address}/api/v2/events", headers=headers, timeout=30
            ) as answer:
                for line in answer.iter_lines():
                    if line.startswith("id: "):
                        event_id = line[4:]
                    if line.startswith("data: "):
                        found.append((event_id, json.loads(line[6:])))
        except httpx.TransportError:
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_events_go_on_where_a_listener_stopped(server: Server) -> None:
    first: list[tuple[str, dict[str, Any]]] = []
    _listen(server, first)
    time.sleep(0.5)
    uuid = server.create(OWN, name="watched")
    until(lambda: any(each["uuid"] == uuid for _, each in first), 10)
    last_id = next(name for name, each in first if each["uuid"] == uuid)
    for index in range(3):
        server.datasets.update_one({"uuid": uuid}, {"$set": {"status_message": f"step {index}"}})
    hidden = server.create(bearer(STRANGER))
    until(lambda: sum(each["uuid"] == uuid for _, each in first) >= 4, 10)
    second: list[tuple[str, dict[str, Any]]] = []
    _listen(server, second, last_id)
    until(lambda: len([1 for _, each in second if each["uuid"] == uuid]) >= 3, 10)
    steps = [each["message"] for _, each in second if each["uuid"] == uuid]
    assert steps == ["step 0", "step 1", "step 2"]
    assert all(each["uuid"] != hidden for _, each in first + second)


def test_nobody_signs_in_by_a_name_alone(server: Server) -> None:
    answer = server.http.post("/api/auth/login", json={"email": OWNER, "password": "x"})
    assert answer.status_code == 401
    named = server.http.get(f"/api/v1/datasets/by-user?user_email={OWNER}")
    assert named.status_code == 401
    assert server.http.get("/api/auth/status").json()["is_authenticated"] is False
    assert server.http.get("/api/auth/me", headers=OWN).json()["email"] == OWNER


@pytest.mark.parametrize(
    "body", [{"$where": "1"}, {"name": {"$gt": ""}}, {"name": "x", "files": 10**30}, [], "x"]
)
def test_bodies_that_are_none_are_refused(server: Server, body: Any) -> None:
    answer = server.http.post("/api/v2/datasets", json=body, headers=OWN)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_a_page_of_another_site_can_change_nothing(local: Server) -> None:
    body = {"name": "x"}
    for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}):
        answer = local.http.post("/api/v2/datasets", json=body, headers=headers)
        assert answer.status_code == 403, headers
    assert local.http.get("/api/v2/datasets", headers={"host": "evil.example"}).status_code == 403
