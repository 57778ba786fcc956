"""What timesteps stand for: dates or numbers, from ``metadata.json`` beside the blocks.

The header has no room for them. The record of the same generation as the blocks is taken, so that
a header never meets the times of another conversion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.idx.headers.header import IdxHeader

RECORD = "metadata.json"
RECORD_LIMIT_BYTES = 256 << 20
_GENERATION = re.compile(r"(?:\./)?visus/([0-9A-Za-z]+)/")
_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")


def dataset_record(header_path: Path, header: IdxHeader) -> dict[str, Any]:
    """What ``metadata.json`` says of the dataset of a header; empty where it says nothing."""
    found = _GENERATION.match(header.filename_template)
    inner = Path("visus") / found.group(1) if found else Path("visus")
    folder = header_path.parent
    for root, name in ((folder, ""), (folder.parent, folder.name)):
        for path in (root / inner / RECORD, root / RECORD):
            record = _load(path)
            if found and record.get("generation") not in (None, found.group(1)):
                continue
            entry = entry_of(record, name)
            if entry:
                return entry
    return {}


def entry_of(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The output called `name` ("" is the main one) in a record; empty where there is none."""
    datasets = record.get("datasets")
    for each in datasets if isinstance(datasets, list) else ():
        if isinstance(each, dict) and each.get("name") == name:
            return each
    return {}


@dataclass(frozen=True, slots=True)
class Times:
    """What the timesteps of a dataset stand for.

    Attributes
    ----------
    values : ndarray
        One for each timestep: datetime64 for dates (of nanoseconds, or of microseconds where those
        do not reach), float64 for numbers; texts where a date is none of the Gregorian calendar.
    units : str or None
        Of numbers.
    """

    values: NDArray[Any]
    units: str | None = None


def read_times(header_path: Path, header: IdxHeader) -> Times | None:
    """The times of the dataset of a header; None where they are not known."""
    return times_of(dataset_record(header_path, header), header.timesteps)


def times_of(entry: Mapping[str, Any], timesteps: int) -> Times | None:
    """The times that an entry of a record tells; None where there are none that fit."""
    times = entry.get("times")
    if not isinstance(times, list) or len(times) != timesteps or not times:
        return None
    if all(isinstance(t, str) for t in times):
        return Times(_dates(times))
    if all(t is None or isinstance(t, int | float) for t in times):
        units = entry.get("time_units")
        values = np.array([np.nan if t is None else t for t in times], np.float64)
        return Times(values, units if isinstance(units, str) else None)
    return None


def _dates(texts: Sequence[str]) -> NDArray[Any]:
    try:
        values = np.array([_utc(text) for text in texts], "datetime64[us]")
    except ValueError:
        return np.array(texts)
    exact = values.astype("datetime64[ns]")
    return exact if np.array_equal(exact.astype(values.dtype), values, equal_nan=True) else values


def _utc(text: str) -> str:
    """Without a zone, which NumPy does not have; ``unknown`` is not a time."""
    if text in ("unknown", ""):
        return "NaT"
    if _ZONE.search(text.partition("T")[2]):
        return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None).isoformat()
    return text


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > RECORD_LIMIT_BYTES:
            return {}
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
