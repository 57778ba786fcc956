"""The natural order of the names of files."""

from __future__ import annotations

import re

_SPLIT = re.compile(r"(\d+)")


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
