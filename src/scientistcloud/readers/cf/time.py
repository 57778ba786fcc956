"""Times of CF: numbers since a date in a calendar, as ISO 8601."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.readers.cf.variables import Variable

_SINCE = re.compile(r"^\s*[a-z]+\s+since\s+\S", re.IGNORECASE)
_NAMES = frozenset({"time", "t", "times", "date", "datetime", "valid_time", "ocean_time"})


def is_time(variable: Variable) -> bool:
    """Whether a coordinate variable counts time: by its units, standard name or axis."""
    return (
        _SINCE.match(variable.text("units")) is not None
        or variable.text("standard_name").lower() == "time"
        or variable.text("axis").upper() == "T"
        or variable.text("_CoordinateAxisType").lower() == "time"
    )


def is_time_name(name: str) -> bool:
    """Whether a dimension without coordinates is called time."""
    return name.rpartition("/")[2].lower() in _NAMES


def iso_times(values: NDArray[Any], units: str, calendar: str) -> tuple[float | str, ...]:
    """Times as ISO 8601 texts in their own calendar; the numbers where they cannot be understood.

    The calendar of CF without one is ``standard``. Missing times are ``"unknown"``.
    """
    from netCDF4 import num2date

    exact = np.ma.masked_invalid(values.astype(np.float64))
    try:
        dates: Any = num2date(
            np.where(exact.mask, 0.0, exact.data),
            units,
            calendar or "standard",
            only_use_cftime_datetimes=True,
        )
        texts = [date.isoformat() for date in np.atleast_1d(dates)]
    except (ValueError, OverflowError, TypeError, AttributeError):
        return tuple(float(v) for v in exact.filled(0.0))
    missing = np.broadcast_to(np.ma.getmaskarray(exact), len(texts))
    return tuple("unknown" if m else t for t, m in zip(texts, missing, strict=True))
