"""Data files that a header names by a pattern with a number."""

from __future__ import annotations

import re

from scientistcloud.errors import CorruptSource

MAX_FILES = 100_000
_PATTERN = re.compile(r"^(?P<name>.*%0?\d{0,2}d.*?)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)(?:\s+(\d+))?$")


def numbered_names(written: str, name: str) -> tuple[str, ...]:
    """The files that ``name%03d.raw first last step`` stands for; `written` itself if it is none.

    Raises
    ------
    CorruptSource
        The numbers or the pattern cannot be.
    """
    pattern = _PATTERN.match(written)
    if pattern is None:
        return (written,)
    first, last, step = (int(pattern[i]) for i in (2, 3, 4))
    if step == 0 or (last - first) * step < 0 or abs((last - first) // step) >= MAX_FILES:
        raise CorruptSource(f"{name} names its data files by numbers that cannot be.")
    numbers = range(first, last + (1 if step > 0 else -1), step)
    template = pattern["name"]
    if template.count("%") != 1:
        raise CorruptSource(f"{name} names its data files by a pattern that cannot be.")
    return tuple(template % n for n in numbers)
