"""Where a command works: with the service's MongoDB and folders, or with this computer's own."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pymongo.database import Database

from scientistcloud.cli.terminal.console import warn
from scientistcloud.database.connection import connect
from scientistcloud.database.embedded import EmbeddedMongo, default_home
from scientistcloud.datasets.documents.collection import GuardedCollection
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.errors import BadSettings, ConversionError
from scientistcloud.idx.files.storage import writing
from scientistcloud.settings import Settings, load_settings

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_START_SECONDS = 60.0
_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Settings, and the store of the datasets that they name.

    Attributes
    ----------
    home : Path or None
        Of the embedded MongoDB; None where MONGO_URL names a server.
    """

    settings: Settings
    home: Path | None
    database: Database[dict[str, Any]]
    store: DatasetStore
    collection: GuardedCollection

    @property
    def service_command(self) -> str:
        """What to type where no service is running."""
        if self.home is None:
            return "scientistcloud worker"
        return "scientistcloud up" + home_words(self.home)


def home_words(home: Path) -> str:
    """`` --home DIR`` where the home is not the default."""
    return "" if home == default_home() else f" --home {home}"


@contextmanager
def settings_of(
    home: Path | None,
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    stay: bool = False,
) -> Iterator[tuple[Settings, Path | None]]:
    """The settings with a MONGO_URL in them, and the home if its server is an embedded one.

    The embedded server runs at least as long as the context; with `stay` it is started again if
    somebody kills it.

    Raises
    ------
    BadSettings, MissingLibrary, DatabaseUnavailable
    """
    settings = load_settings(file, overrides)
    used_home = own_home(settings, home)
    if used_home is None:
        yield settings, None
        return
    server = EmbeddedMongo(used_home)
    patience = threading.Timer(_PATIENCE_SECONDS, warn, [f"Starting MongoDB in {used_home} ..."])
    patience.start()
    try:
        url = server.start()
    finally:
        patience.cancel()
    try:
        more = in_home(settings, used_home, overrides) | {"mongo_url": url}
        settings = load_settings(file, more)
        _make_folders(settings, used_home)
        with kept_alive(server, url) if stay else nullcontext():
            yield settings, used_home
    finally:
        server.stop()


@contextmanager
def opened(home: Path | None, file: Path | None = None) -> Iterator[Place]:
    """Settings, server and store, for as long as the context."""
    with settings_of(home, file) as (settings, used_home):
        yield place_at(settings, used_home)


def place_at(settings: Settings, home: Path | None = None) -> Place:
    """The store that `settings` name.

    Raises
    ------
    BadSettings, DatabaseUnavailable
    """
    if settings.mongo_url is None:
        raise BadSettings("MONGO_URL is not set.", remedy="Set it, or give --home.")
    database = connect(settings.mongo_url.get_secret_value())[settings.db_name]
    store = DatasetStore(
        database,
        collection=settings.collection,
        owner=f"command_{socket.gethostname()}_{os.getpid()}",
        lease_seconds=settings.lease_seconds,
        foreign_claim_minutes=settings.foreign_claim_minutes,
    )
    collection = GuardedCollection(database, settings.collection, timeout_seconds=10.0)
    return Place(settings, home, database, store, collection)


def own_home(settings: Settings, home: Path | None) -> Path | None:
    """The home whose MongoDB is to be used; None where MONGO_URL names one and no home is given."""
    if home is not None:
        return home.expanduser().absolute()
    return default_home() if settings.mongo_url is None else None


def in_home(
    settings: Settings, home: Path, overrides: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`overrides`, with the datasets in `home` unless somebody said where they are."""
    folders = {} if settings.origins()["visus_datasets"] != "default" else {"visus_datasets": home}
    return folders | dict(overrides or {})


@contextmanager
def kept_alive(server: EmbeddedMongo, url: str) -> Iterator[None]:
    """Start the server again whenever nothing listens on its port any more."""
    address = urlsplit(url)
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_LOOK_SECONDS):
            try:
                socket.create_connection((address.hostname, address.port), 5.0).close()
            except ConnectionRefusedError:
                _start_again(server)
            except OSError:
                continue  # too busy to answer is not gone

    thread = threading.Thread(target=watch, name="mongod-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_START_SECONDS)


def _start_again(server: EmbeddedMongo) -> None:
    try:
        server.start()
    except ConversionError as error:
        log.warning("MongoDB is gone and cannot be started: %s %s", error.message, error.remedy)
    else:
        log.warning("MongoDB was gone and is started again")


def _make_folders(settings: Settings, home: Path) -> None:
    """Make the folders of the datasets where they are in the home; others are mounted."""
    for folder in (settings.in_data_dir, settings.out_data_dir):
        if folder.is_relative_to(home):
            with writing(f"{folder}"):
                folder.mkdir(parents=True, exist_ok=True)
