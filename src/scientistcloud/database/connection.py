"""The connection to MongoDB: opened with a ping, errors translated, the password never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote_plus

import pymongo
from pymongo import MongoClient
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from scientistcloud.errors import BadSettings, DatabaseUnavailable

DEFAULTS: dict[str, Any] = {
    "appName": "scientistcloud",
    "connectTimeoutMS": 5_000,
    "serverSelectionTimeoutMS": 5_000,
    # Bounds a read from a host that vanished without closing its connections; longer than any
    # answer that we wait for (a change stream answers at least every second).
    "socketTimeoutMS": 20_000,
    "tz_aware": True,
}
"""What is asked of the driver where the URL says nothing about it."""

AWAY_CODES = frozenset(
    {6, 7, 43, 50, 63, 64, 89, 91, 133, 150, 189, 202, 234, 237, 262, 290}
    | {9001, 10058, 10107, 11600, 11602, 13388, 13435, 13436}
)
"""Server error codes that pass by themselves: network, election, shutdown, time limits.

Source: the retryable codes of MongoDB's retryable reads and writes specifications, and
CursorNotFound, MaxTimeMSExpired, WriteConcernFailed, ExceededTimeLimit, CursorKilled.
"""

REFUSED_CODES = frozenset({13, 18, 8000})
"""Unauthorized, AuthenticationFailed, AtlasError."""

CREDENTIALS_REMEDY = (
    "Check user, password and authSource in MONGO_URL, and that the user may read and write there."
)


def connect(url: str, *, timeout_seconds: float = 5.0) -> MongoClient[dict[str, Any]]:
    """Connect to MongoDB and make sure that it answers.

    Parameters
    ----------
    url : str
        Used exactly as given; `DEFAULTS` hold only for options that it does not name.
    timeout_seconds : float
        How long to wait for the first answer, whatever the URL says. The client itself goes on
        reconnecting for as long as it lives.

    Raises
    ------
    BadSettings
        If the URL is not one of MongoDB.
    DatabaseUnavailable
        With the host, the reason and a remedy, and never with the password.
    """
    client = _open(url)
    try:
        with pymongo.timeout(timeout_seconds):
            client.admin.command("ping")
    except PyMongoError as error:
        client.close()
        # The driver's own text could repeat parts of the URL, so it is not kept as the cause.
        raise _unavailable(url, error) from None
    return client


def _open(url: str) -> MongoClient[dict[str, Any]]:
    named = _named_options(url)
    options = {name: value for name, value in DEFAULTS.items() if name.lower() not in named}
    try:
        return MongoClient(url, **options)
    except (InvalidURI, ConfigurationError, ValueError, TypeError) as error:
        if url.startswith("mongodb+srv://") and not isinstance(error, InvalidURI):
            raise _unavailable(url, error) from None
        raise BadSettings(
            f"MONGO_URL {redact(url)} cannot be used: {_reason(error, url)}",
            remedy="Give it as mongodb://user:password@host:port/?options, with special "
            "characters of user and password percent-encoded.",
        ) from None


def redact(url: str) -> str:
    """The URL without its password and without secrets among its options."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    credentials, at, address = rest.rpartition("@")
    if at:
        user, colon, _ = credentials.partition(":")
        # Without a scheme nothing says which part is the user.
        credentials = (f"{user}:***" if colon else user) if separator else "***"
    address = re.sub(r"(?i)([?&;][^=&;]*(?:password|properties)=)[^&;]*", r"\1***", address)
    return f"{scheme}{separator}{credentials}{at}{address}"


def host_of(url: str) -> str:
    """The host (or hosts) that a URL names, for messages."""
    address = url.partition("://")[2].rpartition("@")[2] or "the host of MONGO_URL"
    return re.split(r"[/?]", address, maxsplit=1)[0] or "the host of MONGO_URL"


@contextmanager
def database_errors() -> Iterator[None]:
    """Translate what the driver raises while the server is away into `DatabaseUnavailable`.

    So is a refused login or right: an administrator can restore it while the service waits.
    Other errors of the driver mean that a statement is wrong and pass as they are.
    """
    try:
        yield
    except PyMongoError as error:
        if is_refused(error):
            message = f"MongoDB refuses: {_reason(error)}"
            raise DatabaseUnavailable(message, remedy=CREDENTIALS_REMEDY) from error
        if is_away(error):
            raise DatabaseUnavailable(f"MongoDB cannot be reached: {_reason(error)}") from error
        raise


def is_refused(error: BaseException | None) -> bool:
    """Whether the server answers, but does not accept the user or grant the right."""
    return isinstance(error, OperationFailure) and error.code in REFUSED_CODES


def is_away(error: PyMongoError) -> bool:
    """Whether the error says that the server cannot answer now, rather than that it refuses."""
    if error.timeout or isinstance(error, ConnectionFailure | ExecutionTimeout | WTimeoutError):
        return True
    if isinstance(error, OperationFailure) and error.code in AWAY_CODES:
        return True
    return error.has_error_label("RetryableWriteError")


def _unavailable(url: str, error: Exception) -> DatabaseUnavailable:
    remedy = (
        CREDENTIALS_REMEDY
        if is_refused(error)
        else "Check that MongoDB runs there, that MONGO_URL names its host and port, and that "
        "no firewall is in between."
    )
    return DatabaseUnavailable(
        f"MongoDB at {host_of(url)} cannot be reached: {_reason(error, url)}", remedy=remedy
    )


def _named_options(url: str) -> set[str]:
    query = url.partition("://")[2].partition("?")[2]
    return {unquote_plus(pair.partition("=")[0]).lower() for pair in re.split("[&;]", query)}


def _reason(error: Exception, url: str = "") -> str:
    """The driver's sentence, without its description of the topology and without secrets."""
    text = re.split(r", Timeout: |, full error: | \(configured timeouts", str(error))[0]
    for secret in _secrets(url):
        text = text.replace(secret, "***")
    return text[:300]


def _secrets(url: str) -> list[str]:
    rest = url.partition("://")[2] or url
    credentials = rest.rpartition("@")[0]
    password = credentials.partition(":")[2]
    parts = [password, *re.split("[:@/?]", password), unquote_plus(password)]
    parts += re.findall(r"(?i)[?&;][^=&;]*(?:password|properties)=([^&;]*)", rest)
    return sorted({part for part in parts if part}, key=len, reverse=True)
