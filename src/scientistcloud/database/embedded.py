"""A MongoDB server of our own: a real ``mongod`` in a home folder, shared by all who use it.

::

    home/mongodb/        the data
    home/mongodb.log     what the server says
    home/mongodb.port    its port, kept: a replica set knows its members by host and port
    home/mongodb.lock    held while a server is started or stopped
    home/mongodb.users   each user holds a shared lock on it; the kernel drops the lock of a user
                         that was killed, so that the count is always right

The last user to leave stops the server. A server whose last user was killed goes on running; the
next user of the home adopts it, and stops it at the end.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import platformdirs
import psutil
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from scientistcloud.database import lock, mongod
from scientistcloud.errors import BadSettings, DatabaseUnavailable

SET_NAME = "scientistcloud"
START_SECONDS = 60.0
START_TRIES = 3
STOP_SECONDS = 30.0
LOCK_SECONDS = START_SECONDS + STOP_SECONDS
NOT_YET_INITIALIZED = 94
ALREADY_INITIALIZED = 23
INVALID_REPLICA_SET_CONFIG = 93


def default_home() -> Path:
    """Where a user's own server and datasets live, by the platform's custom."""
    return Path(platformdirs.user_data_dir("scientistcloud"))


class EmbeddedMongo:
    """A server in `home`, from `start` to `stop`, or as a context manager that gives its URL.

    Parameters
    ----------
    home : Path
        Made if it does not exist. Programs that name the same home share one server.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.expanduser().absolute()
        self._users: int | None = None

    def start(self) -> str:
        """Start the server, or join the one that runs; the URL.

        Called again it makes sure that the server still runs, and starts it again if not.

        Raises
        ------
        MissingLibrary
            If there is no ``mongod``, or a library that it needs is missing.
        BadSettings
            If the home cannot be used.
        DatabaseUnavailable
            If the server does not come up in time.
        """
        self._make_home()
        with lock.alone(self.home / "mongodb.lock", LOCK_SECONDS):
            if self._users is None:
                self._users = lock.join(self.home / "mongodb.users")
            try:
                port = self._serve()
            except BaseException:
                self._leave()
                raise
            _write(self.home / "mongodb.port", f"{port}\n")
            return _url(port)

    def stop(self) -> None:
        """Leave; the last user stops the server and waits until it ended."""
        if self._users is None:
            return
        with lock.alone(self.home / "mongodb.lock", LOCK_SECONDS):
            if self._leave():
                self._shut_down()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def data(self) -> Path:
        """The folder of the server's data."""
        return self.home / "mongodb"

    def _make_home(self) -> None:
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            # Whoever may read the data needs no login: nobody else may.
            self.data.chmod(0o700)
        except OSError as error:
            raise BadSettings(
                f"The folder {self.data} cannot be made or used: {error.strerror}.",
                remedy="Choose another folder with --home.",
            ) from error

    def _leave(self) -> bool:
        """Give up our share; whether nobody else has one."""
        descriptor, self._users = self._users, None
        return descriptor is not None and lock.leave(descriptor)

    def _process(self) -> psutil.Process | None:
        """The server on our data, if it runs: the data's own lock file names it."""
        try:
            process = psutil.Process(int((self.data / "mongod.lock").read_text()))
            arguments = process.cmdline()
        except (OSError, ValueError, psutil.Error):
            return None
        return process if str(self.data) in arguments else None

    def _running_port(self) -> int | None:
        process = self._process()
        if process is None:
            return None
        arguments = process.cmdline()
        return int(arguments[arguments.index("--port") + 1])

    def _launch(self) -> int:
        program = mongod.find()
        port = self._kept_port()
        for _ in range(5):
            if port is None or not _is_free(port):
                port = _free_port()
            if mongod.launch(program, self.data, port, SET_NAME, self.home / "mongodb.log"):
                return port
            port = None
        raise DatabaseUnavailable(
            f"MongoDB found no free port (see {self.home / 'mongodb.log'}).",
            remedy="Stop other programs that use many ports, and start again.",
        )

    def _kept_port(self) -> int | None:
        try:
            return int((self.home / "mongodb.port").read_text())
        except (OSError, ValueError):
            return None

    def _serve(self) -> int:
        """Find or start the server and make it primary; its port."""
        for _ in range(START_TRIES):
            port = self._running_port() or self._launch()
            if self._become_primary(port):
                return port
        raise DatabaseUnavailable(
            f"The embedded MongoDB ended {START_TRIES} times at its start.",
            remedy=f"See {self.home / 'mongodb.log'}.",
        )

    def _become_primary(self, port: int) -> bool:
        """Wait until the server is primary; False if it ends, as one that was found dying does."""
        deadline = time.monotonic() + START_SECONDS
        member, reason = f"127.0.0.1:{port}", "it is no primary"
        with _client(port) as client:
            while time.monotonic() < deadline:
                # It may be busy for half a minute asking whoever has its former port who that is.
                try:
                    hello = client.admin.command("hello")
                    if hello.get("isWritablePrimary") and hello.get("me") == member:
                        return True
                    _configure(client, member)
                except (AutoReconnect, OperationFailure) as error:
                    reason = str(error)[:200]
                    if self._process() is None:
                        return False
                time.sleep(0.02)
        raise DatabaseUnavailable(
            f"The embedded MongoDB was not ready in {START_SECONDS:.0f} s: {reason}.",
            remedy=f"See {self.home / 'mongodb.log'}.",
        )

    def _shut_down(self) -> None:
        process = self._process()
        if process is None:
            return
        port = self._running_port()
        # The connection ends with the server, which the driver takes for an error. Where the
        # command does not work, the signal does.
        with suppress(PyMongoError), _client(port or 0) as client:
            client.admin.command({"shutdown": 1, "force": True, "timeoutSecs": 0})
        if not _ended(process, STOP_SECONDS / 2):
            process.terminate()
            if not _ended(process, STOP_SECONDS):
                process.kill()
                _ended(process, STOP_SECONDS)


def _configure(client: MongoClient[dict[str, Any]], member: str) -> None:
    """Make the server the only member of its set, under its present address."""
    try:
        client.admin.command("replSetGetStatus")
        config = client.admin.command("replSetGetConfig")["config"]
        if [entry["host"] for entry in config["members"]] == [member]:
            return
    except OperationFailure as error:
        if error.code == NOT_YET_INITIALIZED:
            members = [{"_id": 0, "host": member}]
            config = {"_id": SET_NAME, "members": members}
            # Just started, it may not yet have read that it is initialized.
            client.admin.command("replSetInitiate", config, allowable_errors=[ALREADY_INITIALIZED])
            return
        if error.code != INVALID_REPLICA_SET_CONFIG:
            raise
        config = client.admin.command("replSetGetConfig")["config"]
    config["members"] = [{"_id": 0, "host": member}]
    config["version"] += 1
    client.admin.command("replSetReconfig", config, force=True)


def _client(port: int) -> MongoClient[dict[str, Any]]:
    return MongoClient(
        "127.0.0.1",
        port,
        directConnection=True,
        serverSelectionTimeoutMS=2_000,
        socketTimeoutMS=20_000,
        retryWrites=False,
    )


def _url(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?directConnection=true"


def _ended(process: psutil.Process, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except psutil.TimeoutExpired:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write(path: Path, text: str) -> None:
    """Replace the file as a whole, so that a crash leaves the old or the new text."""
    staged = path.with_name(path.name + ".new")
    staged.write_text(text)
    staged.replace(path)
