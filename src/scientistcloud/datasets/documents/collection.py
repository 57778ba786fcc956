"""Access to one collection: every statement bounded in time, its errors translated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pymongo
from bson.codec_options import DatetimeConversion
from pymongo import ReadPreference, ReturnDocument, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from scientistcloud.database.connection import database_errors, is_refused
from scientistcloud.errors import DatabaseUnavailable

Document = dict[str, Any]
Pipeline = Sequence[Mapping[str, Any]]
BY_ID = {"_id": 1}


class GuardedCollection:
    """A collection whose every statement ends in time or raises `DatabaseUnavailable`.

    Strings that are no UTF-8 and dates beyond the year 9999 are read as well as they can be: no
    document is unreadable. All reads are of the primary: a decision on old data is a wrong one.
    Writes are acknowledged by a majority, unless the URL says otherwise, so that no election
    undoes a claim.

    Parameters
    ----------
    timeout_seconds : float
        The longest that any statement may take, reconnecting included.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        database: Database[Document],
        name: str,
        *,
        timeout_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        options = database.codec_options.with_options(
            tz_aware=True,
            unicode_decode_error_handler="replace",
            datetime_conversion=DatetimeConversion.DATETIME_AUTO,
        )
        concern = database.write_concern
        self.raw: Collection[Document] = database.get_collection(
            name,
            codec_options=options,
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern(w="majority") if concern.is_server_default else concern,
        )
        self.timeout_seconds = timeout_seconds
        self._clock = clock
        self._away = False
        self._back_at = float("-inf")

    @property
    def is_reachable(self) -> bool:
        """Whether the last statement reached the server."""
        return not self._away

    @property
    def seconds_since_outage(self) -> float:
        """How long the server has been answering again; infinite if it always did."""
        return 0.0 if self._away else self._clock() - self._back_at

    @contextmanager
    def guard(self, *, bounded: bool = True) -> Iterator[Collection[Document]]:
        """The driver's collection, for statements within the time limit.

        With `bounded` false the server takes its time; only the way to it is limited.
        """
        try:
            with database_errors(), pymongo.timeout(self.timeout_seconds if bounded else None):
                yield self.raw
        except DatabaseUnavailable:
            self._away = True
            raise
        if self._away:
            self._back_at = self._clock()
            self._away = False

    def create_index(self, keys: Sequence[tuple[str, int]], **options: Any) -> bool:
        """Create an index, which may take its time; whether that was possible."""
        try:
            with self.guard(bounded=False) as collection:
                collection.create_index(keys, **options)
        except OperationFailure:
            # An index of the same keys or name exists with other options.
            return False
        except DatabaseUnavailable as error:
            if not is_refused(error.__cause__):
                raise
            return False
        return True

    def find(
        self,
        query: Mapping[str, Any],
        projection: Mapping[str, Any] | None = None,
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[Document]:
        with self.guard() as collection:
            return list(collection.find(query, projection, sort=list(sort) or None, limit=limit))

    def find_one(
        self, query: Mapping[str, Any], projection: Mapping[str, Any] | None = None
    ) -> Document | None:
        with self.guard() as collection:
            return collection.find_one(query, projection)

    def count(self, query: Mapping[str, Any]) -> int:
        with self.guard() as collection:
            return collection.count_documents(query)

    def aggregate(self, pipeline: Pipeline) -> list[Document]:
        with self.guard() as collection:
            return list(collection.aggregate(list(pipeline)))

    def update_id(self, query: Mapping[str, Any], update: Pipeline) -> bool:
        """One conditional update of the document with the `_id` in `query`: whether it matched."""
        with self.guard() as collection:
            result = collection.update_one(query, list(update), hint=BY_ID)
            return result.matched_count == 1

    def update_many(self, query: Mapping[str, Any], update: Pipeline) -> int:
        with self.guard() as collection:
            return collection.update_many(query, list(update)).modified_count

    def exchange_id(
        self,
        query: Mapping[str, Any],
        update: Pipeline,
        projection: Mapping[str, Any],
        *,
        after: bool,
    ) -> Document | None:
        """`update_id` that returns the document as it was before, or is after."""
        with self.guard() as collection:
            return collection.find_one_and_update(
                query,
                list(update),
                projection=projection,
                hint=BY_ID,
                return_document=ReturnDocument.AFTER if after else ReturnDocument.BEFORE,
            )
