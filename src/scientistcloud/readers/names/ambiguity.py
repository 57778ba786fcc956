"""What cannot be told by names, in words, with the readings that there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from scientistcloud.errors import AmbiguousFormat, InvalidOptions
from scientistcloud.readers.names.columns import Column
from scientistcloud.readers.names.roles import ROLE_WORDS
from scientistcloud.readers.names.series import few

KINDS = ("depth", "time", "fields", "datasets", "labels", "words", "mosaic")
"""What ``arrangement`` can be: all files in the order of their names as slices, timesteps, fields
or datasets; rules 3 and 4 (labels) or 5 (words); tiles (`mosaic`). Several words with commas
between, such as ``time,depth``, say what each number that varies is, in their order."""


def unfitting(wanted: object) -> InvalidOptions:
    """The parameter ``arrangement`` does not fit the names."""
    return InvalidOptions(
        f"The parameter arrangement={wanted!r} does not fit the files; it can be one of "
        f"{', '.join(KINDS)}, or one of depth, time, fields, datasets for each number that varies "
        "in the names, with commas between."
    )


def ambiguous(told: str, names: Sequence[str], readings: Iterable[str]) -> AmbiguousFormat:
    """The names do not tell what the files are; `readings` are values of ``arrangement``."""
    return AmbiguousFormat(
        f"{told}, so it is unclear what the files are: {few(names)}.",
        remedy="Say it with the parameter 'arrangement': "
        + " or ".join(f"arrangement={each}" for each in readings)
        + ".",
    )


def untold(
    names: Sequence[str], columns: Sequence[Column], roles: Sequence[str], deep: bool
) -> AmbiguousFormat:
    """Several numbers vary independently, and not all words say what they count."""
    described = [f"{column.word or 'a number'} ({few(column.levels, 3)})" for column in columns]
    told = [role for role in roles if role]
    if len(set(told)) < len(told):
        roles, told = [""] * len(roles), []
    free = [role for role in ("tcd" if deep else "ztcd") if role not in told]
    ways = itertools.permutations(free, len(roles) - len(told))
    readings = []
    for way in sorted(ways, key=lambda way: way[-1] != free[0])[:3]:
        left = iter(way)
        readings.append(",".join(ROLE_WORDS[role or next(left)] for role in roles))
    return ambiguous(
        f"Several numbers in the names vary independently, {' and '.join(described)}, and their "
        "words do not tell what each of them counts",
        names,
        [*readings, "time" if deep else "depth"],
    )
