"""What a folder of image files means, judged by their names: the decision table.

In this order; the first that fits decides:

1. The parameter ``arrangement``.
2. Names that differ in their suffix only are one image twice: one is used. Pictures beside the
   data (macro, overview, ...) and a few names outside a series are left out (`series`).
3. Names of an instrument's convention (`roles.CONVENTIONS`): a grid as it says.
4. Names that differ in numbers only. One that varies independently: time, channels or places
   where its word says so (`roles`), else depth (for files of several pages: time). Several:
   each what its word says; one without a word, in folders that have one, is depth. What no word
   tells is ambiguous, as are numbers that belong to a word (``CD3``, ``CD20``).
5. Names that differ in words, equally many of each: fields.

What cannot be told is refused with the readings that there are, each a value of ``arrangement``.
"""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Sequence
from dataclasses import replace

from scientistcloud.errors import AmbiguousFormat, InvalidOptions
from scientistcloud.readers.names.ambiguity import KINDS as KINDS
from scientistcloud.readers.names.ambiguity import ambiguous, unfitting, untold
from scientistcloud.readers.names.arrangement import Arrangement, along, by_columns, by_grid
from scientistcloud.readers.names.columns import (
    Column,
    belong_to_word,
    independent,
    varying_columns,
)
from scientistcloud.readers.names.grid import conventional_grid
from scientistcloud.readers.names.natural import natural_key
from scientistcloud.readers.names.numbers import ParsedName
from scientistcloud.readers.names.roles import ROLE_WORDS, role_of, roles_of
from scientistcloud.readers.names.series import (
    Series,
    are_bands,
    by_wording,
    few,
    labels_of,
    labels_of_series,
    without_strays,
)

_MAX_CHANNELS = 16
_MAX_DATASETS = 256
_SPELLINGS = {"timesteps": "time", "slices": "depth"}
"""What the same is called for files of volumes (`volume_set`)."""
_ROLE_OF_WORD = {word: role for role, word in ROLE_WORDS.items()}


def arrange(
    names: Sequence[str], wanted: object = None, *, deep: bool = False
) -> tuple[Arrangement, ...]:
    """Judge what the images `names` (relative) are to each other; the main dataset first.

    Parameters
    ----------
    wanted : object
        The parameter ``arrangement``, or None.
    deep : bool
        Whether each file holds several pages, so that files are no slices.

    Raises
    ------
    AmbiguousFormat
        The names do not tell it.
    MissingMember
        They leave a place in their grid open.
    InvalidOptions
        `wanted` is no arrangement, or does not fit the names.
    """
    names = sorted(names, key=natural_key)
    if wanted is not None:
        return _as_wanted(names, wanted, deep)
    kept, strays, notes = without_strays(names)
    arranged = _judge(kept, deep)
    first = replace(arranged[0], strays=strays, notes=(*arranged[0].notes, *notes))
    return (first, *arranged[1:])


def _judge(names: list[str], deep: bool) -> tuple[Arrangement, ...]:
    if len(names) == 1:
        return (Arrangement(tuple(names), rule="a single image"),)
    grid = conventional_grid(names)
    if grid is not None:
        return by_grid(grid, "labels")
    series = by_wording(names)
    if len(series) == 1:
        ((names, parsed),) = series.values()
        return _arrange_series(names, parsed, deep)
    if len({len(members) for members, _ in series.values()}) == 1:
        return _arrange_words(series, deep)
    if are_bands(series) and len(names) <= _MAX_CHANNELS:
        return (along(names, "fields", "a word for channels stands in most of the names"),)
    raise AmbiguousFormat(
        "The names of the images differ in more than their numbers, so it is unclear which belong "
        f"together: {few([members[0] for members, _ in series.values()])}.",
        remedy="Upload each series as a dataset of its own, name one with the parameter 'files' "
        "(for instance files=slice_*.tif), or say what the files are with the parameter "
        "'arrangement' (depth, time or fields).",
    )


# Rule 4: numbers


def _arrange_series(
    names: list[str], parsed: list[ParsedName], deep: bool, beside: Sequence[str] = ()
) -> tuple[Arrangement, ...]:
    columns = independent(varying_columns(parsed))
    if len(columns) == 1:
        return _arrange_one(names, columns[0], deep)
    if not columns:
        raise ambiguous("The names differ in nothing but capital letters", names, ["fields"])
    if _are_scattered(columns, len(names)):
        kind = "time" if deep else "depth"
        rule = f"natural order of the names is {kind}, as several numbers vary together"
        return (along(names, kind, rule),)
    roles = _told_roles(columns, deep, beside)
    if not all(roles) or len(set(roles)) < len([r for r in roles if r != "d"]) + ("d" in roles):
        raise untold(names, columns, roles, deep)
    return by_columns(names, columns, roles, "labels")


def _are_scattered(columns: Sequence[Column], count: int) -> bool:
    """Numbers that are far from filling a grid, without words: dates, checksums, positions."""
    places = 1
    for column in columns:
        places *= column.distinct
    told = [role for role in roles_of([column.word for column in columns]) if role]
    return places > 2 * count and not told and not any(column.place for column in columns)


def _told_roles(columns: Sequence[Column], deep: bool, beside: Sequence[str]) -> list[str]:
    """The role of each number; empty where nothing tells it."""
    roles = roles_of([column.word for column in columns], beside)
    plain = [i for i, column in enumerate(columns) if column.place == 0]
    if len(plain) == 1 and not roles[plain[0]]:
        role = "t" if deep else "z"
        others_told = all(role for i, role in enumerate(roles) if i != plain[0])
        if role not in roles and others_told:
            roles[plain[0]] = role
    if deep and "z" in roles:
        roles[roles.index("z")] = ""
    return roles


