"""The numbers in the names of files: their natural order, what varies, what is missing."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

NUMBER = re.compile(r"\d+")
_SPLIT = re.compile(r"(\d+)")
_MAX_NAMED = 6


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """A key that sorts 2 before 10, and files folder by folder.

    Files of a folder come before those of its subfolders.
    """
    *folders, last = name.split("/")
    return tuple([_part_key(f, 1) for f in folders] + [_part_key(last, 0)])


def _part_key(part: str, is_folder: int) -> tuple[tuple[int, int, str], ...]:
    pieces: list[tuple[int, int, str]] = [(is_folder, 0, "")]
    for piece in _SPLIT.split(part):
        if piece.isdecimal():
            pieces.append((0, int(piece), ""))
        elif piece:
            pieces.append((1, 0, piece.casefold()))
    # Names that differ only in case or leading zeros still get one order.
    pieces.append((0, -1, part))
    return tuple(pieces)


def stem(name: str) -> str:
    """A relative name without the suffix of its file (``.ome.tif`` is one suffix)."""
    folder, _, last = name.rpartition("/")
    last = re.sub(r"(\.ome)?\.[A-Za-z][A-Za-z0-9]{0,5}$", "", last)
    return f"{folder}/{last}" if folder else last


def varying_numbers(names: Sequence[str]) -> dict[int, list[int]]:
    """Position of each number that is not the same in all names, and its values."""
    rows = [[int(n) for n in NUMBER.findall(stem(name))] for name in names]
    if len({len(row) for row in rows}) != 1:
        return {}
    columns = enumerate(zip(*rows, strict=True))
    return {i: list(values) for i, values in columns if len(set(values)) > 1}


def find_gaps(names: Sequence[str]) -> tuple[str, ...]:
    """Sentences for the numbers that a series of names leaves out.

    Only where exactly one number varies; steps that are all alike (every second slice) are no gap.
    """
    numbers = varying_numbers(names)
    if len(numbers) != 1 or len(names) < 3:
        return ()
    values = next(iter(numbers.values()))
    steps = [b - a for a, b in itertools.pairwise(values)]
    usual = min(steps)
    if usual <= 0:
        return ()
    gaps = []
    for value, step in zip(values, steps, strict=False):
        if step > usual:
            first, last = value + usual, value + step - usual
            gaps.append(str(first) if first == last else f"{first} to {last}")
    if not gaps or len(gaps) > len(names) // 2:
        return ()
    listed = ", ".join(gaps[:_MAX_NAMED]) + (" and more" if len(gaps) > _MAX_NAMED else "")
    return (f"The series has gaps, which were closed up: number {listed} missing.",)
