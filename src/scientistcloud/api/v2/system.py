"""``/api/v2/system``: whether all is well, for operators."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter

from scientistcloud.access.action import Action
from scientistcloud.api.context import ApiContext
from scientistcloud.api.rights import Granted, permitted
from scientistcloud.datasets.documents.document import value_at
from scientistcloud.datasets.reports.operators import failures_by_code, storage_by_user
from scientistcloud.datasets.services import alive_services

router = APIRouter(prefix="/api/v2", tags=["system"])


@router.get("/system")
def get_system(granted: Annotated[Granted, permitted(Action.OPERATE)]) -> dict[str, Any]:
    """Services, queue, disks, failures by code, storage by user."""
    context = granted.context
    now = datetime.now(UTC)
    oldest = context.store.oldest_queued()
    queued_at = value_at(oldest, "conversion", "queued_at")
    return {
        "counts": context.store.counts(),
        "services": [
            {
                "owner": str(each["_id"]),
                "version": str(each.get("version", "")),
                "host": str(each.get("host", "")),
                "held": each.get("running", 0),
                "seen_seconds": (now - each["seen_at"]).total_seconds(),
                "faults": each.get("faults") or {},
            }
            for each in alive_services(context.link.database())
        ],
        "disks": _disks(context),
        "failures": [
            {"code": str(each["_id"]), "count": each["count"]}
            for each in failures_by_code(context.datasets)
        ],
        "users": [
            {"owner": str(each["_id"] or ""), "datasets": each["datasets"], "bytes": each["bytes"]}
            for each in storage_by_user(context.datasets)
        ],
        "oldest_queued_seconds": (
            (now - queued_at).total_seconds() if isinstance(queued_at, datetime) else None
        ),
    }


def _disks(context: ApiContext) -> list[dict[str, Any]]:
    settings, found = context.settings, []
    for name, folder in (("upload", settings.in_data_dir), ("converted", settings.out_data_dir)):
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            continue  # what is not there has no room: the service's health says so
        found.append({"name": name, "free_bytes": usage.free, "total_bytes": usage.total})
    return found
