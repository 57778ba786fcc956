"""What can be done to a dataset, to teams and to the whole: the rows of the table of rights."""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """One row of the table of rights (``docs/rights.md``)."""

    SEE = "see"
    VIEW = "view"
    DOWNLOAD = "download"
    CHANGE = "change"
    MANAGE = "manage"
    DELETE = "delete"
    CREATE = "create"
    TEAMS = "teams"
    OPERATE = "operate"
    ANYTHING = "anything"
    """Not about a dataset: whoever asks may (health, sign-in, the page itself)."""


OF_DATASETS = frozenset(
    {Action.SEE, Action.VIEW, Action.DOWNLOAD, Action.CHANGE, Action.MANAGE, Action.DELETE}
)
READING = frozenset({Action.SEE, Action.VIEW, Action.DOWNLOAD})
"""What a link may give, and a key with the scope ``read``."""

SCOPES: dict[str, frozenset[Action]] = {
    "read": READING,
    "upload": READING | {Action.CREATE, Action.CHANGE},
    "change": READING | {Action.CREATE, Action.CHANGE, Action.MANAGE, Action.DELETE, Action.TEAMS},
}
"""What keys of a scope allow at most."""
