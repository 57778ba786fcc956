"""Connecting, and what is said where it fails."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Iterator

import pytest
from pymongo.errors import (
    AutoReconnect,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from scientistcloud.database.connection import connect, database_errors, redact
from scientistcloud.errors import BadSettings, ConversionError, DatabaseUnavailable


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers, as a hung server does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def everything_said(error: ConversionError) -> str:
    """Message, remedy and the traceback with all its causes, as a log would show them."""
    return error.message + error.remedy + "".join(traceback.format_exception(error))


def test_the_client_answers(mongo_url: str) -> None:
    with connect(mongo_url) as client:
        assert client.admin.command("ping")["ok"] == 1
        assert client.codec_options.tz_aware


def test_options_of_the_url_are_left_alone(mongo_url: str) -> None:
    url = mongo_url + "&serverSelectionTimeoutMS=1234&appname=mine&tz_aware=false"
    url += "&retryWrites=false&socketTimeoutMS=4000&w=1"
    with connect(url) as client:
        options = client.options
        assert options.server_selection_timeout == 1.234
        assert options.pool_options.appname == "mine"
        assert options.pool_options.socket_timeout == 4
        assert options.pool_options.connect_timeout == 5
        assert not client.codec_options.tz_aware
        assert not options.retry_writes
        assert client.write_concern.document == {"w": 1}


@pytest.mark.parametrize("password", ["hunter2", "p%40ss%2Fw%3Ard", "x"])
def test_a_refused_connection_names_the_host_and_not_the_password(
    closed_port: int, password: str
) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        connect(f"mongodb://ann:{password}@127.0.0.1:{closed_port}/d", timeout_seconds=0.5)
    said = everything_said(caught.value)
    assert f"127.0.0.1:{closed_port}" in caught.value.message
    assert "refused" in caught.value.message
    assert f":{password}@" not in said
    if len(password) > 1:
        assert password not in said
    assert "firewall" in caught.value.remedy


def test_a_server_that_hangs_is_given_up_in_time(silent_port: int) -> None:
    begun = time.monotonic()
    url = f"mongodb://127.0.0.1:{silent_port}/?serverSelectionTimeoutMS=30000"
    with pytest.raises(DatabaseUnavailable):
        connect(url, timeout_seconds=1)
    assert time.monotonic() - begun < 4


def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(DatabaseUnavailable, match=r"no-such-host\.invalid"):
        connect("mongodb://no-such-host.invalid/", timeout_seconds=1)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://ann:secret@host/",
        "mongodb://",
        "mongodb://ann:sec:ret@host/",
        "mongodb://ann:sec/ret@host/",
        "mongodb://ann:secret@host:port/",
        "mongodb://ann:secret@host:99999999/",
    ],
)
def test_a_url_that_cannot_be_used_is_a_bad_setting(url: str) -> None:
    with pytest.raises(BadSettings, match="MONGO_URL") as caught:
        connect(url)
    assert "sec" not in everything_said(caught.value).replace(f'connect("{url}")', "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb://host:1/db?w=1", "mongodb://host:1/db?w=1"),
        ("mongodb://ann@host/", "mongodb://ann@host/"),
        ("mongodb://ann:secret@a:1,b:2/db", "mongodb://ann:***@a:1,b:2/db"),
        ("mongodb+srv://ann:se@cr/et@host/", "mongodb+srv://ann:***@host/"),
        ("ann:secret@host", "***@host"),
        (
            "mongodb://h/?tlsCertificateKeyFilePassword=secret&w=1",
            "mongodb://h/?tlsCertificateKeyFilePassword=***&w=1",
        ),
        (
            "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:secret",
            "mongodb://h/?authMechanismProperties=***",
        ),
    ],
)
def test_redaction(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("connection closed"),
        ServerSelectionTimeoutError("no servers, Timeout: 5.0s, Topology Description: <long>"),
        OperationFailure("stepped down", 189),
        OperationFailure("not authorized", 13),
    ],
)
def test_what_passes_is_the_databases_absence(error: PyMongoError) -> None:
    with pytest.raises(DatabaseUnavailable) as caught, database_errors():
        raise error
    assert caught.value.__cause__ is error
    assert "Topology" not in caught.value.message


def test_a_wrong_statement_is_a_bug_and_no_outage() -> None:
    with pytest.raises(OperationFailure), database_errors():
        raise OperationFailure("unknown operator: $x", 2)
