"""When a queued dataset's turn comes: its place, why it waits, and an estimate of its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.datasets.documents.document import value_at
from scientistcloud.datasets.documents.queue_order import EPOCH, LOWEST, STAMPED, UNSTAMPED
from scientistcloud.datasets.documents.share import share_of
from scientistcloud.datasets.queue.fairness import Crowd, ahead, is_full
from scientistcloud.datasets.queue.usage import running_by_share
from scientistcloud.datasets.services import alive_services

RECENT = 20
"""Finished datasets whose mean duration is expected of the next ones."""

LONGEST_SECONDS = 30 * 86400.0
FURTHEST = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Scene:
    """The queue and the services, as far as they matter to everybody who waits.

    Attributes
    ----------
    crowds : Mapping
        By priority: who waits there.
    running : Mapping
        By share: datasets that services of ours convert.
    places : int
        Conversions that the living services run at a time.
    limit_per_user : int
        The least strict that a living service keeps to; 0 for none.
    seconds_each : float or None
        What recent conversions took on average; None if there are none.
    """

    crowds: Mapping[Any, Crowd]
    running: Mapping[str, int]
    places: int
    limit_per_user: int
    seconds_each: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one queued dataset may expect.

    Attributes
    ----------
    position : int
        From 1, those that wait to be tried again included.
    of_user : int
        Which one of its user's it is, from 1.
    running_of_user : int
        How many of its user's are being converted.
    is_limited : bool
        Whether it waits because of the limit per user.
    wait_seconds : float or None
        An estimate of the time until it starts; None where there is nothing to go by.
    """

    position: int
    of_user: int
    running_of_user: int
    is_limited: bool
    wait_seconds: float | None


def read_scene(collection: GuardedCollection) -> Scene:
    """The queue and the services as they are now."""
    services = alive_services(collection.raw.database)
    return Scene(
        _crowds(collection),
        running_by_share(collection, leased=True),
        sum(_count(each, "places", _count(each, "running", 1)) for each in services),
        _limit(services),
        _recent_seconds(collection),
    )


def forecast_start(
    collection: GuardedCollection, document: Mapping[str, Any], scene: Scene
) -> Forecast:
    """The forecast of one queued document."""
    place = _place_of(document)
    if place is None:  # one that no service has seen yet comes after all that were
        share, rank = share_of(document), 0
        unseen = {"$and": [UNSTAMPED, {"_id": {"$lt": document["_id"]}}]}
        position = 1 + collection.count({"$or": [STAMPED, unseen]})
    else:
        priority, share, _ = place
        rank = _rank(collection, document["_id"], place)
        more = [crowd for each, crowd in scene.crowds.items() if each > priority]
        crowd = scene.crowds.get(priority, Crowd({}, {}))
        position = 1 + sum(sum(each.sizes.values()) for each in more)
        position += ahead(crowd, scene.running, share, rank)
    running = scene.running.get(share, 0)
    limited = is_full(running + rank, scene.limit_per_user)
    wait = expected_wait_seconds(scene, position, rank + 1, running)
    return Forecast(position, rank + 1, running, limited, wait)


def expected_wait_seconds(
    scene: Scene, position: int, of_user: int, running_of_user: int
) -> float | None:
    """When a place gets free for it, if all take as long as the last ones did.

    What is being converted is taken to be half done. The limit per user counts as so many places
    that its user has.
    """
    if not scene.places or scene.seconds_each is None:
        return None
    free = max(0, scene.places - sum(scene.running.values()))
    behind = position - free
    wait = scene.seconds_each * (behind - 0.5) / scene.places if behind > 0 else 0.0
    above = running_of_user + of_user - scene.limit_per_user
    if scene.limit_per_user and above > 0:
        wait = max(wait, scene.seconds_each * (above - 0.5) / scene.limit_per_user)
    return wait


def expected_start(forecast: Forecast, due_at: datetime | None, now: datetime) -> datetime | None:
    """The estimate as a date, no sooner than it may be claimed; None for unknown."""
    if forecast.wait_seconds is None:
        return None
    start = now + min(timedelta(seconds=forecast.wait_seconds), FURTHEST)
    return max(start, due_at) if due_at is not None else start


def _crowds(collection: GuardedCollection) -> dict[Any, Crowd]:
    group: Document = {
        "_id": {"priority": "$conversion.priority", "share": "$conversion.share"},
        "number": {"$sum": 1},
        "first": {"$min": "$conversion.queued_at"},
    }
    crowds: dict[Any, Crowd] = {}
    for each in collection.aggregate([{"$match": STAMPED}, {"$group": group}]):
        key = each["_id"]
        if isinstance(key["priority"], int | float):
            crowd = crowds.setdefault(key["priority"], Crowd({}, {}))
            crowd.sizes[key["share"]] = each["number"]
            crowd.first[key["share"]] = each["first"]
    return crowds


def _place_of(document: Mapping[str, Any]) -> tuple[float, str, datetime] | None:
    """Priority, share and time of a stamped document."""
    names = ("priority", "share", "queued_at")
    priority, share, at = (value_at(document, "conversion", name) for name in names)
    if not isinstance(priority, int | float) or not priority >= LOWEST:
        return None
    return (priority, share, at) if isinstance(share, str) and isinstance(at, datetime) else None


def _rank(
    collection: GuardedCollection, document_id: Any, place: tuple[float, str, datetime]
) -> int:
    """How many of the same priority and share are before it."""
    priority, share, queued_at = place
    earlier = {"conversion.queued_at": {"$gte": EPOCH, "$lt": queued_at}}
    twin = {"conversion.queued_at": queued_at, "_id": {"$lt": document_id}}
    same = {"conversion.priority": priority, "conversion.share": share}
    return collection.count({**STAMPED, **same, "$or": [earlier, twin]})


def _limit(services: list[Document]) -> int:
    limits = [_count(each, "limit_per_user", 0) for each in services]
    return max(limits) if limits and all(limits) else 0


def _recent_seconds(collection: GuardedCollection) -> float | None:
    """The mean duration of the last finished conversions."""
    found = collection.find(
        {"completed_at": {"$gte": EPOCH}},
        {"conversion.result.seconds": 1},
        sort=[("completed_at", -1)],
        limit=RECENT,
    )
    seconds = [value for each in found if (value := _seconds(each)) is not None]
    return sum(seconds) / len(seconds) if seconds else None


def _seconds(document: Mapping[str, Any]) -> float | None:
    value = value_at(document, "conversion", "result", "seconds")
    usable = isinstance(value, int | float) and 0 <= value <= LONGEST_SECONDS
    return float(value) if usable else None


def _count(document: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = document.get(name)
    return value if isinstance(value, int) and value >= 0 else otherwise
