"""Who asks: what was proved about the sender of a request."""

from __future__ import annotations

from dataclasses import dataclass

from scientistcloud.access.action import Action


@dataclass(frozen=True, slots=True)
class LinkGrant:
    """What a share link gives: some actions on one dataset."""

    uuid: str
    actions: frozenset[Action]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request.

    Attributes
    ----------
    email : str
        Lower case; empty for nobody.
    teams : frozenset of str
        Uuids and unambiguous names of the teams that the person is a member of.
    shared : frozenset of str
        Uuids of the datasets that were shared with the person or one of the teams.
    is_admin : bool
        By the settings or a role of the token; never by what users can write.
    actions : frozenset of Action, optional
        What a key allows at most; None for everything that the person may.
    link : LinkGrant, optional
        A share link, which opens its dataset and nothing else.
    """

    email: str = ""
    teams: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    is_admin: bool = False
    actions: frozenset[Action] | None = None
    link: LinkGrant | None = None

    @property
    def is_nobody(self) -> bool:
        return not self.email and not self.is_admin

    def allows(self, action: Action) -> bool:
        """Whether the proof that was sent reaches as far as `action`."""
        return self.actions is None or action in self.actions or action is Action.ANYTHING


NOBODY = Caller()


def plain_email(value: object) -> str:
    """An e-mail as it is compared: trimmed, lower case; empty for anything but a text."""
    return value.strip().casefold() if isinstance(value, str) else ""
