"""The table of rights, asked of every route: nobody gets more than it says, nor less."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from scientistcloud.access.action import OF_DATASETS, READING, Action
from scientistcloud.access.secrets import SecretStore
from scientistcloud.access.tokens import issue
from scientistcloud.api.app import ROUTERS, create_app
from scientistcloud.settings import load_settings
from tests.api.serving import ADMIN, FRIEND, MEMBER, OWNER, SECRET, STRANGER, bearer

UUID = "11111111-2222-4333-8444-555555555555"
SEE, VIEW, DOWNLOAD = Action.SEE, Action.VIEW, Action.DOWNLOAD
CHANGE, MANAGE, DELETE = Action.CHANGE, Action.MANAGE, Action.DELETE

PUBLIC = {
    "private": set(),
    "public": {SEE, VIEW},
    "downloadable": {SEE, VIEW, DOWNLOAD},
}
"""What everybody may, by the visibility of the dataset."""

PERSONS = {
    "nobody": set(),
    "stranger": set(),
    "link": {SEE, VIEW},
    "link with download": {SEE, VIEW, DOWNLOAD},
    "friend": {SEE, VIEW, DOWNLOAD},
    "member": {SEE, VIEW, DOWNLOAD, CHANGE},
    "owner": set(OF_DATASETS),
    "admin": set(OF_DATASETS),
    "read key of the owner": {SEE, VIEW, DOWNLOAD},
}
"""What these may besides, as the page of rights says."""

OF_ACTIONS = {
    Action.CREATE: {"stranger", "friend", "member", "owner", "admin"},
    Action.TEAMS: {"stranger", "friend", "member", "owner", "admin"},
    Action.OPERATE: {"admin"},
}
FORGED = ("expired", "no algorithm", "other audience", "other key", "refresh", "nonsense")
REFUSED = {"DatasetNotFound", "NotAllowed", "NotSignedIn"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, mongo_url: str) -> FastAPI:
    root = tmp_path_factory.mktemp("rights")
    values = {
        "mongo_url": mongo_url, "db_name": f"rights_{root.name[-6:]}", "visus_datasets": root,
        "auth": "token", "secret_key": SECRET, "admin_emails": (ADMIN,),
        "upload_keep_free_bytes": 0,
    }  # fmt: skip
    return create_app(load_settings(overrides=values))


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client
        context = app.state.context
        context.link.database().client.drop_database(context.settings.db_name)


@pytest.fixture(scope="module")
def proofs(app: FastAPI, client: TestClient) -> dict[str, dict[str, str]]:
    """What each of them sends."""
    context = app.state.context
    people = context.people
    with people.teams.guard() as teams:
        teams.insert_one(
            {"uuid": "team-1", "team_name": "T", "owner": "x@x.org", "emails": [MEMBER]}
        )
    with people.shared_user.guard() as shares:
        shares.insert_one({"uuid": UUID, "user": FRIEND.upper()})
    secrets = SecretStore(context.link.database())
    _, viewing = secrets.make_link(UUID, READING - {DOWNLOAD}, OWNER, None)
    _, loading = secrets.make_link(UUID, READING, OWNER, None)
    _, key = secrets.make_key(OWNER, "k", ("read",), None)
    return {
        "nobody": {},
        "stranger": bearer(STRANGER),
        "link": {"authorization": f"Bearer {viewing}"},
        "link with download": {"authorization": f"Bearer {loading}"},
        "friend": bearer(FRIEND),
        "member": bearer(MEMBER),
        "owner": bearer(OWNER),
        "admin": bearer(ADMIN),
        "read key of the owner": {"authorization": f"Bearer {key}"},
    }


def _routes(app: FastAPI) -> list[APIRoute]:
    routes = [route for router in ROUTERS for route in router.routes]
    return [route for route in routes if isinstance(route, APIRoute)]


def _action(route: APIRoute) -> Action | None:
    found = [getattr(each.call, "action", None) for each in route.dependant.dependencies]
    found.append(getattr(route.endpoint, "action", None))
    return next((each for each in found if each is not None), None)


def _put(app: FastAPI, visibility: str) -> None:
    document = {
        "_id": "fixed", "uuid": UUID, "name": "secret name", "user": OWNER, "status": "done",
        "team_uuid": "team-1", "file_count": 1,
        "is_public": visibility != "private",
        "is_public_downloadable": visibility == "downloadable",
    }  # fmt: skip
    context = app.state.context
    with context.datasets.guard() as datasets:
        datasets.replace_one({"_id": "fixed"}, document, upsert=True)
    folder = Path(context.settings.in_data_dir) / UUID
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.txt").write_text("secret content")


def _path(route: APIRoute) -> str:
    values = {"uuid": UUID, "identifier": UUID, "directory": "upload", "path": "a.txt",
              "name": "name", "link_id": "0"}  # fmt: skip
    path = route.path
    for name in route.param_convertors:
        path = path.replace(f"{{{name}}}", values.get(name, "x")).replace(
            f"{{{name}:path}}", "a.txt"
        )
    return path


def _ask(client: TestClient, route: APIRoute, headers: dict[str, str]) -> Any:
    method = sorted(route.methods - {"HEAD"} or route.methods)[0]
    body = {"json": {}} if method in ("POST", "PUT", "PATCH") else {}
    query = {"setting_value": "x", "directory": "upload", "file_path": "a.txt", "email": "a@b.org"}
    return client.request(method, _path(route), headers=headers, params=query, **body)


def test_every_route_names_its_action(app: FastAPI) -> None:
    assert len(_routes(app)) > 80
    without = [route.path for route in _routes(app) if _action(route) is None]
    assert without == ["/health"], "a route without a row in the table of rights"


@pytest.mark.parametrize("visibility", PUBLIC)
def test_each_route_on_a_dataset(
    app: FastAPI, client: TestClient, proofs: dict[str, dict[str, str]], visibility: str
) -> None:
    routes = [
        each
        for each in _routes(app)
        if _action(each) in OF_DATASETS and "events" not in each.path and "token" not in each.path
    ]
    assert len(routes) > 35
    for route, (person, own) in itertools.product(routes, PERSONS.items()):
        action = _action(route)
        assert action is not None
        allowed = own | PUBLIC[visibility]
        _put(app, visibility)
        answer = _ask(client, route, proofs[person])
        told = f"{person} {route.path} {visibility}: {answer.status_code} {answer.text[:200]}"
        if action in allowed:
            assert answer.status_code not in (401, 403), told
            assert "DatasetNotFound" not in answer.text, told
            continue
        assert answer.status_code in ((401, 403) if SEE in allowed else (404,)), told
        assert not answer.text or answer.json()["code"] in REFUSED, told
        assert "secret" not in answer.text, told


@pytest.mark.parametrize("kind", FORGED)
def test_tokens_that_are_not_genuine_open_nothing(
    app: FastAPI, client: TestClient, kind: str
) -> None:
    claims = {"email": OWNER, "exp": 4_000_000_000, "iss": "sclib-auth", "aud": "sclib-api"}
    tokens = {
        "expired": issue(OWNER, SECRET, lifetime=timedelta(hours=-1)),
        "no algorithm": jwt.encode(claims, None, algorithm="none"),
        "other audience": issue(OWNER, SECRET, audience="another"),
        "other key": issue(OWNER, "x" * 40),
        "refresh": issue(OWNER, SECRET, kind="refresh"),
        "nonsense": "sck_" + "a" * 32,
    }
    _put(app, "public")
    for path in (f"/api/v2/datasets/{UUID}", "/api/v2/datasets", "/mod_visus?action=list"):
        answer = client.get(path, headers={"authorization": f"Bearer {tokens[kind]}"})
        assert answer.status_code == 401, f"{path}: {answer.text}"


@pytest.mark.parametrize("action", OF_ACTIONS)
def test_each_route_on_none(
    app: FastAPI, client: TestClient, proofs: dict[str, dict[str, str]], action: Action
) -> None:
    routes = [each for each in _routes(app) if _action(each) is action]
    assert routes
    for route, person in itertools.product(routes, PERSONS):
        if "key" in person:
            continue
        answer = _ask(client, route, proofs[person])
        refused = answer.status_code in (401, 403)
        allowed = person in OF_ACTIONS[action]
        own = "another person" in answer.text  # of routes that name a person in their address
        assert allowed is not refused or own, f"{person} {route.path}: {answer.text[:200]}"


def test_a_link_opens_no_other_dataset_and_no_list(
    app: FastAPI, client: TestClient, proofs: dict[str, dict[str, str]]
) -> None:
    _put(app, "private")
    other = {"_id": "other", "uuid": "other-dataset", "user": OWNER, "status": "done"}
    with app.state.context.datasets.guard() as datasets:
        datasets.replace_one({"_id": "other"}, other, upsert=True)
    for path in ("/api/v2/datasets/other-dataset", "/d/other-dataset/visus.idx"):
        assert client.get(path, headers=proofs["link"]).status_code == 404
    listed = client.get("/api/v2/datasets", headers=proofs["link"]).json()["datasets"]
    assert [each["uuid"] for each in listed] == [UUID]
    assert listed[0]["owner"] is None


def test_lists_show_what_the_table_lets_one_see(
    app: FastAPI, client: TestClient, proofs: dict[str, dict[str, str]]
) -> None:
    for visibility, (person, own) in itertools.product(PUBLIC, PERSONS.items()):
        _put(app, visibility)
        seen = SEE in own | PUBLIC[visibility]
        for path in ("/api/v2/datasets", "/api/v1/datasets"):
            found = client.get(path, headers=proofs[person]).json()["datasets"]
            assert (UUID in [each["uuid"] for each in found]) is seen, f"{person} {visibility}"
