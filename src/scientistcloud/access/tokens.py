"""Bearer tokens: HS256 with the key of the auth service, or those of an OIDC issuer."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from scientistcloud.access.caller import plain_email
from scientistcloud.refusals import NotSignedIn

ISSUER = "sclib-auth"
AUDIENCE = "sclib-api"
_LEEWAY_SECONDS = 10
_TIMEOUT_SECONDS = 5
_OIDC_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a token says, checked: who, and with which roles."""

    email: str
    roles: frozenset[str] = frozenset()


class TokenVerifier:
    """Checks tokens; each kind only by its own rules, so that no key serves for another kind.

    Parameters
    ----------
    secret : str, optional
        Of HS256 tokens.
    audience : str
        That HS256 tokens must be for.
    issuer : str, optional
        Of OIDC: its keys are fetched from its discovery document, and again when they change.
    oidc_audience : str, optional
        That its tokens must be for. Without one none is accepted: an issuer also signs tokens for
        other programs, which could use them here in their users' names.
    refetch_seconds : float
        How long after a fetch a key that is not known is believed to be forged, so that forged
        tokens cannot make us ask the issuer all the time.
    """

    def __init__(
        self, secret: str | None, audience: str = AUDIENCE, issuer: str | None = None,
        oidc_audience: str | None = None, refetch_seconds: float = 5.0,
    ) -> None:  # fmt: skip
        self._secret = secret
        self._audience = audience
        self._issuer = issuer
        self._oidc_audience = oidc_audience
        self._refetch_seconds = refetch_seconds
        self._keys: jwt.PyJWKClient | None = None
        self._lock = threading.Lock()

    def verify(self, token: str) -> Proof:
        """Who the token is of.

        Raises
        ------
        NotSignedIn
            It is forged, expired, for somebody else, or of a kind that is not accepted.
        """
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") == "HS256":
                return _proof(self._by_secret(token))
            if header.get("alg") in _OIDC_ALGORITHMS and self._issuer:
                return _proof(self._by_issuer(token))
        except jwt.PyJWKClientConnectionError as error:
            raise _unreachable() from error
        except jwt.PyJWTError as error:
            raise NotSignedIn("The token cannot be used: it is invalid or has expired.") from error
        raise NotSignedIn("The token is of a kind that is not accepted here.")

    def verify_refresh(self, token: str) -> str:
        """The e-mail of a refresh token; raises `NotSignedIn`."""
        try:
            return _proof(self._by_secret(token, "refresh")).email
        except jwt.PyJWTError as error:
            raise NotSignedIn("The token cannot be used: it is invalid or has expired.") from error

    def _by_secret(self, token: str, kind: str = "access") -> dict[str, Any]:
        if not self._secret:
            raise NotSignedIn("Tokens of this kind are not accepted: SECRET_KEY is not set.")
        claims: dict[str, Any] = jwt.decode(
            token,
            self._secret,
            algorithms=["HS256"],
            audience=self._audience,
            issuer=ISSUER,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp"]},
        )
        if claims.get("type", "access") != kind:
            raise NotSignedIn("A refresh token is no access token, nor the other way around.")
        return claims

    def _by_issuer(self, token: str) -> dict[str, Any]:
        key = self._signing_keys().get_signing_key_from_jwt(token)
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=list(_OIDC_ALGORITHMS),
            audience=self._oidc_audience,
            issuer=self._issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "aud"]},
        )
        if claims.get("email_verified") is False:
            raise NotSignedIn("The address of this account has not been verified.")
        return claims

    def _signing_keys(self) -> jwt.PyJWKClient:
        with self._lock:
            if self._keys is None:
                self._keys = jwt.PyJWKClient(
                    _jwks_address(str(self._issuer)),
                    timeout=_TIMEOUT_SECONDS,
                    cooldown_duration=self._refetch_seconds,
                )
            return self._keys


def issue(
    email: str, secret: str, *, audience: str = AUDIENCE, kind: str = "access",
    lifetime: timedelta = timedelta(hours=24),
) -> str:  # fmt: skip
    """A token as the auth service signs them."""
    now = datetime.now(UTC)
    claims = {
        "email": email, "user_id": email, "iat": now, "exp": now + lifetime,
        "iss": ISSUER, "aud": audience, "type": kind,
    }  # fmt: skip
    return jwt.encode(claims, secret, algorithm="HS256")


def _jwks_address(issuer: str) -> str:
    """Where the issuer's keys are, by its discovery document."""
    import httpx

    try:
        found = httpx.get(
            f"{issuer.rstrip('/')}/.well-known/openid-configuration",
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
        )
        return str(found.raise_for_status().json()["jwks_uri"])
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise _unreachable() from error


def _unreachable() -> NotSignedIn:
    return NotSignedIn(
        "The issuer of the tokens cannot be reached.", remedy="Try again in a moment."
    )


def _proof(claims: Mapping[str, Any]) -> Proof:
    email = plain_email(claims.get("email"))
    if not email:
        raise NotSignedIn("The token names nobody: it has no claim email.")
    listed = claims.get("roles")
    names = listed if isinstance(listed, list) else []
    return Proof(email, frozenset(str(each) for each in names))
