"""Numbers in the names of files, as people and instruments write them: decimals, signs, copies.

A name is its *wording*, the text with ``#`` for each number, and the numbers. Names of one wording
are a series. Signs are read in the first way that gives all names one wording:

1. a minus behind no letter or digit is a sign (``tilt_-6``); any other is a hyphen (``scan-6``);
2. every minus or plus before a number is one (``tilt-6``, ``tilt0``);
3. so are ``n``, ``m``, ``neg``, ``minus``, ``p``, ``pos``, ``plus`` (``tilt_n06``, ``tilt_p06``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from scientistcloud.readers.names.natural import stem

_WHOLE = r"\d+"
# One point between digits, no more: 1.2.3 is three numbers.
_DECIMAL = r"(?<![\d.])\d+\.\d+(?!\.?\d)"
_HYPHENS = r"(?:(?<![A-Za-z0-9)\]])-)?"
_SIGNS = r"[-+]?"
_LETTERS = r"(?:(?<![A-Za-z])(?:neg|minus|plus|pos|n|m|p)_?)?"
_COPY = re.compile(r"(.*\S) ?\((\d+)\)$")
_WORD = re.compile(r"(?:^|[^A-Za-z])([A-Za-z]+)[ _=.-]?$")
_CAMEL = re.compile(r"[a-z]([A-Z][a-z]+)[ _=.-]?$")
_CODE = re.compile(r"(?<![A-Za-z])[A-Z]{2,}$")
_UNIT = re.compile(r"[a-zA-Z]+")


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a name.

    Attributes
    ----------
    text : str
        As it is written.
    word, unit : str
        The word before it and the one after it, in lower case; empty without.
    place : int
        0 for the name of the file, 1 for its folder, and so on.
    is_attached : bool
        Whether the word before it is part of it, as in ``CD3``.
    is_code : bool
        Whether that word is of capital letters, at least two.
    """

    value: Decimal
    text: str
    word: str
    unit: str
    place: int
    is_attached: bool
    is_code: bool


@dataclass(frozen=True, slots=True)
class ParsedName:
    """A name as wording and numbers."""

    wording: str
    numbers: tuple[Number, ...]


def parse_names(names: Sequence[str]) -> list[ParsedName]:
    """Each name as wording and numbers, all read in one way."""
    stems = _with_first_copy([stem(name) for name in names])
    plain = _parse_decimals(stems, _HYPHENS)
    if len({each.wording for each in plain}) == 1:
        return plain
    for signs in (_SIGNS, _LETTERS):
        found = _parse_decimals(stems, signs)
        if len({each.wording for each in found}) == 1:
            return found
    return plain


def _with_first_copy(stems: Sequence[str]) -> list[str]:
    """``scan`` beside ``scan (1)``, as Windows names copies, is number 0 of them."""
    copies = {match[1] for each in stems if (match := _COPY.fullmatch(each))}
    return [f"{each} (0)" if each in copies else each for each in stems]


def _parse_decimals(stems: Sequence[str], signs: str) -> list[ParsedName]:
    found = [_parse(each, re.compile(f"{signs}(?:{_DECIMAL}|{_WHOLE})")) for each in stems]
    if not _are_decimals(found):
        found = [_parse(each, re.compile(signs + _WHOLE)) for each in stems]
    return found


def _are_decimals(found: Sequence[ParsedName]) -> bool:
    """Whether the points are decimal: no two names get one place, nor a grid like 1.001, 2.001."""
    if not any("." in number.text for name in found for number in name.numbers):
        return True
    rows = [(name.wording, *(number.value for number in name.numbers)) for name in found]
    if len(set(rows)) < len(rows):
        return False
    pairs = {tuple(n.text.split(".")) for name in found for n in name.numbers if "." in n.text}
    ones, others = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    counts = sorted(int(each) for each in others if len(each) >= 3)
    is_grid = len(pairs) == len(ones) * len(others) and min(len(ones), len(others)) > 1
    return not (is_grid and len(counts) == len(others) and counts[-1] - counts[0] < len(counts))


def _parse(text: str, pattern: re.Pattern[str]) -> ParsedName:
    numbers, wording, end = [], [], 0
    for match in pattern.finditer(text):
        before = text[: match.start()]
        unit = _UNIT.match(text, match.end())
        numbers.append(
            Number(
                _value(match[0]), match[0], _word(before.rpartition("/")[2]),
                unit[0].casefold() if unit else "", text.count("/", match.end()),
                before[-1:].isalpha(), _CODE.search(before) is not None,
            )
        )  # fmt: skip
        wording += [text[end : match.start()], "#"]
        end = match.end()
    return ParsedName("".join([*wording, text[end:]]).casefold(), tuple(numbers))


def _word(before: str) -> str:
    found = _WORD.search(before) or _CAMEL.search(before)
    if found is None:
        return ""
    return "band" if found[1] == "B" else found[1].casefold()  # B02 of Sentinel, B10 of Landsat


def _value(text: str) -> Decimal:
    digits = text.lstrip("-+_" + "".join(c for c in text if c.isalpha()))
    is_negative = text[0] in "-nNmM"
    return -Decimal(digits) if is_negative else Decimal(digits)
