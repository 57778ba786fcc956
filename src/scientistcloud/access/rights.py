"""The table of rights: `decide`, the only place where it is said who may do what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from scientistcloud.access.action import OF_DATASETS, READING, Action
from scientistcloud.access.caller import Caller, plain_email

_YES = frozenset({"true", "1", "yes"})


class Role(Enum):
    """What somebody is to a dataset."""

    NOBODY = "nobody"
    PUBLIC = "public"
    PUBLIC_DOWNLOAD = "public and downloadable"
    LINK = "link holder"
    SHARED = "shared with"
    TEAM = "member of its team"
    OWNER = "owner"
    ADMIN = "admin"


_ALL = frozenset(Action)
ALLOWED: Mapping[Role, frozenset[Action]] = {
    Role.NOBODY: frozenset(),
    Role.PUBLIC: frozenset({Action.SEE, Action.VIEW}),
    Role.PUBLIC_DOWNLOAD: READING,
    Role.LINK: READING,  # as far as the link says
    Role.SHARED: READING,
    Role.TEAM: READING | {Action.CHANGE},
    Role.OWNER: OF_DATASETS,
    Role.ADMIN: _ALL,
}
"""What each role may; a person has all roles that fit."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something may be done; `is_visible` tells whether its existence may be known."""

    is_allowed: bool
    is_visible: bool = True
    reason: str = ""


def decide(caller: Caller, action: Action, dataset: Mapping[str, Any] | None = None) -> Decision:
    """Whether `caller` may do `action`, to the dataset of this document where it is about one.

    Parameters
    ----------
    dataset : Mapping, optional
        A document of ``visstoredatas``, which may hold anything in any field.
    """
    if action is Action.ANYTHING:
        return Decision(True)
    if action not in OF_DATASETS:
        return _decide_alone(caller, action)
    if dataset is None:
        return Decision(False, False)
    allowed: set[Action] = set()
    for role in roles(caller, dataset):
        allowed |= ALLOWED[role] & _granted(role, caller)
    if Action.SEE not in allowed:
        return Decision(False, False)
    if action not in allowed:
        return Decision(False, True, _missing(caller, action))
    if not caller.allows(action):
        return Decision(False, True, "The key that was sent does not reach that far.")
    return Decision(True)


def roles(caller: Caller, dataset: Mapping[str, Any]) -> frozenset[Role]:
    """Everything that `caller` is to the dataset."""
    found = {Role.NOBODY}
    if is_true(dataset.get("is_public")):
        downloadable = is_true(dataset.get("is_public_downloadable"))
        found.add(Role.PUBLIC_DOWNLOAD if downloadable else Role.PUBLIC)
    uuid = dataset.get("uuid")
    if caller.link is not None and isinstance(uuid, str) and caller.link.uuid == uuid:
        found.add(Role.LINK)
    if caller.is_admin:
        found.add(Role.ADMIN)
    if caller.email:
        found |= _personal(caller, dataset)
    return frozenset(found)


def owners(dataset: Mapping[str, Any]) -> frozenset[str]:
    """The e-mails of the owner: `user`, `user_email` and `user_id` hold it."""
    found = {plain_email(dataset.get(key)) for key in ("user", "user_email", "user_id")}
    return frozenset(each for each in found if "@" in each or each == "local")


def is_true(value: object) -> bool:
    """Whether a field says yes: true, or one of the texts that forms have sent for it."""
    return value is True or (isinstance(value, str) and value.strip().lower() in _YES)


def _personal(caller: Caller, dataset: Mapping[str, Any]) -> set[Role]:
    found = set()
    if caller.email in owners(dataset):
        found.add(Role.OWNER)
    named = [dataset.get(key) for key in ("team_uuid", "team_id", "team")]
    if any(isinstance(each, str) and each in caller.teams for each in named):
        found.add(Role.TEAM)
    listed = dataset.get("shared_with")
    names = listed if isinstance(listed, list) else []
    if dataset.get("uuid") in caller.shared or any(plain_email(n) == caller.email for n in names):
        found.add(Role.SHARED)
    return found


def _granted(role: Role, caller: Caller) -> frozenset[Action]:
    """A link gives what it says; the other roles have no such limit."""
    return caller.link.actions if role is Role.LINK and caller.link is not None else _ALL


def _decide_alone(caller: Caller, action: Action) -> Decision:
    if caller.is_admin and caller.allows(action):
        return Decision(True)
    if action is Action.OPERATE:
        return Decision(False, True, "Only administrators may do this.")
    if caller.is_nobody:
        return Decision(False, True, "Sign in first.")
    if not caller.allows(action):
        return Decision(False, True, "The key that was sent does not reach that far.")
    return Decision(True)


def _missing(caller: Caller, action: Action) -> str:
    if caller.is_nobody and caller.link is None:
        return "Sign in first: what is public may be viewed, not more."
    if action in (Action.MANAGE, Action.DELETE):
        return "Only its owner may do this."
    if action is Action.DOWNLOAD:
        return "It may be viewed, but not downloaded."
    return "You may view this dataset, but not change it."
