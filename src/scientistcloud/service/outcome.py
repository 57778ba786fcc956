"""What an attempt comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scientistcloud.errors import ConversionError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to: a result, an error, or (with neither) it was stopped."""

    result: dict[str, Any] | None = None
    error: ConversionError | None = None
