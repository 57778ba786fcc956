"""The status of datasets, as the portal asks for it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from scientistcloud.access.action import Action
from scientistcloud.access.listing import visible_to
from scientistcloud.api.rights import Granted, identified, permitted
from scientistcloud.datasets.documents.document import DatasetStatus
from scientistcloud.datasets.lookup import list_statuses
from scientistcloud.datasets.reports.overview import place_and_start

router = APIRouter(prefix="/api/v1/datasets", tags=["datasets"])


class StatusAnswer(BaseModel):
    """One dataset's status; `progress` in percent.

    `position` and `expected_start` are those of a queued dataset that was asked for by itself;
    null where there is nothing to go by.
    """

    success: bool = True
    dataset_uuid: str
    status: str
    progress: float
    message: str
    updated_at: datetime | None = None
    position: int | None = None
    expected_start: datetime | None = None


class StatusList(BaseModel):
    success: bool = True
    datasets: list[StatusAnswer]
    count: int


@router.get("/statuses")
def get_statuses(
    granted: Annotated[Granted, permitted(Action.ANYTHING)],
    status: Annotated[str | None, Query(max_length=100, description="only in this status")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> StatusList:
    """The statuses of many datasets, a page at a time."""
    found = list_statuses(
        granted.context.datasets, visible_to(granted.caller),
        status=status, limit=limit, offset=offset,
    )  # fmt: skip
    return StatusList(datasets=[answer_for(each) for each in found], count=len(found))


@router.get("/{identifier}/status")
def get_status(
    request: Request, identifier: str, granted: Annotated[Granted, identified(Action.SEE)]
) -> StatusAnswer:
    """The status of the dataset with this uuid, id, slug or name."""
    found = granted.document
    answer = answer_for(found)
    if answer.status == DatasetStatus.QUEUED:
        place = place_and_start(granted.context.datasets, found["_id"])
        answer.position, answer.expected_start = place
    return answer


def answer_for(document: dict[str, Any]) -> StatusAnswer:
    """What the portal is told; a document may hold anything in any field."""
    status = document.get("status")
    updated_at = document.get("updated_at")
    return StatusAnswer(
        dataset_uuid=str(document.get("uuid") or ""),
        status=str(status or ""),
        progress=_percent(document.get("progress"), status),
        message=_message(document, status),
        updated_at=updated_at if isinstance(updated_at, datetime) else None,
    )


def _percent(progress: object, status: object) -> float:
    if isinstance(progress, int | float) and not isinstance(progress, bool) and progress >= 0:
        return min(100.0, float(progress))
    return 100.0 if status == DatasetStatus.DONE else 0.0


def _message(document: dict[str, Any], status: object) -> str:
    names = ["status_message", "conversion_last_error", "error_message"]
    if isinstance(status, str) and ("failed" in status or "error" in status):
        names = [*names[1:], names[0]]
    for name in names:
        if isinstance(document.get(name), str) and document[name]:
            return str(document[name])
    return ""
