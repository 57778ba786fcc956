"""Each change is written down: who, what, when, to which dataset; no tokens, no contents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from scientistcloud.api.rights import Granted
from scientistcloud.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)


def note(granted: Granted, what: str, uuid: str, fields: Sequence[str] = ()) -> None:
    """Write a change into the log and into ``sclib_audit``; never an obstacle to the change."""
    who = granted.caller.email or (f"link {granted.caller.link.id}" if granted.caller.link else "")
    log.info("Changed", who=who, what=what, dataset=uuid, fields=list(fields))
    entry = {"at": datetime.now(UTC), "who": who, "what": what, "uuid": uuid}
    try:
        with granted.context.audit.guard() as collection:
            collection.insert_one(entry | {"fields": list(fields)})
    except DatabaseUnavailable as error:
        log.warning("The audit cannot be written to", reason=error.message)
