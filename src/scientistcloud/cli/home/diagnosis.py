"""What ``scientistcloud doctor`` finds: each finding a level, a sentence and a remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import psutil
import pymongo

from scientistcloud.cli.home.place import Place
from scientistcloud.cli.terminal.console import duration_text, since_text
from scientistcloud.database.connection import database_errors, host_of
from scientistcloud.datasets.documents.document import DatasetStatus, value_at
from scientistcloud.datasets.reports.operators import contested
from scientistcloud.datasets.reports.overview import describe
from scientistcloud.datasets.services import alive_services
from scientistcloud.errors import ConversionError
from scientistcloud.service.processes.title import BACKGROUND_SERVICE

_WAITS_LONG_SECONDS = 60.0
_FAILURES = 5
_ANSWER_SECONDS = 5.0
_CONTESTED = 20
_CONTEST_WORDS = {
    "claimed": "claimed after ours had converted it",
    "ended": "ended instead of ours",
    "written": "changed while ours converted it",
}


class Level(StrEnum):
    """How bad it is: only FAIL makes the doctor's exit status 1."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis.

    Attributes
    ----------
    subject : str
        What was looked at: MongoDB, services, ...
    facts : Mapping
        The same for machines.
    """

    level: Level
    subject: str
    text: str
    remedy: str = ""
    facts: Mapping[str, Any] | None = None


def examine(place: Place) -> Iterator[Finding]:
    """Everything that the database can tell, in the order in which one would ask.

    Raises
    ------
    DatabaseUnavailable
    """
    yield check_server(place)
    services = alive_services(place.database)
    yield from check_services(services, place)
    counts = place.store.counts()
    yield check_counts(counts)
    yield check_oldest(place, services)
    yield from check_claims(place)
    yield from check_contested(place)
    yield from check_failures(place)


def check_server(place: Place) -> Finding:
    """Which server it is, and whether it is a replica set."""
    client = place.database.client
    with database_errors(), pymongo.timeout(_ANSWER_SECONDS):
        hello = client.admin.command("hello")
        version = client.server_info()["version"]
    replica_set = hello.get("setName")
    url = place.settings.mongo_url
    where = host_of(url.get_secret_value()) if url else "?"
    facts = {"host": where, "version": version, "replica_set": replica_set}
    text = f"version {version} at {where}, database {place.settings.db_name}"
    if replica_set is None and hello.get("msg") != "isdbgrid":
        return Finding(
            Level.WARN,
            "MongoDB",
            f"{text}, no replica set: the queue is looked at each second instead of being told",
            "Start mongod with --replSet for pickup at once; all else works.",
            facts,
        )
    return Finding(Level.OK, "MongoDB", f"{text}, replica set {replica_set}", facts=facts)


def check_services(services: list[dict[str, Any]], place: Place) -> Iterator[Finding]:
    """Which services are alive, on which hosts, since when, and what they complain of."""
    if not services:
        yield Finding(
            Level.FAIL,
            "services",
            "none is running: nothing that is queued gets converted",
            f"Start one: {place.service_command}",
        )
    for each in services:
        started = each.get("started_at")
        yield Finding(
            Level.OK,
            "services",
            f"{each['_id']} on {each.get('host')} (pid {each.get('pid')}), version "
            f"{each.get('version')}, alive for {since_text(started)}, "
            f"converting {each.get('running', 0)}",
            facts={
                key: each.get(key) for key in ("host", "pid", "version", "started_at", "running")
            },
        )
        faults = each.get("faults")
        for code, message in faults.items() if isinstance(faults, Mapping) else ():
            yield Finding(
                Level.FAIL,
                "services",
                f"{each.get('host')} reports {code}: {message}",
                "Correct the installation on that host and start its service again.",
            )


def check_counts(counts: Mapping[str, int]) -> Finding:
    """How many datasets there are in each status."""
    text = ", ".join(f"{number} {status}" for status, number in counts.items()) or "none yet"
    return Finding(Level.OK, "datasets", text, facts=dict(counts))


def check_oldest(place: Place, services: list[dict[str, Any]]) -> Finding:
    """The dataset that has waited longest, and why."""
    document = place.store.oldest_queued()
    if document is None:
        return Finding(Level.OK, "queue", "nothing is waiting")
    queued_at = value_at(document, "conversion", "queued_at")
    shown = describe(place.collection, document)
    why = str(shown["waiting"]) if services else "No service is running."
    for_long = isinstance(queued_at, datetime) and (
        datetime.now(UTC) - queued_at > timedelta(seconds=_WAITS_LONG_SECONDS)
    )
    waited = f"for {since_text(queued_at)}" if isinstance(queued_at, datetime) else "just now"
    return Finding(
        Level.WARN if for_long or not services else Level.OK,
        "queue",
        f"oldest: {document.get('uuid')}, queued {waited}. {why}",
        "See 'scientistcloud status' for its place, and the services above." if for_long else "",
        {"uuid": document.get("uuid"), "queued_at": queued_at, "why": why},
    )


def check_claims(place: Place) -> Iterator[Finding]:
    """Datasets in ``converting`` that no service of ours holds."""
    running = {"status": DatasetStatus.CONVERTING.value}
    fields = {"uuid": 1, "updated_at": 1, "conversion.lease": 1}
    now = datetime.now(UTC)
    for document in place.collection.find(running, fields, limit=1000):
        lease = value_at(document, "conversion", "lease")
        expires_at = value_at(lease, "expires_at")
        touched = since_text(document.get("updated_at"))
        if not isinstance(expires_at, datetime):
            minutes = place.settings.foreign_claim_minutes
            yield Finding(
                Level.WARN,
                "claims",
                f"{document.get('uuid')} is being converted by another kind of service, which "
                f"changed it {touched} ago",
                f"It is taken over after {duration_text(60 * minutes)} of silence; at once with "
                f"'scientistcloud retry {document.get('uuid')}'.",
            )
        elif (now - expires_at).total_seconds() > place.settings.lease_seconds:
            yield Finding(
                Level.WARN,
                "claims",
                f"{document.get('uuid')} was given up by {value_at(lease, 'owner')} {touched} ago",
                "A running service takes it over within half a minute.",
            )


def check_contested(place: Place) -> Iterator[Finding]:
    """Datasets that another program wrote to while a service of ours had them in hand."""
    number, found = contested(place.collection, _CONTESTED)
    if not number:
        return
    names = ", ".join(f"{each.uuid} ({_CONTEST_WORDS.get(each.how, each.how)})" for each in found)
    more = f" and {number - len(found)} more" if number > len(found) else ""
    yield Finding(
        Level.WARN,
        "claims",
        f"another program changed {number} dataset(s) that a service of ours converted: "
        f"{names}{more}",
        "If an older service runs on this collection, stop it or ours; then 'scientistcloud retry "
        'UUID\' converts them again. An edit in the portal that only "changed" one is harmless.',
        {"number": number, "datasets": [asdict(each) for each in found]},
    )


def check_failures(place: Place) -> Iterator[Finding]:
    """The last conversions that failed, each with what to do."""
    for document in place.store.recent_failures(_FAILURES):
        found = value_at(document, "conversion", "error")
        error = found if isinstance(found, Mapping) else {}
        message = error.get("message") or document.get("conversion_last_error") or "no reason kept"
        code = f"{error['code']}: " if error.get("code") else ""
        yield Finding(
            Level.WARN,
            "failures",
            f"{document.get('uuid')} {since_text(document.get('updated_at'))} ago. {code}{message}",
            str(error.get("remedy") or f"Then: scientistcloud retry {document.get('uuid')}"),
            {"uuid": document.get("uuid"), "error": dict(error)},
        )


def local_services() -> Iterator[Finding]:
    """The services among this host's processes: all that can be told without a database."""
    found = False
    for process in psutil.process_iter(["pid", "cmdline", "create_time"]):
        command = process.info["cmdline"] or [""]
        if command[0].startswith(BACKGROUND_SERVICE):
            found = True
            started = datetime.fromtimestamp(process.info["create_time"], UTC)
            yield Finding(
                Level.WARN,
                "services",
                f"pid {process.info['pid']} of this host has run for {since_text(started)}; what "
                "it does cannot be told without MongoDB",
            )
    if not found:
        yield Finding(
            Level.WARN,
            "services",
            "no process of this host is one; those of other hosts cannot be asked for without "
            "MongoDB",
        )


def attempt(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of `check`; without a database, what can be told without it."""
    try:
        yield from check()
    except ConversionError as error:
        yield Finding(
            Level.FAIL, "MongoDB", error.message, error.remedy, facts={"error": error.to_dict()}
        )
        yield from local_services()
