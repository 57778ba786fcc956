"""Headers of FITS files: cards of 80 bytes in blocks of 2880, unit behind unit.

Source: the FITS standard 4.0, chapters 3 and 4; names of keywords as in its tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scientistcloud.errors import CorruptSource
from scientistcloud.readers.arrays.attributes import text
from scientistcloud.readers.files.open_files import FilePool

BLOCK_BYTES = 2880
_CARD_BYTES = 80
_MOST_HEADER_BYTES = 4 << 20
_MOST_UNITS = 4096
ITEM_BYTES = {8: 1, 16: 2, 32: 4, 64: 8, -32: 4, -64: 8}

Cards = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unit:
    """One header with its data unit.

    Attributes
    ----------
    number : int
        From 0, the primary one.
    offset : int
        Of its data, in bytes.
    lengths : tuple of int
        NAXIS1, NAXIS2, ...: the fastest axis first.
    """

    number: int
    cards: Cards
    offset: int
    bitpix: int
    lengths: tuple[int, ...]
    data_bytes: int

    @property
    def name(self) -> str:
        return str(self.cards.get("EXTNAME", "")).strip()

    @property
    def is_tiled_image(self) -> bool:
        """Whether it is a table that holds the compressed tiles of an image."""
        return self.cards.get("XTENSION") == "BINTABLE" and self.cards.get("ZIMAGE") is True

    @property
    def is_image(self) -> bool:
        kind = self.cards.get("XTENSION", "IMAGE")
        return kind in ("IMAGE", "IUEIMAGE") and self.data_bytes > 0

    def number_of(self, key: str, default: float | None = None) -> float | None:
        """The card `key` as a finite number."""
        value = self.cards.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return default
        try:
            return float(value) if math.isfinite(value) else default
        except OverflowError:
            return default


def read_units(path: Path, pool: FilePool) -> list[Unit]:
    """All units of a file, their data unread.

    Raises
    ------
    CorruptSource
        A header has no end, or describes no data that could follow it.
    """
    name, size, offset = pool.name(path), pool.size(path), 0
    units: list[Unit] = []
    while offset < size:
        first = pool.read(path, offset, min(8, size - offset))
        if units and first != b"XTENSION":
            break  # special records, and what is filled up with
        if len(units) == _MOST_UNITS:
            raise CorruptSource(f"{name} has more than {_MOST_UNITS} header and data units.")
        cards, start = _read_cards(path, pool, offset)
        unit = _unit(len(units), cards, start, name)
        units.append(unit)
        offset = start + -(-unit.data_bytes // BLOCK_BYTES) * BLOCK_BYTES
    if not units:
        raise CorruptSource(f"{name} is cut short: it has no whole FITS header.")
    return units


def _read_cards(path: Path, pool: FilePool, offset: int) -> tuple[dict[str, Any], int]:
    """The cards of a header, and where its data begin."""
    cards: dict[str, Any] = {}
    comments: list[str] = []
    begin, size = offset, pool.size(path)
    while offset + BLOCK_BYTES <= min(size, begin + _MOST_HEADER_BYTES):
        block = pool.read(path, offset, BLOCK_BYTES)
        offset += BLOCK_BYTES
        for i in range(0, BLOCK_BYTES, _CARD_BYTES):
            card = block[i : i + _CARD_BYTES].decode("latin-1")
            key = card[:8].rstrip()
            if key == "END":
                if comments:
                    cards["COMMENT"] = text("\n".join(comments))
                return cards, offset
            if key in ("COMMENT", "HISTORY", ""):
                comments.append(card[8:].strip())
            elif key == "CONTINUE":
                _continue(cards, card[10:])
            elif card[8:10] == "= ":
                cards[key] = _value(card[10:])
    raise CorruptSource(f"{pool.name(path)} has a FITS header without its END.")


def _continue(cards: dict[str, Any], rest: str) -> None:
    """Long text goes on in further cards, with an ampersand at the end of each."""
    last = next(reversed(cards), None)
    more = _value(rest)
    if last is not None and isinstance(more, str) and str(cards[last]).endswith("&"):
        cards[last] = text(str(cards[last])[:-1] + more)


def _value(field: str) -> Any:
    """The value of a card: text, bool, int, float; None where none is told."""
    field = field.strip()
    if field.startswith("'"):
        return _quoted(field)
    plain = field.partition("/")[0].strip()
    if plain in ("T", "F"):
        return plain == "T"
    for kind in (int, float):
        try:
            value = kind(plain.replace("D", "E").replace("d", "e"))
        except ValueError:
            continue
        return value if math.isfinite(value) else None
    return text(plain) or None


def _quoted(field: str) -> str:
    end = 1
    while (end := field.find("'", end)) > 0:
        if field[end + 1 : end + 2] != "'":
            return text(field[1:end].replace("''", "'").rstrip())
        end += 2
    return text(field[1:].rstrip())


def _whole(cards: Cards, key: str, name: str, default: int | None = None) -> int:
    value = cards.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not -64 <= value < 1 << 48:
        raise CorruptSource(f"{name} has a FITS header without a valid {key}.")
    return value


def _unit(number: int, cards: dict[str, Any], offset: int, name: str) -> Unit:
    bitpix, rank = _whole(cards, "BITPIX", name), _whole(cards, "NAXIS", name)
    if bitpix not in ITEM_BYTES or not 0 <= rank <= 999:
        raise CorruptSource(f"{name} has a FITS header of {rank} axes and BITPIX {bitpix}.")
    lengths = tuple(_whole(cards, f"NAXIS{i + 1}", name) for i in range(rank))
    if any(n < 0 for n in lengths):
        raise CorruptSource(f"{name} has an axis of negative length.")
    parameters, groups = _whole(cards, "PCOUNT", name, 0), _whole(cards, "GCOUNT", name, 1)
    samples = math.prod(lengths) if lengths else 0
    if cards.get("GROUPS") is True and lengths and lengths[0] == 0:
        samples = math.prod(lengths[1:])
    total = ITEM_BYTES[bitpix] * max(0, groups) * (max(0, parameters) + samples)
    if rank == 0:
        total = 0
    if total >= 1 << 60:
        raise CorruptSource(f"{name} describes more data than any file can hold.")
    return Unit(number, cards, offset, bitpix, lengths, total)
