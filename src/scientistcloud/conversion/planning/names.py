"""Names of fields and axes that every viewer and file system accepts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_MAX_LENGTH = 100


def idx_name(name: str, default: str = "data") -> str:
    """`name` in letters, digits, ``_``, ``-`` and ``.``; `default` where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", plain.strip()).strip("._-")
    return plain[:_MAX_LENGTH] or default


def unique_names(names: Iterable[str], default: str = "data") -> tuple[str, ...]:
    """`idx_name` of each, made different by a number where two would be alike."""
    taken: set[str] = set()
    result = []
    for name in names:
        plain = base = idx_name(name, default)
        number = 2
        while plain.lower() in taken:
            plain, number = f"{base}_{number}", number + 1
        taken.add(plain.lower())
        result.append(plain)
    return tuple(result)
