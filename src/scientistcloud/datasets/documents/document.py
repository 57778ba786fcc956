"""A dataset's document: its statuses, who moves it from one to the next, and what a claim knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from scientistcloud.errors import MissingUuid, PermanentError, RemoteDataset, UnusableUuid


class DatasetStatus(StrEnum):
    """The statuses that the service reads or writes. Others exist and are left alone."""

    UPLOADING = "uploading"
    QUEUED = "conversion queued"
    CONVERTING = "converting"
    DONE = "done"
    FAILED = "conversion failed"
    CANCELLED = "cancelled"


ACTIVE = [DatasetStatus.QUEUED.value, DatasetStatus.CONVERTING.value]
"""The statuses in which a service has something to do."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow of the state diagram.

    Attributes
    ----------
    by : str
        The method of `DatasetStore`, or who else writes it.
    when : str
        What must be the case.
    """

    source: str
    target: str
    by: str
    when: str


ANY = "*"

TRANSITIONS = (
    Transition(
        ANY, DatasetStatus.QUEUED, "portal, API, shell, requeue", "somebody asks: a new request"
    ),
    Transition(
        DatasetStatus.QUEUED, DatasetStatus.CONVERTING, "claim", "a service is free and it is due"
    ),
    Transition(
        DatasetStatus.CONVERTING, DatasetStatus.CONVERTING, "renew", "every 3 s, by its owner"
    ),
    Transition(DatasetStatus.CONVERTING, DatasetStatus.DONE, "complete", "published"),
    Transition(
        DatasetStatus.CONVERTING, DatasetStatus.QUEUED, "retry", "it may succeed later: back-off"
    ),
    Transition(
        DatasetStatus.CONVERTING, DatasetStatus.QUEUED, "release", "the service is told to stop"
    ),
    Transition(
        DatasetStatus.CONVERTING, DatasetStatus.FAILED, "fail", "it can never succeed, or limit"
    ),
    Transition(
        DatasetStatus.CONVERTING, DatasetStatus.QUEUED, "rescue", "the owner's lease ran out"
    ),
    Transition(
        DatasetStatus.CONVERTING, DatasetStatus.FAILED, "rescue", "lost more often than the limit"
    ),
    Transition(
        DatasetStatus.CONVERTING,
        DatasetStatus.QUEUED,
        "rescue",
        "no lease of ours, untouched for FOREIGN_CLAIM_MINUTES: a new request",
    ),
    Transition(
        DatasetStatus.CONVERTING,
        DatasetStatus.QUEUED,
        "take back",
        "its owner finds `conversion` overwritten",
    ),
    Transition(
        DatasetStatus.QUEUED, DatasetStatus.CANCELLED, "cancel", "somebody does not want it"
    ),
    Transition(
        DatasetStatus.CONVERTING, DatasetStatus.CANCELLED, "cancel", "somebody does not want it"
    ),
)
"""Every transition, for the store's tests and for ``docs/states.md``."""

USABLE_UUID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to convert one dataset, as long as its lease holds.

    Attributes
    ----------
    id
        `_id` of the document, by which everything is written.
    uuid
        As found; a `str` that is safe as the name of a folder where `problem` is None.
    token : str
        Fences this owner: every write and every staging folder carries it.
    request_id : str
        Stays the same over the attempts of one request.
    attempt : int
        The number of this attempt, from 1; only counted attempts before it count.
    lost : int
        How often a host or lease of this request was lost.
    delays : int
        Uncounted delays of this request so far (full disk, storage away).
    smaller : int
        How often this request has run out of memory: if ever, its plan is to be a smaller one.
    share : str
        Whose turn it takes in the queue. Not to be logged: it may hold an e-mail address.
    sensor, parameters
        `sensor` and `conversion_parameters` as found.
    problem : PermanentError or None
        Why it must fail without any file being touched.
    """

    id: Any
    uuid: Any
    token: str
    owner: str
    request_id: str
    attempt: int = 1
    lost: int = 0
    delays: int = 0
    smaller: int = 0
    share: str = field(default="", repr=False)
    sensor: Any = None
    parameters: Any = None
    problem: PermanentError | None = None


def value_at(document: Any, *path: str) -> Any:
    """What stands under these names, one inside the other; None where nothing does."""
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


@dataclass(frozen=True, slots=True)
class PortalSummary:
    """What a finished conversion tells the portal.

    Attributes
    ----------
    dimensions : str
        As the portal lists them, x first: ``1024x1024x100``; empty if unknown.
    data_size_gb : float or None
        Size of the dataset in GB.
    result : Mapping
        A few facts more, kept in the document under `conversion.result`.
    """

    dimensions: str = ""
    data_size_gb: float | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    message: str = "Converted"


def identity_problem(uuid: Any) -> PermanentError | None:
    """Why `uuid` cannot be tied to a folder, or None."""
    if uuid is None or uuid == "":
        return MissingUuid()
    if type(uuid) is not str:  # BSON's Code is a kind of str, and another value to MongoDB
        return UnusableUuid(f"The dataset's uuid is not text but {type(uuid).__name__}.")
    if not USABLE_UUID.fullmatch(uuid):
        return UnusableUuid(f"The dataset's uuid {uuid[:140]!r} cannot be the name of a folder.")
    return None


def remote_problem(link: Any) -> PermanentError | None:
    """`RemoteDataset` if the link is to another server than Google's, or None."""
    if isinstance(link, str) and "http" in link and "google.com" not in link:
        return RemoteDataset(f"The dataset lies on another server ({link[:200]}).")
    return None
