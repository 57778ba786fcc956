"""Why a request is refused: the tree of answers that are no success, each with a remedy.

Errors of conversions are in `errors`; these are of requests to a server, whatever carries them.
`status` is the HTTP status, because that is what these classes stand for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from scientistcloud.errors import printable


class Refusal(Exception):
    """A request that is not carried out.

    Parameters
    ----------
    message : str
        A sentence for the person who asked; the class's own where none is given.
    remedy : str, optional
        What to do about it.
    facts : Mapping, optional
        Numbers that a program can use (what is left of a quota, where an upload stands).
    """

    status: ClassVar[int] = 400
    meaning: ClassVar[str] = "The request cannot be carried out."
    remedy_hint: ClassVar[str] = "Correct the request."

    def __init__(
        self,
        message: str | None = None,
        *,
        remedy: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.message = printable(message or self.meaning)
        self.remedy = printable(remedy or self.remedy_hint)
        self.facts = dict(facts or {})
        super().__init__(self.message)

    @property
    def code(self) -> str:
        """The stable name by which programs know this answer: the class's own."""
        return type(self).__name__


class BadRequest(Refusal):
    meaning = "The request is not understood."


class UnusableName(BadRequest):
    meaning = "A name in the request cannot be that of a file."
    remedy_hint = (
        "Use names without '..', control characters and a leading '/'; up to 255 bytes a part."
    )


class NotSignedIn(Refusal):
    status = 401
    meaning = "Nobody is signed in."
    remedy_hint = "Sign in, or send a token or key in the header Authorization."


class NotAllowed(Refusal):
    status = 403
    meaning = "You may not do this."
    remedy_hint = "Ask the owner of the dataset for the right."


class NotFound(Refusal):
    status = 404
    meaning = "There is no such thing, or you may not see it."
    remedy_hint = "Check the name; sign in if it is not public."


class DatasetNotFound(NotFound):
    meaning = "There is no such dataset, or you may not see it."


class ResultNotFound(NotFound):
    meaning = "This dataset has no converted result."
    remedy_hint = "Wait until its status is done."


class UploadNotFound(NotFound):
    meaning = "There is no such upload."
    remedy_hint = "It may be complete, cancelled or expired: begin it again."


class Conflict(Refusal):
    status = 409
    meaning = "The dataset is in a state in which this cannot be done."
    remedy_hint = "Look at its status and try again."


class WrongOffset(Conflict):
    meaning = "The upload does not go on at this place."
    remedy_hint = "Ask where it stands (HEAD), and go on from there."


class Gone(Refusal):
    status = 410
    meaning = "The upload has expired."
    remedy_hint = "Begin it again."


class Changed(Refusal):
    status = 412
    meaning = "The dataset was changed by somebody else meanwhile."
    remedy_hint = "Read it again, then repeat the change."


class TooLarge(Refusal):
    status = 413
    meaning = "This is more than one request may bring or ask for."
    remedy_hint = "Ask for less at a time."


class BoxTooLarge(TooLarge):
    meaning = "The box holds more samples than one answer may."
    remedy_hint = "Ask for parts of it, or at a coarser resolution."


class QuotaExceeded(TooLarge):
    meaning = "The quota does not suffice for this upload."
    remedy_hint = "Delete datasets that are not needed any more, or ask for more."


class WrongChecksum(Refusal):
    status = 460
    meaning = "What arrived is not what was sent: the checksum differs."
    remedy_hint = "Send this part again."


class TooManyRequests(Refusal):
    status = 429
    meaning = "Too many requests of this kind in a short time."
    remedy_hint = "Wait a moment, then go on."


class NotOffered(Refusal):
    status = 501
    meaning = "This server does not offer this."


class NoSpace(Refusal):
    status = 507
    meaning = "There is not enough room on the server's disk."
    remedy_hint = "Try again later, or ask the operator for room."


def refusals(root: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    """Every class of the tree, depth first, in the order of definition."""
    for cls in root.__subclasses__():
        yield cls
        yield from refusals(cls)
