"""Names of one wording are a series; what is left out beside one, and what tells several apart."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from scientistcloud.readers.names.columns import (
    Column,
    may_belong_to_word,
    varying_columns,
)
from scientistcloud.readers.names.grid import conventional_grid
from scientistcloud.readers.names.natural import stem
from scientistcloud.readers.names.numbers import ParsedName, parse_names
from scientistcloud.readers.names.roles import role_of

_MAX_NAMED = 6
_ASIDE = frozenset({"macro", "overview", "thumbnail", "thumb", "preview", "barcode"})
"""Pictures that scanners leave beside the data; a "label" only where one of them is, too."""

Series = dict[str, tuple[list[str], list[ParsedName]]]


def by_wording(names: Sequence[str]) -> Series:
    """The names of each wording, in the order of their numbers."""
    found: Series = {}
    for name, parsed in zip(names, parse_names(names), strict=True):
        members = found.setdefault(parsed.wording, ([], []))
        members[0].append(name)
        members[1].append(parsed)
    return {wording: _in_order(*members) for wording, members in found.items()}


def _in_order(names: list[str], parsed: list[ParsedName]) -> tuple[list[str], list[ParsedName]]:
    """Folder by folder and number by number, as they count."""
    ways = zip(names, parsed, strict=True)
    pairs = sorted(ways, key=lambda pair: [number.value for number in pair[1].numbers])
    return [name for name, _ in pairs], [each for _, each in pairs]


def are_bands(series: Series) -> bool:
    """Whether a word for channels tells the members of the longest series apart (``B02``)."""
    _, parsed = max(series.values(), key=lambda members: len(members[0]))
    columns = varying_columns(parsed)
    return len(columns) == 1 and role_of(columns[0].word) == "c"


def without_strays(names: list[str]) -> tuple[list[str], tuple[str, ...], tuple[str, ...]]:
    """What is left, what is left out, and sentences on that."""
    kept, twice = _without_doubles(names)
    kept, outside = _without_outsiders(kept)
    notes = []
    if twice:
        notes.append(f"Left out, as the same image under another suffix: {few(twice)}.")
    if outside:
        notes.append(f"Left out, as outside the series of names: {few(outside)}.")
    return kept, (*twice, *outside), tuple(notes)


def _without_doubles(names: list[str]) -> tuple[list[str], list[str]]:
    by_stem: dict[str, list[str]] = {}
    for name in names:
        by_stem.setdefault(stem(name), []).append(name)
    if len(by_stem) == len(names):
        return names, []
    suffixes = [name[len(stem(name)) :] for name in names]
    usual = max(dict.fromkeys(suffixes), key=suffixes.count)
    used = {
        next((each for each in same if each == each_stem + usual), same[0])
        for each_stem, same in by_stem.items()
    }
    return [n for n in names if n in used], [n for n in names if n not in used]


def _without_outsiders(names: list[str]) -> tuple[list[str], list[str]]:
    aside = [name for name in names if _last_word(name) in _ASIDE]
    if aside:
        aside += [name for name in names if _last_word(name) == "label"]
    if aside and len(aside) < len(names):
        names = [name for name in names if name not in set(aside)]
    else:
        aside = []
    groups = sorted((members for members, _ in by_wording(names).values()), key=len)
    main = groups[-1]
    others = [name for group in groups[:-1] for name in group]
    if are_bands(by_wording(names)):
        return names, aside
    is_series = len(main) >= 3 and len(groups) > 1 and len(groups[-2]) == 1
    is_series = is_series and not any(map(may_belong_to_word, _columns_of(main)))
    if is_series and len(others) <= max(2, len(main) // 10) and conventional_grid(names) is None:
        kept = set(main)
        return [n for n in names if n in kept], aside + [n for n in names if n not in kept]
    return names, aside


def _columns_of(names: list[str]) -> list[Column]:
    return varying_columns(parse_names(names))


def _last_word(name: str) -> str:
    words = re.findall(r"[A-Za-z]+", stem(name).rpartition("/")[2])
    return words[-1].casefold() if words else ""


def labels_of_series(series: Series) -> tuple[str, ...]:
    """What tells the wordings apart; numbers that are the same in all names stay."""
    texts = []
    for names, parsed in series.values():
        text = stem(names[0])
        if len(names) > 1:
            for column in reversed(varying_columns(parsed)):
                head, found, tail = text.rpartition(column.texts[0])
                text = f"{head} {tail}" if found else text
        texts.append(text)
    return _labels(texts)


def labels_of(names: Sequence[str]) -> tuple[str, ...]:
    return _labels([stem(name) for name in names])


def _labels(texts: Sequence[str]) -> tuple[str, ...]:
    """What is left of each without what all begin and end with; all of it if that is unclear."""
    start = _same_length(texts)
    while start and texts[0][start - 1].isalnum():
        start -= 1
    rest = [text[start:] for text in texts]
    end = _same_length([text[::-1] for text in rest])
    while end and rest[0][len(rest[0]) - end].isalnum():
        end -= 1
    short = [text[: len(text) - end].strip(" _.-/") for text in rest]
    if len(set(short)) == len(short) and all(short):
        return tuple(short)
    if len(set(texts)) == len(texts):
        return tuple(texts)
    return tuple(f"{text} {number}" for number, text in enumerate(texts))


def _same_length(texts: Sequence[str]) -> int:
    """How many characters all begin with."""
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return sum(1 for _ in same)


def few(names: Sequence[str], most: int = _MAX_NAMED) -> str:
    """The first of them, and how many more there are."""
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
