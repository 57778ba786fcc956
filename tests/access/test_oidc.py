"""Tokens of an OIDC issuer: a real issuer on loopback, whose keys change."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from scientistcloud.access.tokens import TokenVerifier
from scientistcloud.refusals import NotSignedIn

SECRET = "the secret of the auth service, not of the issuer"
AUDIENCE = "this server"


class Issuer:
    """Signs tokens, and serves its public keys."""

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.asked = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.rotate("first")
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def rotate(self, name: str) -> None:
        self.keys = {name: rsa.generate_private_key(65537, 2048)}

    def token(self, **more: Any) -> str:
        claims = {
            "email": "Someone@Example.org", "iss": self.url, "aud": AUDIENCE,
            "exp": time.time() + 60, "roles": ["reader"], **more,
        }  # fmt: skip
        ((name, key),) = self.keys.items()
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": name})

    def public_text(self) -> bytes:
        (key,) = self.keys.values()
        return key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(issuer._answer(self.path)).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _answer(self, path: str) -> dict[str, Any]:
        self.asked += 1
        if path.endswith("openid-configuration"):
            return {"jwks_uri": f"{self.url}/keys"}
        algorithm = jwt.algorithms.RSAAlgorithm
        keys = [
            algorithm.to_jwk(key.public_key(), as_dict=True)
            | {"kid": name, "use": "sig", "alg": "RS256"}
            for name, key in self.keys.items()
        ]
        return {"keys": keys}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture
def verifier(issuer: Issuer) -> TokenVerifier:
    return TokenVerifier(SECRET, issuer=issuer.url, oidc_audience=AUDIENCE)


def test_a_genuine_token_says_who_and_with_which_roles(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    proof = verifier.verify(issuer.token())
    assert (proof.email, proof.roles) == ("someone@example.org", {"reader"})


def test_new_keys_are_found_when_the_issuer_changes_them(issuer: Issuer) -> None:
    verifier = TokenVerifier(SECRET, issuer=issuer.url, oidc_audience=AUDIENCE, refetch_seconds=0)
    former = issuer.token()
    verifier.verify(former)
    issuer.rotate("second")
    assert verifier.verify(issuer.token()).email
    with pytest.raises(NotSignedIn):
        verifier.verify(former)


def test_forged_keys_do_not_make_us_ask_the_issuer_each_time(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    verifier.verify(issuer.token())
    asked = issuer.asked
    issuer.rotate("forged")
    for _ in range(20):
        with pytest.raises(NotSignedIn):
            verifier.verify(issuer.token())
    assert issuer.asked == asked


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another program"},
        {"aud": None},
        {"iss": "https://another.example"},
        {"exp": 1},
        {"email": ""},
        {"email_verified": False},
    ],
)
def test_tokens_for_others_are_refused(
    issuer: Issuer, verifier: TokenVerifier, claims: dict[str, Any]
) -> None:
    token = issuer.token(**claims) if claims != {"aud": None} else _without_audience(issuer)
    with pytest.raises(NotSignedIn):
        verifier.verify(token)


def test_without_an_audience_none_is_accepted(issuer: Issuer) -> None:
    verifier = TokenVerifier(SECRET, issuer=issuer.url)
    for token in (issuer.token(), _without_audience(issuer)):
        with pytest.raises(NotSignedIn):
            verifier.verify(token)


def test_the_public_key_signs_nothing(issuer: Issuer, verifier: TokenVerifier) -> None:
    """Key confusion: what all can read, taken for the secret of another algorithm."""
    import base64
    import hashlib
    import hmac

    def part(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    header = part(b'{"alg":"HS256","kid":"first","typ":"JWT"}')
    claims = {"email": "a@b.org", "iss": "sclib-auth", "aud": "sclib-api", "exp": 4e9}
    signed = header + b"." + part(json.dumps(claims).encode())
    seal = hmac.new(issuer.public_text(), signed, hashlib.sha256).digest()
    with pytest.raises(NotSignedIn):
        verifier.verify((signed + b"." + part(seal)).decode())


def _without_audience(issuer: Issuer) -> str:
    ((name, key),) = issuer.keys.items()
    claims = {"email": "a@b.org", "iss": issuer.url, "exp": time.time() + 60}
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": name})
