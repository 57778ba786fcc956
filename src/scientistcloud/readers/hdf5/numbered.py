"""Arrays whose paths differ in their numbers alone: timesteps and channels kept as many arrays.

Imaris (``TimePoint 3/Channel 0/Data``), BigDataViewer (``t00003/s00/0/cells``) and simulations
(``step_3``) do that. A number behind a word for time counts timesteps; any other, fields. The
arrays must be of one shape and type, and there must be one for each combination of the numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scientistcloud.readers.files.listing import natural_key
from scientistcloud.readers.hdf5.catalogue import Catalogue, StoredArray

_NUMBER = re.compile(r"\d+")
_TIME = re.compile(r"(?:^|[^a-z])(t|time|timepoint|timestep|step|frame|cycle)[ _.=-]*$", re.I)
MAX_FIELDS = 64
"""More arrays than that are no fields that anybody picks from a list: they are timesteps."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """Arrays in rows: one row for each field, one array for each timestep.

    Attributes
    ----------
    times : tuple of int
        The number that each timestep has in its path.
    """

    rows: tuple[tuple[StoredArray, ...], ...]
    times: tuple[int, ...]


def template(path: str) -> str:
    """`path` with ``#`` for each number."""
    return _NUMBER.sub("#", path)


def numbered(found: Catalogue, main: StoredArray) -> Numbered | None:
    """The arrays that belong with `main`; None where no number that varies counts time."""
    wanted = template(main.path)
    alike = [
        array
        for path, array in found.arrays.items()
        if template(path) == wanted
        and (array.shape, array.dtype) == (main.shape, main.dtype)
        and array.is_candidate
        and array.problem is None
    ]
    keys = {tuple(int(n) for n in _NUMBER.findall(a.path)): a for a in alike}
    if len(keys) < 2 or len(keys) < len(alike):
        return None
    varying = [i for i in range(len(next(iter(keys)))) if len({k[i] for k in keys}) > 1]
    is_openpmd = "openPMD" in found.groups.get("/", {})
    timelike = [i for i in varying if _TIME.search(_label(main.path, i, is_openpmd))]
    if not timelike and len(varying) == 1 and len(keys) > MAX_FIELDS:
        timelike = varying
    if len(timelike) != 1:
        return None
    return _in_rows(keys, timelike[0])


def _in_rows(keys: dict[tuple[int, ...], StoredArray], time: int) -> Numbered | None:
    times = sorted({key[time] for key in keys})
    rows: dict[tuple[int, ...], dict[int, StoredArray]] = {}
    for key, array in keys.items():
        rows.setdefault((*key[:time], *key[time + 1 :]), {})[key[time]] = array
    if len(rows) > MAX_FIELDS or any(len(row) != len(times) for row in rows.values()):
        return None
    ordered = sorted(rows.values(), key=lambda row: natural_key(row[times[0]].path))
    return Numbered(tuple(tuple(row[t] for t in times) for row in ordered), tuple(times))


def _label(path: str, position: int, is_openpmd: bool) -> str:
    """What stands before the number at `position` in its part of the path.

    Where the part is the number alone, the part above it: ``frames/12``, ``data/100`` of openPMD.
    """
    match = list(_NUMBER.finditer(path))[position]
    above, _, before = path[: match.start()].rpartition("/")
    if before:
        return before
    above = above.rpartition("/")[2].casefold()
    return "time" if is_openpmd and above == "data" else above.removesuffix("s")
