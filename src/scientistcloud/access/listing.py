"""Which datasets a person may see, as a query of MongoDB: the table of rights, turned around."""

from __future__ import annotations

import re
from typing import Any

from scientistcloud.access.caller import Caller

PUBLIC: dict[str, Any] = {"is_public": {"$in": [True, "true", "True", "TRUE", "1", "yes", "Yes"]}}


def visible_to(caller: Caller, *, with_public: bool = True) -> dict[str, Any]:
    """The query for what `decide(caller, Action.SEE, ...)` lets somebody see.

    Parameters
    ----------
    with_public : bool
        Whether what is public to all belongs to it.
    """
    if caller.is_admin:
        return {}
    parts: list[dict[str, Any]] = [PUBLIC] if with_public else []
    if caller.email:
        parts += [owned_by(caller.email), {"shared_with": _same(caller.email)}]
        if caller.teams:
            teams = {"$in": sorted(caller.teams)}
            parts += [{"team_uuid": teams}, {"team_id": teams}, {"team": teams}]
        if caller.shared:
            parts.append({"uuid": {"$in": sorted(caller.shared)}})
    if caller.link is not None:
        parts.append({"uuid": caller.link.uuid})
    return {"$or": parts} if parts else {"_id": {"$in": []}}


def owned_by(email: str) -> dict[str, Any]:
    """The query for a person's own datasets."""
    same = _same(email)
    return {"$or": [{"user": same}, {"user_email": same}, {"user_id": same}]}


def _same(email: str) -> Any:
    return re.compile(rf"^\s*{re.escape(email)}\s*$", re.IGNORECASE)
