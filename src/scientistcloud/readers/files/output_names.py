"""Names of further outputs: folders beside ``visus.idx``, made from the names in the source."""

from __future__ import annotations

import re
from collections.abc import Collection

_UNWELCOME = re.compile(r"[^A-Za-z0-9_.-]+")
_RESERVED = frozenset({"", "visus", "metadata", "conversion"})
_MAX_LENGTH = 64


def output_name(source_name: str, taken: Collection[str]) -> str:
    """A folder name like `source_name` that is not in `taken`."""
    name = _UNWELCOME.sub("_", source_name).strip("._-")[:_MAX_LENGTH]
    if name.lower() in _RESERVED:
        name = f"data_{name}".rstrip("_")
    lower = {other.lower() for other in taken}
    number, unique = 2, name
    while unique.lower() in lower:
        unique, number = f"{name}_{number}", number + 1
    return unique
