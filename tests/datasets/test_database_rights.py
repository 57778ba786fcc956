"""A user who may do little: what can be done is done, what is refused is said."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scientistcloud.database import mongod
from scientistcloud.database.connection import connect
from scientistcloud.datasets.documents.collection import GuardedCollection
from scientistcloud.datasets.documents.document import PortalSummary
from scientistcloud.datasets.indexes import INDEXES
from scientistcloud.datasets.services import ServiceRegistry
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.datasets.watching.changes import watch_queue
from scientistcloud.datasets.watching.statuses import StatusChange, StatusWatch
from scientistcloud.errors import DatabaseUnavailable


@pytest.fixture(scope="module")
def guarded_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that asks for a login: ``ann`` may find and update, ``bob`` may nothing."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    folder: Path = tmp_path_factory.mktemp("guarded")
    command = [str(mongod.find()), "--auth", "--dbpath", str(folder), "--bind_ip", "127.0.0.1"]
    command += ["--port", host.partition(":")[2], "--wiredTigerCacheSizeGB", "0.25"]
    process = subprocess.Popen(
        [*command, "--nounixsocket"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        with connect(f"mongodb://{host}/", timeout_seconds=30) as client:
            roles = ["userAdminAnyDatabase", "readWriteAnyDatabase"]
            client.admin.command("createUser", "root", pwd="root-pw", roles=roles)
        with connect(f"mongodb://root:root-pw@{host}/") as client:
            everything = {"db": "sc", "collection": ""}
            rights = [{"resource": everything, "actions": ["find", "insert", "update"]}]
            client.sc.command("createRole", "clerk", privileges=rights, roles=[])
            client.sc.command("createUser", "ann", pwd="ann-pw", roles=["clerk"])
            client.sc.command("createUser", "bob", pwd="bob-pw", roles=[])
            client.sc.visstoredatas.insert_one({"uuid": "u1", "status": "conversion queued"})
        yield host
    finally:
        process.kill()  # nobody needs its data any more
        process.wait()


def test_a_wrong_password_is_said_and_not_repeated(guarded_host: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"[Aa]uthentication failed") as caught:
        connect(f"mongodb://ann:wrong-pw@{guarded_host}/sc")
    assert "password" in caught.value.remedy
    assert guarded_host in caught.value.message
    assert "wrong-pw" not in caught.value.message


def test_without_rights_the_store_says_so(guarded_host: str) -> None:
    with connect(f"mongodb://bob:bob-pw@{guarded_host}/sc") as client:
        store = DatasetStore(client.sc, owner="one", lease_seconds=15)
        with pytest.raises(DatabaseUnavailable, match="not authorized") as caught:
            store.claim()
    assert "may read and write" in caught.value.remedy


def test_without_the_right_to_make_indexes_or_to_watch_all_works(guarded_host: str) -> None:
    with connect(f"mongodb://ann:ann-pw@{guarded_host}/sc") as client:
        store = DatasetStore(client.sc, owner="one", lease_seconds=15)
        assert store.ensure_indexes() == list(INDEXES)
        assert not ServiceRegistry(client.sc, "one", version="1").ensure_index()
        stop, woken = threading.Event(), threading.Event()
        watching: list[bool] = []
        thread = threading.Thread(
            target=watch_queue,
            args=(store.collection, woken.set, stop),
            kwargs={"watching": watching.append},
        )
        thread.start()
        assert woken.wait(20)
        stop.set()
        thread.join(20)
        assert watching == [False]
        claim = store.claim()
        assert claim is not None
        assert store.complete(claim, PortalSummary())


def test_without_the_right_to_watch_statuses_are_polled(guarded_host: str) -> None:
    with connect(f"mongodb://ann:ann-pw@{guarded_host}/sc") as client:
        client.sc.others.insert_one({"uuid": "u2", "status": "conversion queued"})
        collection = GuardedCollection(client.sc, "others", timeout_seconds=5)
        stop, seen = threading.Event(), threading.Event()
        away: list[DatabaseUnavailable] = []
        changes: list[StatusChange] = []

        def note(change: StatusChange) -> None:
            changes.append(change)
            seen.set()

        watch = StatusWatch(collection, note, away.append)
        thread = threading.Thread(target=watch.watch, args=(stop,))
        thread.start()
        seen.wait(10)
        stop.set()
        thread.join(20)
    assert [(each.uuid, each.status) for each in changes] == [("u2", "conversion queued")]
    assert away == []
