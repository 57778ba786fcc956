"""What an attempt comes to, and what became of its claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scientistcloud.errors import ConversionError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to: a result, an error, or (with neither) it was stopped."""

    result: dict[str, Any] | None = None
    error: ConversionError | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a claim ended, for metrics and traces.

    Attributes
    ----------
    name : str
        ``done``, ``retry``, ``failed``, ``released`` or ``lost``.
    code : str
        Of the error, empty without one.
    bytes_in, bytes_out, peak_memory_bytes : int
        Of a finished conversion.
    """

    name: str
    code: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    peak_memory_bytes: int = 0

    @classmethod
    def done(cls, result: dict[str, Any]) -> Ending:
        """That of a conversion whose result the document tells."""

        def number(key: str) -> int:
            return max(0, int(result.get(key, 0)))

        return cls("done", "", number("bytes_in"), number("bytes_out"), number("peak_rss_bytes"))


LOST = Ending("lost")
