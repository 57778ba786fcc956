"""What an attempt is to do: where it writes, within which limits, and what its child is told."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from scientistcloud import host
from scientistcloud.conversion.publishing.publish import Publication
from scientistcloud.conversion.publishing.staged import STAGING
from scientistcloud.datasets.documents.document import Claim
from scientistcloud.errors import InvalidOptions
from scientistcloud.service.confinement.limits import Limits
from scientistcloud.settings import Settings

_PARAMETERS_BYTES = 64 << 10
_SENSOR_CHARACTERS = 200


def publication_of(claim: Claim, settings: Settings) -> Publication:
    """Where the attempt of `claim` writes."""
    return Publication(
        target=settings.out_data_dir / claim.uuid,
        staging_root=settings.out_data_dir / STAGING,
        name=claim.uuid,
        token=claim.token,
    )


def refuse_parameters(claim: Claim) -> InvalidOptions | None:
    """Why the parameters of a dataset cannot be told to a child; None where they can."""
    parameters = claim.parameters
    if parameters is not None and not isinstance(parameters, dict):
        return InvalidOptions(
            "conversion_parameters must be an object with a name for each value, "
            f"not {type(parameters).__name__}."
        )
    try:
        size_bytes = len(json.dumps(parameters))
    except (TypeError, ValueError, RecursionError):
        return InvalidOptions(
            "conversion_parameters hold a value that is neither text, number, list nor object."
        )
    if size_bytes > _PARAMETERS_BYTES:
        return InvalidOptions(
            f"conversion_parameters are larger than {_PARAMETERS_BYTES >> 10} KiB."
        )
    return None


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
            "sensor": None if claim.sensor is None else str(claim.sensor)[:_SENSOR_CHARACTERS],
            "parameters": claim.parameters or {},
            "memory_limit_bytes": settings.memory_limit_bytes,
            "threads": _threads(settings),
            "smaller": claim.smaller > 0,
            "checkpoint_seconds": settings.checkpoint_seconds,
            "max_timesteps": settings.max_timesteps,
        },
    }


def _threads(settings: Settings) -> int:
    return min(settings.cpu_limit, host.cores())


def limits_of(settings: Settings) -> Limits:
    """The time limit of an attempt holds for each of its threads, the main one included."""
    cpu_seconds = settings.timeout_seconds * (_threads(settings) + 1)
    return Limits(settings.memory_limit_bytes, cpu_seconds)
