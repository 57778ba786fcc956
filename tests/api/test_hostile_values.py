"""Values that MongoDB cannot hold, forged cursors, keys that ask for more: refused, never a 5xx."""

from __future__ import annotations

import base64

import pytest

from scientistcloud.api.serve import require_safe
from scientistcloud.errors import BadSettings
from scientistcloud.settings import load_settings
from tests.api.serving import OWNER, Server, bearer, serving

OWN = bearer(OWNER)
JSON = {"content-type": "application/json"}
CURSORS = (
    '[{"$oid": "zz"}, {"$oid": "zz"}]',
    "[1, 99999999999999999999]",
    '[{"$date": 1e300}, "x"]',
    '[{"$regex": "(", "$options": "z"}, {"$regex": "("}]',
    '[{"$uuid": "x"}, 1]',
    "[" * 200,
)
BODIES = (
    r'{"parameters": {"a": "\ud800"}}',
    '{"parameters": {"a": 1000000000000000000000000000000}}',
    r'{"parameters": {"a\u0000": 1}}',
    r'{"name": "\ud800"}',
)


@pytest.mark.parametrize("text", CURSORS)
def test_a_forged_cursor_is_refused(server: Server, text: str) -> None:
    cursor = base64.urlsafe_b64encode(text.encode()).decode()
    answer = server.http.get("/api/v2/datasets", params={"cursor": cursor}, headers=OWN)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("name", ["q", "owner", "tag", "team", "status"])
def test_a_nul_in_a_query_is_no_fault_of_ours(server: Server, name: str) -> None:
    for place in ("/api/v2/datasets", "/api/v1/datasets"):
        answer = server.http.get(place, params={name: "a\0b", "user_email": "a\0b"}, headers=OWN)
        assert answer.status_code in (200, 422), answer.text


@pytest.mark.parametrize("body", BODIES)
def test_what_cannot_be_stored_is_refused_and_changes_nothing(server: Server, body: str) -> None:
    uuid = server.create(OWN)
    old = body.replace("parameters", "conversion_parameters")
    for method, place, text in (
        ("PATCH", f"/api/v2/datasets/{uuid}", body),
        ("PUT", f"/api/v1/datasets/{uuid}", old),
        ("POST", f"/api/v2/datasets/{uuid}/retry", body),
    ):
        answer = server.http.request(method, place, content=text, headers=OWN | JSON)
        assert answer.status_code == 422, f"{method} {place}: {answer.text}"
        assert answer.json()["code"] == "InvalidRequest"
    found = server.http.get(f"/api/v2/datasets/{uuid}", headers=OWN).json()
    assert (found["name"], found["parameters"]) == ("made", None)


def test_a_key_gets_no_token_that_reaches_further(server: Server) -> None:
    body = {"name": "k", "scopes": ["read"]}
    key = server.http.post("/api/v2/keys", json=body, headers=OWN).json()["token"]
    own = {"authorization": f"Bearer {key}"}
    answer = server.http.post("/api/auth/login", json={"email": OWNER}, headers=own)
    assert answer.status_code == 403, answer.text
    assert "access_token" not in answer.text
    answer = server.http.post("/api/auth/login", json={"email": OWNER}, headers=OWN)
    assert answer.json()["data"]["access_token"]


@pytest.mark.slow
def test_a_portal_behind_a_proxy_is_not_believed_by_its_network(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str
) -> None:
    """The proxy's address is in the network, whoever sent the request to it."""
    more = {"AUTH": "portal", "PORTAL_NETWORKS": "127.0.0.0/8", "PORTAL_SECRET": "s"}
    place = f"/api/v1/datasets/by-user?user_email={OWNER}"
    with serving(tmp_path_factory.mktemp("portal"), mongo_url, **more) as server:
        assert server.http.get(place).status_code == 200
        for name in ("x-forwarded-for", "x-real-ip", "forwarded"):
            assert server.http.get(place, headers={name: "127.0.0.1"}).status_code == 401, name
        proved = {"x-forwarded-for": "127.0.0.1", "x-portal-secret": "s"}
        assert server.http.get(place, headers=proved).status_code == 200


def test_an_issuer_without_an_audience_does_not_start() -> None:
    values = {"auth": "token", "oidc_issuer": "https://issuer.example"}
    with pytest.raises(BadSettings, match="OIDC_AUDIENCE"):
        require_safe(load_settings(overrides=values), "0.0.0.0")
    require_safe(load_settings(overrides=values | {"oidc_audience": "ours"}), "0.0.0.0")


def test_a_source_that_nobody_knows_is_a_mistake_of_the_request(server: Server) -> None:
    for source, status in (("", 400), ("ftp", 400), ("google_drive", 501)):
        body = {"source_type": source, "source_config": {}}
        answer = server.http.post("/api/upload/initiate", json=body, headers=OWN)
        assert answer.status_code == status, f"{source}: {answer.text}"
