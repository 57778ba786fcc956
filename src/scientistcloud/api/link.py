"""The API's link to MongoDB: made as soon as possible; the API starts and answers without it."""

from __future__ import annotations

import threading
from typing import Any

import pymongo
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from scientistcloud.database.connection import connect
from scientistcloud.datasets.documents.collection import GuardedCollection
from scientistcloud.errors import BadSettings, DatabaseUnavailable
from scientistcloud.settings import Settings

_CONNECT_SECONDS = 2.0
_PING_SECONDS = 0.5
_STATEMENT_SECONDS = 5.0


class DatabaseLink:
    """Hands out the collection of the datasets; safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: MongoClient[dict[str, Any]] | None = None
        self._problem = "not connected yet"

    def collection(self) -> GuardedCollection:
        """The collection of the datasets.

        Raises
        ------
        DatabaseUnavailable
            If no connection could be made yet, or there is no MONGO_URL.
        """
        client = self._connected()
        return GuardedCollection(
            client[self._settings.db_name],
            self._settings.collection,
            timeout_seconds=_STATEMENT_SECONDS,
        )

    def database(self) -> Database[dict[str, Any]]:
        """The database; raises `DatabaseUnavailable` as `collection` does."""
        return self._connected()[self._settings.db_name]

    def problem(self) -> str | None:
        """Why MongoDB does not answer, None if it does; found out within a second."""
        client = self._client
        if client is None:
            return self._problem
        try:
            with pymongo.timeout(_PING_SECONDS):
                client.admin.command("ping")
        except PyMongoError as error:
            return f"MongoDB does not answer: {type(error).__name__}"
        return None

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> MongoClient[dict[str, Any]]:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> MongoClient[dict[str, Any]]:
        url = self._settings.mongo_url
        try:
            if url is None:
                raise BadSettings("MONGO_URL is not set, so there is no database to look into.")
            return connect(url.get_secret_value(), timeout_seconds=_CONNECT_SECONDS)
        except (BadSettings, DatabaseUnavailable) as error:
            self._problem = error.message
            raise DatabaseUnavailable(error.message, remedy=error.remedy) from error
