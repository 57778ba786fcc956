"""Whether the API and what it needs are well."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from scientistcloud.api.link import DatabaseLink
from scientistcloud.release import __version__

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """``degraded``: the API answers, but MongoDB does not."""

    status: Literal["healthy", "degraded"]
    timestamp: datetime
    service: str = "scientistcloud"
    version: str = __version__
    database: str


@router.get("/health")
def get_health(request: Request) -> Health:
    """Answers within a second, whatever is down."""
    link: DatabaseLink = request.app.state.link
    problem = link.problem()
    return Health(
        status="degraded" if problem else "healthy",
        timestamp=datetime.now(UTC),
        database=problem or "reachable",
    )