def _arrange_one(names: list[str], column: Column, deep: bool) -> tuple[Arrangement, ...]:
    """One number that varies: depth, unless its word says something else."""
    role, kind = role_of(column.word, column.unit), "time" if deep else "depth"
    if role == "t":
        if not column.is_whole:
            told = f"The numbers after '{column.word}' are no plain count"
            raise ambiguous(told, names, ["time", "depth"])
        kind, rule = "time", f"'{column.word or column.unit}' at the number is time"
        return (along(names, kind, rule),)
    if role == "c" and (deep or len(names) <= _MAX_CHANNELS):
        return by_columns(names, [column], ["c"], "labels")
    if role == "c" and column.word.startswith("ch"):
        told = f"The names count {len(names)} channels, more than are usual"
        raise ambiguous(told, names, ["fields", kind])
    if role == "d" and column.word != "series":
        if len(names) > _MAX_DATASETS:
            told = f"'{column.word}' before the number says places, {len(names)} of them"
            raise ambiguous(told, names, [kind, "time"])
        return by_columns(names, [column], ["d"], "labels")
    if role == "z" and deep:
        told = f"'{column.word}' before the number says depth, but each file holds several pages"
        raise ambiguous(told, names, ["depth", "time", "fields"])
    if not role and belong_to_word(column):
        told = f"The numbers seem to belong to the word before them ({few(column.levels)})"
        raise ambiguous(told, names, ["fields", kind])
    if deep:
        return (along(names, "time", "files of several pages each are timesteps"),)
    return (along(names, "depth", "natural order of the names is depth"),)


# Rule 5: words


def _arrange_words(series: Series, deep: bool) -> tuple[Arrangement, ...]:
    rule = "names that differ in words are channels"
    members = [names for names, _ in series.values()]
    labels = labels_of_series(series)
    if len(members[0]) == 1:
        names = tuple(group[0] for group in members)
        return (Arrangement(names, labels, rule=rule, kind="words"),)
    parts = [_arrange_series(names, parsed, deep, "c") for names, parsed in series.values()]
    shapes = {tuple((p.dataset, p.timesteps, p.depth, p.fields) for p in part) for part in parts}
    if len(shapes) > 1:
        raise AmbiguousFormat(
            "The images of each wording count unlike things: "
            f"{few([group[0] for group in members])}."
        )
    found = []
    for same in zip(*parts, strict=True):
        names = tuple(itertools.chain.from_iterable(part.names for part in same))
        fields = tuple(
            " ".join(word for word in (label, field) if word)
            for label in labels
            for field in same[0].fields
        )
        notes = tuple(dict.fromkeys(note for part in same for note in part.notes))
        found.append(replace(same[0], names=names, fields=fields, rule=rule, kind="words",
                             notes=notes))  # fmt: skip
    return tuple(found)


# Rule 1, and what is ambiguous


def _as_wanted(names: list[str], wanted: object, deep: bool) -> tuple[Arrangement, ...]:
    rule = "as the parameter says"
    words = [word.strip() for word in wanted.split(",")] if isinstance(wanted, str) else []
    words = [_SPELLINGS.get(word, word) for word in words]
    if len(words) > 1:
        return _as_words(names, words, wanted)
    word = words[0] if words else ""
    if word in ("depth", "time", "fields"):
        series = by_wording(names)
        ordered = next(iter(series.values()))[0] if len(series) == 1 else names
        return (along(ordered, word, rule),)
    if word == "datasets":
        labels = labels_of(names)
        pairs = zip(names, labels, strict=True)
        return tuple(Arrangement((n,), rule=rule, kind=word, dataset=label) for n, label in pairs)
    if word == "labels":
        found = _wanted_labels(names)
        if found:
            return found
    elif word == "words":
        series = by_wording(names)
        if len(series) > 1 and len({len(members) for members, _ in series.values()}) == 1:
            return _arrange_words(series, deep)
    raise unfitting(wanted)


def _wanted_labels(names: list[str]) -> tuple[Arrangement, ...] | None:
    grid = conventional_grid(names)
    if grid is not None:
        return by_grid(grid, "labels")
    series = by_wording(names)
    if len(series) > 1:
        return None
    ((names, parsed),) = series.values()
    columns = independent(varying_columns(parsed))
    roles = roles_of([column.word for column in columns])
    if not columns or not all(roles) or len(set(roles)) < len(roles):
        return None
    return by_columns(names, columns, roles, "labels")


def _as_words(names: list[str], words: list[str], wanted: object) -> tuple[Arrangement, ...]:
    """A word for each number that varies; before them one for the wording, where that does."""
    series = by_wording(names)
    if any(word not in _ROLE_OF_WORD for word in words):
        raise unfitting(wanted)
    roles = [_ROLE_OF_WORD[word] for word in words]
    if len(series) > 1 or any(roles.count(role) > 1 for role in "ctz"):
        raise unfitting(wanted)
    ((names, parsed),) = series.values()
    columns = independent(varying_columns(parsed))
    if len(columns) != len(roles):
        raise unfitting(wanted)
    return by_columns(names, columns, roles, ",".join(words))


def select_files(names: Sequence[str], pattern: object) -> list[str]:
    """Those of `names` that the parameter ``files`` (a name or shell pattern) picks; all without.

    Raises
    ------
    InvalidOptions
        It picks none.
    """
    if pattern is None:
        return list(names)
    found = [n for n in names if n == pattern or fnmatch.fnmatchcase(n, str(pattern))]
    if not found:
        raise InvalidOptions(f"The parameter files={pattern!r} fits none of the files.")
    return found
