"""The numbers that vary in a series of names, and which of them do so independently."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from scientistcloud.readers.names.numbers import ParsedName, parse_names
from scientistcloud.readers.names.roles import role_of

_MAX_NAMED = 6
_MAX_CODES = 8
_TIME_UNITS = ("d", "h", "m", "min", "s")


@dataclass(frozen=True)
class Column:
    """One number of all names, or several that count one thing.

    Attributes
    ----------
    values : tuple
        Of each name: numbers that sort as they count.
    texts : tuple of str
        Of each name, with the word before it where that is attached.
    word : str
        Before it; empty without.
    place : int
        0 in the name of the file, else that of a folder.
    """

    values: tuple[tuple[Decimal, ...], ...]
    texts: tuple[str, ...]
    word: str
    unit: str
    place: int
    is_attached: bool = False
    is_code: bool = False

    @property
    def distinct(self) -> int:
        return len(set(self.values))

    @property
    def is_whole(self) -> bool:
        return all(part == part.to_integral_value() for value in self.values for part in value)

    @property
    def levels(self) -> tuple[str, ...]:
        """The texts in the order of their values."""
        first = dict(zip(reversed(self.values), reversed(self.texts), strict=True))
        return tuple(first[value] for value in sorted(first))

    @property
    def places(self) -> tuple[str, ...]:
        """The text of each name; one for each value, however it is padded."""
        first = dict(zip(reversed(self.values), reversed(self.texts), strict=True))
        return tuple(first[value] for value in self.values)


def belong_to_word(column: Column) -> bool:
    """Whether the numbers are part of names, ``CD3 CD4 CD8 CD20``, and count nothing.

    They are attached to a word and not padded. Most are missing, and the steps unlike; after
    capital letters (``CD4 CD8``, ``IL2 IL6 IL10``) at least as many missing as there are will do,
    in a few that do not begin at 0 or 1.
    """
    if not column.is_attached or not column.is_whole or _is_padded(column):
        return False
    values = sorted({value[0] for value in column.values})
    span, count = values[-1] - values[0] + 1, len(values)
    if column.is_code and values[0] > 1 and count <= _MAX_CODES and span >= 2 * count:
        return True
    steps = {b - a for a, b in itertools.pairwise(values)}
    return count >= 3 and len(steps) > 1 and (span - 1) / min(steps) + 1 > 4 * count


def may_belong_to_word(column: Column) -> bool:
    """Whether, beside names of other words, the numbers may be part of names: ``CD3 CD4 DAPI``."""
    is_few = column.is_code and column.distinct <= _MAX_CODES and not _is_padded(column)
    return belong_to_word(column) or (is_few and min(column.values)[0] > 1)


def _is_padded(column: Column) -> bool:
    """As counters are."""
    if any(len(text) > 1 and text[0] == "0" for text in column.texts):
        return True
    return len({len(text) for text in column.texts}) == 1 and len(column.texts[0]) > 2


def varying_columns(parsed: Sequence[ParsedName]) -> list[Column]:
    """The numbers that vary, in their order; days, hours and minutes together are one."""
    columns = []
    for row in zip(*(name.numbers for name in parsed), strict=True):
        values = tuple((number.value,) for number in row)
        texts = tuple(number.text for number in row)
        first = row[0]
        columns.append(
            Column(
                values, texts, first.word, first.unit, first.place, first.is_attached,
                all(number.is_code for number in row),
            )
        )  # fmt: skip
    return [each for each in _joined(columns) if each.distinct > 1]


def independent(columns: Sequence[Column]) -> list[Column]:
    """Those columns that no other one determines.

    ``part0/s_000 part0/s_001 part1/s_002``: the number of the slice tells that of the folder.
    Numbers whose words say unlike things stay.
    """
    kept = list(columns)
    for column in sorted(columns, key=lambda each: each.distinct):
        others = [each for each in kept if each is not column and not _say_unlike(each, column)]
        if column in kept and any(_determines(other, column) for other in others):
            kept.remove(column)
    return kept


def _say_unlike(one: Column, other: Column) -> bool:
    roles = role_of(one.word), role_of(other.word)
    return all(roles) and roles[0] != roles[1]


def _determines(one: Column, other: Column) -> bool:
    told: dict[Hashable, Hashable] = {}
    pairs = zip(one.values, other.values, strict=True)
    return all(told.setdefault(mine, theirs) == theirs for mine, theirs in pairs)


def _joined(columns: Sequence[Column]) -> list[Column]:
    """``00d04h30m`` is one time."""
    joined: list[Column] = []
    for column in columns:
        before = joined[-1] if joined else None
        if before and before.place == column.place and _follow(before.unit, column.unit):
            joined[-1] = Column(
                tuple(a + b for a, b in zip(before.values, column.values, strict=True)),
                tuple(
                    f"{a}{before.unit}{b}"
                    for a, b in zip(before.texts, column.texts, strict=True)
                ),
                "time", column.unit, column.place,
            )  # fmt: skip
        else:
            joined.append(column)
    return joined


def _follow(before: str, after: str) -> bool:
    units = _TIME_UNITS
    return before in units[:-1] and after in units and units.index(before) < units.index(after)


def find_gaps(names: Sequence[str]) -> tuple[str, ...]:
    """Sentences for the numbers that a series of names leaves out.

    Only where exactly one number varies; steps that are all alike (every second slice) are no gap.
    """
    parsed = parse_names(names)
    if len(names) < 3 or len({each.wording for each in parsed}) > 1:
        return ()
    columns = independent(varying_columns(parsed))
    if len(columns) != 1:
        return ()
    values = sorted(value[0] for value in columns[0].values)
    steps = [b - a for a, b in itertools.pairwise(values)]
    usual = min(steps)
    if usual <= 0:
        return ()
    if any(step % usual for step in steps):
        return ("The steps between the numbers of the series are not alike.",)
    gaps = []
    for value, step in zip(values, steps, strict=False):
        if step > usual:
            first, last = value + usual, value + step - usual
            gaps.append(str(first) if first == last else f"{first} to {last}")
    if not gaps or len(gaps) > len(names) // 2:
        return ()
    listed = ", ".join(gaps[:_MAX_NAMED]) + (" and more" if len(gaps) > _MAX_NAMED else "")
    return (f"The series has gaps, which were closed up: number {listed} missing.",)
