"""What a folder of single images means, judged by their names: a stack, channels, or tiles.

The rules, in order:

1. Names that differ only in their numbers are one series. If only one number varies, it is depth
   (channel, where a label like ``ch`` says so and there are few).
2. If several numbers vary and each has a label before it (``z001_ch00``), or the names are those
   of Micro-Manager, they tell a place in a grid (`name_grid`), which the images must fill.
   Otherwise natural order is depth.
3. Names that differ in words, one image for each wording or equally many, are channels: fields.
4. Where most names are one series and a few others stand alone, these are strays: left out.
"""

from __future__ import annotations

import fnmatch
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scientistcloud.errors import AmbiguousFormat, InvalidOptions
from scientistcloud.readers.files.name_grid import NameGrid, read_grid
from scientistcloud.readers.files.numbered_names import (
    NUMBER,
    find_gaps,
    natural_key,
    stem,
    varying_numbers,
)

_MAX_NAMED = 6
_MAX_CHANNELS = 8

KINDS = ("depth", "time", "fields", "labels", "words", "mosaic")
"""What the parameter ``arrangement`` can say: slices in the order of the names, timesteps, fields,
places in a grid (rule 2), wording (rule 3), or tiles of a mosaic (`mosaic`)."""

_SPELLINGS = {"timesteps": "time", "slices": "depth"}
"""What the same is called for files of volumes (`volume_set`)."""


