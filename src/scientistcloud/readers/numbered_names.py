"""The numbers in the names of a series of files."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

NUMBER = re.compile(r"\d+")
_MAX_NAMED = 6


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
