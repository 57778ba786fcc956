"""What every log line about an attempt carries, under the same names everywhere."""

from __future__ import annotations

from typing import Any

from scientistcloud.datasets.documents.document import Claim

_PREFIX = 8
_LONGEST = 128


def log_keys(claim: Claim) -> dict[str, Any]:
    """``dataset``, ``attempt`` and ``token``: of the token so much as tells attempts apart."""
    return {
        "dataset": str(claim.uuid)[:_LONGEST],
        "attempt": claim.attempt,
        "token": claim.token[:_PREFIX],
    }
