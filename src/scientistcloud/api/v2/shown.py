"""From documents to what callers are shown of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scientistcloud.access.action import OF_DATASETS, Action
from scientistcloud.access.caller import Caller
from scientistcloud.access.rights import decide, is_true
from scientistcloud.api.context import ApiContext
from scientistcloud.api.v2.models import Dataset, Problem
from scientistcloud.datasets.catalogue.facts import (
    error_of,
    percent_of,
    seconds_left,
    stage_of,
    tags_of,
)
from scientistcloud.datasets.documents.document import DatasetStatus
from scientistcloud.datasets.queue.forecast import Scene, read_scene
from scientistcloud.datasets.reports.overview import describe


def show(
    context: ApiContext, caller: Caller, document: Mapping[str, Any], scene: Scene | None = None
) -> Dataset:
    """One dataset as this caller sees it."""
    waits = document.get("status") == DatasetStatus.QUEUED
    place = describe(context.datasets, document, scene) if waits else {}
    error = error_of(document)
    rights = [each.value for each in Action if each in OF_DATASETS and may(caller, each, document)]
    personal = Action.DOWNLOAD.value in rights and not caller.link and not caller.is_nobody
    parameters = document.get("conversion_parameters")
    return Dataset(
        uuid=str(document.get("uuid") or ""),
        name=str(document.get("name") or document.get("uuid") or ""),
        status=str(document.get("status") or ""),
        stage=stage_of(document),
        percent=percent_of(document),
        seconds_left=seconds_left(document),
        queue_position=place.get("position"),
        waiting=place.get("waiting"),
        expected_start=place.get("expected_start"),
        message=_text(document.get("status_message")),
        error=Problem(**error) if error else None,
        sensor=_text(document.get("sensor")),
        parameters=parameters if isinstance(parameters, dict) else None,
        description=_text(document.get("description")),
        tags=tags_of(document),
        # Whoever has but a link, or sees what is public, learns nobody's address.
        owner=_text(document.get("user") or document.get("user_email")) if personal else None,
        team=_text(document.get("team_uuid")) if personal else None,
        folder=_text(document.get("folder_uuid")),
        is_public=is_true(document.get("is_public")),
        is_public_downloadable=is_true(document.get("is_public_downloadable")),
        dimensions=_text(document.get("dimensions")),
        size_bytes=_whole(document.get("total_size_bytes")),
        files=_whole(document.get("file_count")),
        created_at=_date(document.get("created_at")),
        updated_at=_date(document.get("updated_at")),
        completed_at=_date(document.get("completed_at")),
        rights=rights,
        has_result=_has_result(context, document),
    )


def show_all(context: ApiContext, caller: Caller, documents: list[dict[str, Any]]) -> list[Dataset]:
    """Several datasets; the queue is read once for all of them."""
    waits = any(each.get("status") == DatasetStatus.QUEUED for each in documents)
    scene = read_scene(context.datasets) if waits else None
    return [show(context, caller, each, scene) for each in documents]


def may(caller: Caller, action: Action, document: Mapping[str, Any]) -> bool:
    return decide(caller, action, document).is_allowed


def _has_result(context: ApiContext, document: Mapping[str, Any]) -> bool:
    uuid = document.get("uuid")
    return isinstance(uuid, str) and context.results.has(uuid)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _date(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None
