"""Sizes as people write them. Imports nothing of ours."""

from __future__ import annotations

import re

_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]?)(i?b?)\s*", re.IGNORECASE)

DEFAULT_MEMORY_LIMIT_BYTES = 8 * 1024**3
"""Of one conversion, where the host has so much."""


def parse_size(value: str | int) -> int:
    """Bytes in `value`: ``B``, ``kB MB GB TB`` (1000), ``KiB MiB GiB TiB`` (1024), ``8G`` = 8 GiB.

    Raises
    ------
    ValueError
        If `value` is no size.
    """
    match = _SIZE.fullmatch(str(value))
    if match is None or (not match[2] and match[3].lower().startswith("i")):
        raise ValueError(f"{value!r} is no size; sizes are written like 8G, 512MiB or 2.5GB")
    base = 1000 if match[3].lower() == "b" else 1024
    return int(float(match[1]) * base ** " kmgt".index(match[2].lower() or " "))
