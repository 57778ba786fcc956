"""What a number or word in the name of a file counts: words that people and instruments use.

The one table of it. Roles: ``d`` place or field of view (a dataset each), ``c`` channel (a field
each), ``t`` time, ``z`` depth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

ROLES = "dctz"
"""In the order in which a result has them: slowest first."""

ROLE_WORDS = {"d": "datasets", "c": "fields", "t": "time", "z": "depth"}
"""What the parameter ``arrangement`` calls them."""

_WORDS = {
    "t": ("t", "time", "times", "tp", "timepoint", "timepoints", "timestep", "step", "frame",
          "frames", "tl", "cycle"),
    "z": ("z", "slice", "slices", "plane", "planes", "depth", "section", "zstep", "zs", "sl"),
    "c": ("c", "ch", "channel", "channels", "w", "wave", "wv", "wavelength", "chan",
          "band", "bands"),
    "d": ("pos", "position", "positions", "xy", "fov", "fld", "field", "fields", "site", "series",
          "scene", "well"),
}  # fmt: skip
_ROLE_OF_UNIT = {"h": "t", "hr": "t", "hrs": "t", "min": "t", "hpf": "t", "dpf": "t", "nm": "c"}
"""Behind a number: ``6h``, ``24hpf``, ``488nm``."""
_ROLE_OF_WORD = {word: role for role, words in _WORDS.items() for word in words}

# Words that mean one thing beside some words and another beside others: what they are where
# another number has one of these roles, in turn; and alone, nothing.
_DEPENDS = {
    "p": (("z", "d"), ("", "z")),
    "s": (("z", "d"), ("c", "d"), ("", "z")),
    "f": (("z", "d"), ("t", "d")),
}

CONVENTIONS = (
    # Micro-Manager 1: Pos0/img_000000000_DAPI_000.tif
    r"(?:(?P<d>.*)/)?img_(?P<t>\d{9})_(?P<c>.+)_(?P<z>\d{3,})",
    # Opera Phenix, Operetta: r02c03f01p01-ch1sk1fk1fl1.tiff
    r"(?:.*/)?(?P<d>r\d+c\d+f\d+)p(?P<z>\d+)-ch(?P<c>\d+)sk(?P<t>\d+)fk\d+fl\d+",
    # CellVoyager: plate_A01_T0001F001L01A01Z01C01.tif
    r"(?:.*_)?(?P<d>[A-P]\d\d)_T(?P<t>\d+)F(?P<d2>\d+)L\d+A\d+Z(?P<z>\d+)C(?P<c>\d+)",
    # IN Cell: A - 01(fld 1 wv DAPI - DAPI z 1).tif
    r"(?:.*/)?(?P<d>[A-P] ?- ?\d+)\(fld (?P<d2>\d+) wv (?P<c>[^)]*?)"
    r"(?: z (?P<z>\d+))?(?: time (?P<t>\d+)[^)]*)?\)",
    # Incucyte: scan_A1_1_00d04h00m.tif
    r"(?:(?P<c>.*)_)?(?P<d>[A-P]\d+_\d+)_(?P<t>(?:\d+y)?\d+d\d+h\d+m)",
    # MetaXpress: TimePoint_1/ZStep_1/exp_A01_s1_w1.tif
    r"(?:.*?TimePoint_(?P<t>\d+)/)?(?:.*?ZStep_(?P<z>\d+)/)?(?P<d>(?:.*[_/])?[A-P]\d\d)"
    r"(?:_s(?P<d2>\d+))?"
    r"_w(?P<c>\d[^/_]*?)(?:_?[0-9A-F]{8}-[0-9A-F-]{27})?",
)
"""Patterns of a whole name without its suffix; groups are named after roles."""

_PATTERNS = tuple(re.compile(each) for each in CONVENTIONS)


def match_convention(stems: Sequence[str]) -> dict[str, list[str]] | None:
    """The texts of each role, if all names are of one instrument's convention."""
    for pattern in _PATTERNS:
        found = [pattern.fullmatch(each) for each in stems]
        if all(found):
            rows = [match.groupdict(default="") for match in found if match]
            return {role: [_text(row, role) for row in rows] for role in ROLES}
    return None


def _text(row: Mapping[str, str], role: str) -> str:
    return "_".join(text for name, text in row.items() if name[0] == role and text)


def roles_of(words: Sequence[str], beside: Sequence[str] = ()) -> list[str]:
    """The role that each word gives its number; empty where it tells none.

    Parameters
    ----------
    beside : sequence of str
        Roles that something else in the names has.
    """
    found = [_ROLE_OF_WORD.get(word, "") for word in words]
    for place, word in enumerate(words):
        others = {role for i, role in enumerate(found) if i != place} | set(beside)
        for other, role in _DEPENDS.get(word, ()):
            if other in others or not other:
                found[place] = role
                break
    return found


def role_of(word: str, unit: str = "") -> str:
    """The role of the only number that varies; empty where neither word nor unit tells one."""
    return _ROLE_OF_WORD.get(word, "") or _ROLE_OF_UNIT.get(unit, "")