@dataclass(frozen=True)
class Arrangement:
    """Where each image of a folder belongs.

    Attributes
    ----------
    names : tuple of str
        The images in the order field, timestep, slice (C order).
    fields : tuple of str
        A label for each field; one empty string where there is only one.
    timesteps, depth : int
        ``len(fields) * timesteps * depth == len(names)``.
    rule : str
        The rule that chose this, in a sentence.
    kind : str
        One of `KINDS`.
    """

    names: tuple[str, ...]
    fields: tuple[str, ...] = ("",)
    timesteps: int = 1
    depth: int = 1
    rule: str = ""
    strays: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kind: str = "depth"

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Other values of the parameter ``arrangement`` that fit any names."""
        if len(self.names) == 1:
            return ()
        return tuple(k for k in ("depth", "time", "fields") if k != self.kind)


def arrange(names: Sequence[str], wanted: object = None) -> Arrangement:
    """Judge what the images `names` (relative, natural order) are to each other.

    Parameters
    ----------
    wanted : object
        The parameter ``arrangement``: one of `KINDS` instead of the rules, or None.

    Raises
    ------
    AmbiguousFormat
        They differ in words in a way that tells neither stack nor channels.
    MissingMember
        Names with labelled numbers leave a place in their grid open.
    InvalidOptions
        `wanted` is no arrangement, or does not fit the names.
    """
    if wanted is not None:
        return _as_wanted(names, wanted)
    if len(names) == 1:
        return Arrangement(tuple(names), kind="depth", rule="a single image")
    series = _by_wording(names)
    grid = read_grid(names)
    if len(series) == 1 or (grid is not None and _is_grid(grid)):
        return _arrange_series(names)
    sizes = sorted((len(members) for members in series.values()), reverse=True)
    if len(set(sizes)) == 1:
        return _arrange_channels(series)
    main = max(series.values(), key=len)
    others = [name for name in names if name not in set(main)]
    if len(main) >= 3 and sizes[1] == 1 and len(others) <= max(2, len(main) // 10):
        note = f"Left out, as outside the series of names: {_few(others)}."
        arranged = _arrange_series(main)
        return replace(arranged, strays=tuple(others), notes=(*arranged.notes, note))
    raise AmbiguousFormat(
        "The names of the images differ in more than their numbers, so it is unclear which belong "
        f"together: {_few([members[0] for members in series.values()])}.",
        remedy="Upload each series as a dataset of its own, name one with the parameter 'files' "
        "(for instance files=slice_*.tif), or say what the files are with the parameter "
        "'arrangement' (depth, time or fields).",
    )


def _as_wanted(names: Sequence[str], wanted: object) -> Arrangement:
    rule = "as the parameter says"
    if isinstance(wanted, str):
        wanted = _SPELLINGS.get(wanted, wanted)
    if wanted == "depth":
        return Arrangement(tuple(names), depth=len(names), kind="depth", rule=rule)
    if wanted == "time":
        return Arrangement(tuple(names), timesteps=len(names), kind="time", rule=rule)
    if wanted == "fields":
        return Arrangement(tuple(names), _wordings(names), kind="fields", rule=rule)
    if wanted == "labels":
        grid = read_grid(names)
        if grid is not None:
            return _arrange_grid(grid)
    elif wanted == "words":
        series = _by_wording(names)
        if len({len(members) for members in series.values()}) == 1:
            return _arrange_channels(series)
    raise InvalidOptions(
        f"The parameter arrangement={wanted!r} does not fit the files; it can be one of "
        f"{', '.join(KINDS)}."
    )


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


def _by_wording(names: Sequence[str]) -> dict[str, list[str]]:
    series: dict[str, list[str]] = {}
    for name in names:
        series.setdefault(NUMBER.sub("#", stem(name)).casefold(), []).append(name)
    return series


def _arrange_series(names: Sequence[str]) -> Arrangement:
    grid = read_grid(names)
    if grid is not None and _is_grid(grid):
        return _arrange_grid(grid)
    rule = "natural order of the names is depth"
    if len(varying_numbers(names)) > 1:
        rule += ", as several numbers vary without saying what they count"
    return Arrangement(tuple(names), depth=len(names), rule=rule, notes=find_gaps(names))


def _is_grid(grid: NameGrid) -> bool:
    """A single number is depth whatever its label, but for a few channels."""
    if len(grid.axes) == 1:
        return "c" in grid.axes and len(grid.names) <= _MAX_CHANNELS
    return len(grid.axes) > 1


def _arrange_grid(grid: NameGrid) -> Arrangement:
    channels = grid.levels("c")
    labels = tuple(f"channel {c}" if c.isdecimal() else c for c in channels)
    return Arrangement(
        grid.ordered(),
        labels if "c" in grid.axes else ("",),
        len(grid.levels("t")),
        len(grid.levels("z")),
        grid.rule,
        kind="labels",
    )


def _arrange_channels(series: dict[str, list[str]]) -> Arrangement:
    members = list(series.values())
    labels = _wordings([group[0] for group in members])
    parts = [_arrange_series(group) if len(group) > 1 else None for group in members]
    first = parts[0]
    depth, timesteps = (first.depth, first.timesteps) if first else (1, 1)
    if first and math.prod((depth, timesteps)) != len(members[0]):
        raise AmbiguousFormat(
            "The names of the images differ both in words and in labelled channels: "
            f"{_few([group[0] for group in members])}."
        )
    ordered = [
        tuple(sorted(group, key=natural_key)) if part is None else part.names
        for group, part in zip(members, parts, strict=True)
    ]
    notes = tuple(note for part in parts if part for note in part.notes)
    return Arrangement(
        tuple(itertools.chain.from_iterable(ordered)),
        labels,
        timesteps,
        depth,
        "names that differ in words are channels",
        notes=notes,
        kind="words",
    )


def _wordings(names: Sequence[str]) -> tuple[str, ...]:
    """What is left of each name without what all begin with; the whole stem if that is unclear."""
    stems = [stem(name) for name in names]
    start = 0
    while all(len(s) > start for s in stems) and len({s[start] for s in stems}) == 1:
        start += 1
    while start and stems[0][start - 1].isalnum():
        start -= 1
    short = [re.sub(r"[ _.-]*\d*$", "", s[start:]).strip(" _.-/") for s in stems]
    if len(set(short)) == len(short) and all(short):
        return tuple(short)
    return tuple(stems)


def _few(names: Sequence[str]) -> str:
    listed = ", ".join(names[:_MAX_NAMED])
    return listed if len(names) <= _MAX_NAMED else f"{listed} and {len(names) - _MAX_NAMED} more"
