"""The transitions as MongoDB update pipelines: pure functions from values to pipelines.

Every pipeline is evaluated by the server in one step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scientistcloud.datasets.documents.document import Claim, DatasetStatus, PortalSummary
from scientistcloud.datasets.documents.expression import (
    NOW,
    REMOVE,
    RESET_CONVERSION,
    WAITING,
    Stage,
    count_or_zero,
    in_seconds,
    is_type,
    literal,
    whole,
)
from scientistcloud.datasets.documents.queue_order import EPOCH, LATEST
from scientistcloud.datasets.documents.share import SHARE
from scientistcloud.errors import ConversionError, OutOfMemory

HISTORY_LENGTH = 10
SETTLED = ("conversion.lease", "conversion.waiting", "conversion.queued_at", "conversion.share")
"""What no document keeps that is neither queued nor converting."""

TROUBLE = ("conversion.error", "conversion_last_error", "error_message")
OF_A_REQUEST = (*TROUBLE, "conversion.contested")
"""What a new request does not begin with."""

COUNTS = ("attempts", "lost", "delays", "smaller")
"""What is counted of a request while it is converted, and kept while it waits to go on."""

CONTESTED: Stage = {
    "$cond": [
        {"$eq": ["$updated_at", "$conversion.lease.written_at"]},
        "$conversion.contested",
        whole({"at": NOW, "how": "written", "status": "$status"}),
    ]
}
"""What is noted of other programs that wrote to a dataset while we hold it."""


def claiming(token: str, owner: str, request_id: str, lease_seconds: float) -> list[Stage]:
    """``conversion queued`` -> ``converting``; `request_id` is for a new request."""
    again = "$conversion.again"

    def kept(count: str) -> Stage:
        return {"$cond": [again, count_or_zero(f"$conversion.waiting.{count}"), 0]}

    known_request = {
        "$and": [
            again,
            is_type("$conversion.request", "object"),
            is_type("$conversion.request.id", "string"),
        ]
    }
    request = {"id": literal(request_id), "at": NOW}
    lease = {
        "owner": literal(owner),
        "token": literal(token),
        "taken_at": NOW,
        "expires_at": in_seconds(lease_seconds),
        "written_at": NOW,
    }
    changes: Stage = {
        "progress": 0,
        "status_message": "Starting",
        "conversion_retry_count": kept("attempts"),
        "conversion.request": {"$cond": [known_request, "$conversion.request", request]},
        "conversion.share": SHARE,
        "conversion.lease": whole(lease),
    }
    changes |= {f"conversion.{count}": kept(count) for count in COUNTS}
    changes |= {field: {"$cond": [again, f"${field}", REMOVE]} for field in OF_A_REQUEST}
    gone = ["conversion.again", "conversion.waiting"]
    reset, *moved = _moving(DatasetStatus.CONVERTING, changes, gone)
    return [reset, {"$set": {"conversion.again": WAITING}}, *moved]


def renewing(
    lease_seconds: float,
    progress: tuple[float, str] | None = None,
    plan: Mapping[str, Any] | None = None,
) -> list[Stage]:
    """Prolong the lease; show progress (percent, message) and what is being made."""
    changes: Stage = {
        "updated_at": NOW,
        "conversion.contested": CONTESTED,
        "conversion.lease.expires_at": in_seconds(lease_seconds),
        "conversion.lease.written_at": NOW,
    }
    if progress is not None:
        percent, message = progress
        changes["progress"] = round(min(max(percent, 0.0), 100.0), 1)
        changes["status_message"] = literal(message)
    if plan is not None:
        changes["conversion.plan"] = literal(dict(plan))
    return [{"$set": changes}]


def completing(claim: Claim, summary: PortalSummary) -> list[Stage]:
    changes: Stage = {
        "completed_at": NOW,
        "conversion.contested": CONTESTED,
        "progress": 100,
        "status_message": literal(summary.message),
        "conversion.result": literal(dict(summary.result)),
        "conversion.history": history(claim, "done"),
    }
    if summary.dimensions:
        changes["dimensions"] = literal(summary.dimensions)
    if summary.data_size_gb is not None:
        changes["data_size"] = float(summary.data_size_gb)
    return _moving(DatasetStatus.DONE, changes, [*SETTLED, *TROUBLE])


def retrying(
    claim: Claim, error: ConversionError, delay_seconds: float, *, counted: bool, lost: bool = False
) -> list[Stage]:
    """Back to ``conversion queued``, due after a delay; the reason is shown meanwhile."""
    after = replace(
        claim,
        attempt=claim.attempt + int(counted),
        lost=claim.lost + int(lost),
        delays=claim.delays + int(not counted and not lost),
        smaller=claim.smaller + int(isinstance(error, OutOfMemory)),
    )
    return _putting_back(
        after,
        f"Waiting to try again: {error.message}",
        delay_seconds,
        {
            "conversion_retry_count": after.attempt - 1,
            **_blame(error),
            "conversion.history": history(claim, "lost" if lost else "retry", error),
        },
    )


def taking_back(claim: Claim, error: ConversionError) -> list[Stage]:
    """`retrying` at once of a claim whose record was overwritten: its request goes on."""
    former = whole({"id": literal(claim.request_id), "at": NOW})
    request: Stage = {"$set": {"conversion.request": former}}
    again = retrying(claim, error, 0.0, counted=False, lost=True)
    return [RESET_CONVERSION, request, *again, *stamping()]


def contesting(how: str) -> list[Stage]:
    """Note that another program did something to a dataset that was ours; the lease goes."""
    return [
        {"$set": {"conversion.contested": whole({"at": NOW, "how": how, "status": "$status"})}},
        {"$unset": "conversion.lease"},
    ]


def releasing(claim: Claim) -> list[Stage]:
    """Back to ``conversion queued`` as if it had not been claimed."""
    noted: Stage = {"conversion.history": history(claim, "released")}
    return _putting_back(claim, "Waiting: its service was stopped", 0.0, noted)


def holding_back(claim: Claim) -> list[Stage]:
    """`releasing` of a claim that nothing was done with."""
    message = "Waiting: others of its user's datasets are being converted"
    return _putting_back(claim, message, 0.0, {})


def _putting_back(claim: Claim, message: str, delay_seconds: float, changes: Stage) -> list[Stage]:
    """``converting`` -> ``conversion queued`` with the counts of `claim`."""
    waiting = {
        "token": literal(claim.token),
        "not_before": in_seconds(delay_seconds),
        "attempts": claim.attempt - 1,
        "lost": claim.lost,
        "delays": claim.delays,
        "smaller": claim.smaller,
    }
    changes = {
        "progress": 0,
        "status_message": literal(message),
        "conversion.waiting": whole(waiting),
        **changes,
    }
    return _moving(DatasetStatus.QUEUED, changes, ["conversion.lease"])


def failing(claim: Claim, error: ConversionError, *, counted: bool) -> list[Stage]:
    changes: Stage = {
        "status_message": literal(error.message),
        "conversion_retry_count": claim.attempt - 1 + int(counted),
        **_blame(error),
        "conversion.history": history(claim, "failed", error),
    }
    return _moving(DatasetStatus.FAILED, changes, SETTLED)


def clearing() -> list[Stage]:
    """Remove what is left of a claim from a document that somebody else cancelled."""
    return [{"$unset": list(SETTLED)}]


def cancelling() -> list[Stage]:
    changes: Stage = {"status_message": "Cancelled", "progress": 0}
    return _moving(DatasetStatus.CANCELLED, changes, SETTLED)


def requeueing() -> list[Stage]:
    """``conversion queued`` as a new request."""
    changes: Stage = {
        "progress": 0,
        "status_message": "Waiting for conversion",
        "conversion_retry_count": 0,
        "conversion.queued_at": NOW,
    }
    gone = ["conversion.lease", "conversion.waiting", *TROUBLE]
    return _moving(DatasetStatus.QUEUED, changes, gone)


def stamping() -> list[Stage]:
    """Give a queued document the two values that the order goes by."""
    priority = "$conversion.priority"
    usable = {"$and": [{"$isNumber": priority}, {"$gte": [priority, float("-inf")]}]}
    queued_at = "$conversion.queued_at"
    dated = {
        "$and": [
            is_type(queued_at, "date"),
            {"$gte": [queued_at, EPOCH]},
            {"$lte": [queued_at, LATEST]},
        ]
    }
    return [
        RESET_CONVERSION,
        {
            "$set": {
                "conversion.priority": {"$cond": [usable, priority, 0]},
                "conversion.queued_at": {"$cond": [dated, queued_at, NOW]},
                "conversion.share": SHARE,
            }
        },
    ]


def history(claim: Claim, outcome: str, error: ConversionError | None = None) -> Stage:
    """The attempts so far and this one, the newest last, bounded."""
    entry: Stage = {
        "token": literal(claim.token),
        "owner": literal(claim.owner),
        "request": literal(claim.request_id),
        "attempt": claim.attempt,
        "ended_at": NOW,
        "outcome": outcome,
    }
    if error is not None:
        entry |= {"code": error.code, "message": literal(error.message[:500])}
    former = {"$cond": [{"$isArray": "$conversion.history"}, "$conversion.history", []]}
    return {"$slice": [{"$concatArrays": [former, [entry]]}, -HISTORY_LENGTH]}


def _moving(status: DatasetStatus, changes: Stage, gone: Sequence[str]) -> list[Stage]:
    return [
        RESET_CONVERSION,
        {"$set": {"status": literal(str(status)), "updated_at": NOW, **changes}},
        {"$unset": list(gone)},
    ]


def _blame(error: ConversionError) -> Stage:
    return {
        "conversion.error": literal(error.to_dict()),
        "conversion_last_error": literal(f"{error.message} {error.remedy}"),
    }
