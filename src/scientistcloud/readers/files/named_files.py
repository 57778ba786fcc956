"""The parameter ``file``: one of several files of a format, or all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scientistcloud.errors import InvalidOptions
from scientistcloud.readers.base import Choice

_ALL = "all"
_MAX_ALTERNATIVES = 20


def named_files(
    paths: list[Path], name_of: Callable[[Path], str], parameters: Mapping[str, Any]
) -> tuple[list[Path], list[Choice]]:
    """The file that the parameter ``file`` names, or all.

    Raises
    ------
    InvalidOptions
        It names none of them.
    """
    wanted = parameters.get("file")
    if wanted in (None, "", _ALL) or len(paths) == 1:
        return paths, []
    named = [p for p in paths if wanted in (p.name, name_of(p))]
    if not named:
        raise InvalidOptions(
            f"The parameter file names {wanted!r}, which is none of the files.",
            remedy=f"Choose one of: {', '.join(name_of(p) for p in paths[:8])}.",
        )
    others = tuple(name_of(p) for p in paths if p not in named)[:_MAX_ALTERNATIVES]
    return named[:1], [Choice("file", str(wanted), "named by the parameter", others)]


def all_files(rule: str, names: Sequence[str]) -> Choice:
    """All are read; each can be had alone."""
    return Choice("file", _ALL, rule, tuple(names[:_MAX_ALTERNATIVES]))
