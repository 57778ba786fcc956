"""What an attempt is to do: where it writes, within which limits, and what its child is told."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from scientistcloud import host
from scientistcloud.conversion.publish import STAGING, Publication
from scientistcloud.datasets.document import Claim
from scientistcloud.service.limits import Limits
from scientistcloud.settings import Settings


def publication_of(claim: Claim, settings: Settings) -> Publication:
    """Where the attempt of `claim` writes."""
    return Publication(
        target=settings.out_data_dir / claim.uuid,
        staging_root=settings.out_data_dir / STAGING,
        name=claim.uuid,
        token=claim.token,
    )


def order_for(
    claim: Claim, publication: Publication, limits: Limits, settings: Settings
) -> dict[str, Any]:
    """What the child of an attempt is told, as `attempt.run_attempt` reads it."""
    return {
        "source": str(settings.in_data_dir / claim.uuid),
        "target": str(publication.target),
        "staging_root": str(publication.staging_root),
        "name": publication.name,
        "token": publication.token,
        "request": claim.request_id,
        "limits": asdict(limits),
        "options": {
            "sensor": claim.sensor if isinstance(claim.sensor, str | None) else str(claim.sensor),
            "parameters": claim.parameters or {},
            "memory_limit_bytes": settings.memory_limit_bytes,
            "threads": _threads(settings),
            "smaller": claim.smaller > 0,
            "checkpoint_seconds": settings.checkpoint_seconds,
        },
    }


def _threads(settings: Settings) -> int:
    return min(settings.cpu_limit, host.cores())


def limits_of(settings: Settings) -> Limits:
    """The time limit of an attempt holds for each of its threads, the main one included."""
    cpu_seconds = settings.timeout_seconds * (_threads(settings) + 1)
    return Limits(settings.memory_limit_bytes, cpu_seconds)
