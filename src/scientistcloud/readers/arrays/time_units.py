"""Times in seconds, whatever unit of time a file counts in."""

from __future__ import annotations

from collections.abc import Sequence

_NAMES = {
    1e-9: "ns nsec nanosecond nanoseconds",
    1e-6: "us usec µs μs microsecond microseconds",
    1e-3: "ms msec millisecond milliseconds",
    1.0: "s sec secs second seconds",
    60.0: "min mins minute minutes",
    3600.0: "h hr hrs hour hours",
    86400.0: "d day days",
}
_SECONDS = {name: seconds for seconds, names in _NAMES.items() for name in names.split()}


def in_seconds(
    times: Sequence[float | str], units: str | None
) -> tuple[tuple[float | str, ...], str | None]:
    """Times and their unit: seconds where `units` is one of time, else as they are.

    Parameters
    ----------
    times : sequence
        Dates are left as they are, and have no unit.
    """
    if not times or any(isinstance(t, str) for t in times):
        return tuple(times), None
    seconds = _SECONDS.get((units or "").strip().lower())
    if seconds is None:
        return tuple(times), units or None
    if seconds == 1:
        return tuple(times), "s"
    if seconds < 1:
        # Dividing by whole numbers keeps 100 ms as the 0.1 that is meant.
        return tuple(float(t) / round(1 / seconds) for t in times), "s"
    return tuple(float(t) * seconds for t in times), "s"
