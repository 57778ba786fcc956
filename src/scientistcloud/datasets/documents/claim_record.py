"""A claim as its document records it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scientistcloud.datasets.documents import expression
from scientistcloud.datasets.documents.collection import Document
from scientistcloud.datasets.documents.document import (
    Claim,
    DatasetStatus,
    identity_problem,
    remote_problem,
    value_at,
)

CLAIM_FIELDS = {
    "uuid": 1,
    "sensor": 1,
    "conversion_parameters": 1,
    "google_drive_link": 1,
    "conversion.request.id": 1,
    "conversion.attempts": 1,
    "conversion.lost": 1,
    "conversion.delays": 1,
    "conversion.smaller": 1,
    "conversion.share": 1,
    "conversion.lease.token": 1,
    "conversion.lease.owner": 1,
}


def held(claim: Claim) -> Document:
    """The document of a claim, as long as it is held."""
    return {
        "_id": claim.id,
        "status": DatasetStatus.CONVERTING.value,
        "conversion.lease.token": claim.token,
    }


def claim_from(document: Mapping[str, Any]) -> Claim:
    """The claim that a document in ``converting`` with a lease of ours describes."""
    conversion: Document = document.get("conversion") or {}
    lease = conversion.get("lease") or {}
    request_id = value_at(conversion, "request", "id")
    share = conversion.get("share")
    uuid = document.get("uuid")
    return Claim(
        id=document["_id"],
        uuid=uuid,
        token=str(lease.get("token", "")),
        owner=str(lease.get("owner", "")),
        request_id=request_id if isinstance(request_id, str) else "",
        attempt=1 + _count(conversion.get("attempts")),
        lost=_count(conversion.get("lost")),
        delays=_count(conversion.get("delays")),
        smaller=_count(conversion.get("smaller")),
        share=share if isinstance(share, str) else "",
        sensor=document.get("sensor"),
        parameters=document.get("conversion_parameters"),
        problem=identity_problem(uuid) or remote_problem(document.get("google_drive_link")),
    )


def _count(value: Any) -> int:
    usable = isinstance(value, int | float) and 0 <= value <= expression.LARGEST_COUNT
    return int(value) if usable else 0
