"""How the users stand to each other in the queue now: read from the documents, cached shortly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scientistcloud.datasets.documents import expression
from scientistcloud.datasets.documents.collection import Document, GuardedCollection
from scientistcloud.datasets.documents.queue_order import (
    LEASED_RUNNING,
    ORDER,
    RUNNING,
    SHARE_ORDER,
    STAMPED,
    TIME_ORDER,
)
from scientistcloud.datasets.queue.fairness import Head

UNREADABLE = "\ufffd"


@dataclass(slots=True)
class ShareUsage:
    """The queue at one priority, and what is running at any.

    Attributes
    ----------
    heads : dict
        The first document of each share, whether it is due or not.
    running : dict
        How many documents of each share are being converted.
    sizes : dict
        How many due documents a share has at most, where that was found out.
    """

    priority: Any
    heads: dict[str, Head]
    running: dict[str, int]
    sizes: dict[str, int] = field(default_factory=dict)


def read_usage(
    collection: GuardedCollection, unwanted: list[Any], *, below: Any = None, leased: bool = False
) -> ShareUsage | None:
    """The usage at the highest priority at which anything is due; None where nothing is.

    Parameters
    ----------
    unwanted : list
        `_id` of documents that do not count.
    below
        Only priorities below this one.
    leased : bool
        Count as running only what services of ours hold.
    """
    query = {**STAMPED, "_id": {"$nin": unwanted}, "$expr": expression.DUE}
    if below is not None:
        query["conversion.priority"] = {**STAMPED["conversion.priority"], "$lt": below}
    first = collection.find(query, {"conversion.priority": 1}, sort=ORDER, limit=1)
    if not first:
        return None
    priority = first[0]["conversion"]["priority"]
    return ShareUsage(priority, _heads(collection, priority), running_by_share(collection, leased))


def _heads(collection: GuardedCollection, priority: Any) -> dict[str, Head]:
    """One document of each share; the server skips the others in the index."""
    found = collection.aggregate(
        [
            {"$match": {**STAMPED, "conversion.priority": priority}},
            {"$sort": {"status": 1, **dict(SHARE_ORDER)}},
            {
                "$group": {
                    "_id": "$conversion.share",
                    "queued_at": {"$first": "$conversion.queued_at"},
                    "first": {"$first": "$_id"},
                }
            },
        ]
    )
    return {each["_id"]: Head(each["first"], each["queued_at"]) for each in found}


def running_by_share(collection: GuardedCollection, leased: bool) -> dict[str, int]:
    match = LEASED_RUNNING if leased else RUNNING
    group = {"_id": "$conversion.share", "count": {"$sum": 1}}
    found = collection.aggregate([{"$match": match}, {"$group": group}])
    return {each["_id"]: each["count"] for each in found}


def first_due(
    collection: GuardedCollection,
    usage: ShareUsage,
    numbers: Mapping[str, int],
    unwanted: list[Any],
) -> dict[str, list[Document]]:
    """The first due documents of some shares, at most as many as `numbers` says of each."""
    shares = list(numbers)
    pipeline: list[Mapping[str, Any]] = []
    for part, share in enumerate(shares):
        stages = _part(part, usage, share, numbers[share], unwanted)
        union = {"coll": collection.raw.name, "pipeline": stages}
        pipeline += [{"$unionWith": union}] if part else stages
    found: dict[str, list[Document]] = {share: [] for share in shares}
    for document in collection.aggregate(pipeline):
        found[shares[document["part"]]].append(document)
    return found


def _part(
    part: int, usage: ShareUsage, share: str, number: int, unwanted: list[Any]
) -> list[Mapping[str, Any]]:
    query = {**STAMPED, "conversion.priority": usage.priority, "conversion.share": share}
    ids: dict[str, Any] = {"$nin": unwanted}
    if UNREADABLE in share:  # bytes that are no text: they cannot be asked for
        del query["conversion.share"]
        ids["$eq"] = usage.heads[share].id
    return [
        {"$match": {**query, "_id": ids, "$expr": expression.DUE}},
        {"$sort": dict(TIME_ORDER)},
        {"$limit": number},
        {"$project": {"uuid": 1, "part": expression.literal(part)}},
    ]
