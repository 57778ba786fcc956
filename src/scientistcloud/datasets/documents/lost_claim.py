"""What a service does that finds its claim lost: it mends a damaged record, and notes a contest.

Usually nothing: the dataset was rescued, cancelled, queued again or deleted, and is in good hands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scientistcloud.datasets.documents import transition
from scientistcloud.datasets.documents.collection import GuardedCollection
from scientistcloud.datasets.documents.document import ACTIVE, Claim, DatasetStatus, value_at
from scientistcloud.datasets.documents.expression import Stage
from scientistcloud.datasets.documents.retry import is_last_loss
from scientistcloud.errors import HostLost

CONVERTING = DatasetStatus.CONVERTING.value


def look_after(collection: GuardedCollection, claim: Claim) -> None:
    """Put the dataset back into the queue if the record of the claim was damaged.

    Where another program cancelled it, the claim is removed; where it ended the conversion
    instead of its owner, that is noted for ``doctor``. Each is one conditional update of exactly
    what was seen.
    """
    found = collection.find_one({"_id": claim.id}, {"status": 1, "conversion": 1})
    if found is None or "conversion" not in found:
        return
    status, conversion = found.get("status"), found["conversion"]
    if status == CONVERTING and is_damaged(conversion, claim):
        seen = {"conversion": {"$eq": conversion, "$exists": True}}
        query = {"_id": claim.id, "status": CONVERTING, **seen}
        collection.update_id(query, _taking_back(claim))
    elif isinstance(status, str) and status not in ACTIVE:
        token = {"conversion.lease.token": claim.token}
        query = {"_id": claim.id, "status": {"$eq": status}, **token}
        is_cancelled = status == DatasetStatus.CANCELLED
        update = transition.clearing() if is_cancelled else transition.contesting("ended")
        collection.update_id(query, update)


def is_damaged(conversion: Any, claim: Claim) -> bool:
    """Whether `conversion` is what no program of ours, and no older service, can have left.

    An older service changes the status and leaves `conversion` alone. So one without a lease is
    damaged only if it has lost the request too.
    """
    if not isinstance(conversion, Mapping):
        return True
    known = value_at(conversion, "request", "id")
    if isinstance(known, str) and known != claim.request_id:
        return False
    if "lease" not in conversion:
        return not isinstance(known, str)
    token, expires_at = (value_at(conversion, "lease", name) for name in ("token", "expires_at"))
    return not (isinstance(token, str) and isinstance(expires_at, datetime))


def _taking_back(claim: Claim) -> list[Stage]:
    error = HostLost("Another program overwrote the record of the claim.")
    if is_last_loss(claim.lost):
        return transition.failing(claim, error, counted=False)
    return transition.taking_back(claim, error)
