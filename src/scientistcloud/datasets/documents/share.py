"""Whose turn a dataset takes: its user's, else its team's; those of nobody take turns as one.

For the order of the queue only: never an identity, never in a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scientistcloud.datasets.documents.expression import Stage, is_type

LONGEST_SHARE_BYTES = 320
NOBODY = "nobody"


def _named(field: str) -> Stage:
    """Whether `field` can name somebody: a text that is neither empty nor overlong."""
    length = {"$strLenBytes": {"$cond": [is_type(field, "string"), field, ""]}}
    return {"$and": [{"$gt": [length, 0]}, {"$lte": [length, LONGEST_SHARE_BYTES]}]}


SHARE: Stage = {
    "$switch": {
        "branches": [
            {"case": _named("$user"), "then": {"$concat": ["user ", "$user"]}},
            {"case": _named("$team_uuid"), "then": {"$concat": ["team ", "$team_uuid"]}},
        ],
        "default": NOBODY,
    }
}
"""The share, for an update pipeline."""


def share_of(document: Mapping[str, Any]) -> str:
    """`SHARE` of a document that has not been given one."""
    for field, kind in (("user", "user"), ("team_uuid", "team")):
        value = document.get(field)
        if isinstance(value, str) and 0 < len(value.encode()) <= LONGEST_SHARE_BYTES:
            return f"{kind} {value}"
    return NOBODY
