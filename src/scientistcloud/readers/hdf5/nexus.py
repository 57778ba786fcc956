"""What NeXus says about the arrays of an HDF5 file: which to plot, and what their axes are.

The rules are those of the NeXus manual (https://manual.nexusformat.org/datarules.html, "Find the
plottable data"), the newest first:

1. ``default`` attributes lead from the root to an ``NXdata`` group.
2. Of an ``NXdata`` group, ``signal`` names the array; in older files an array has ``signal=1``.
3. ``axes`` of the group names its axes (``.`` for none), in older files ``axes`` of the array
   (``y:x``), in still older ones each axis has ``axis=n`` and perhaps ``primary=1``.

Where no ``default`` leads anywhere, the group with the largest signal counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from scientistcloud.errors import ConversionError
from scientistcloud.readers.arrays.attributes import number, text, texts
from scientistcloud.readers.hdf5.catalogue import Catalogue, StoredArray

_MAX_DEFAULTS = 16


@dataclass(frozen=True, slots=True)
class PlotGroup:
    """An ``NXdata`` group.

    Attributes
    ----------
    signal : StoredArray or None
        None where the link to it leads nowhere (`problem` says why).
    axes : tuple of (StoredArray or None)
        For each axis of the signal the array of its coordinates.
    is_default : bool
        Whether ``default`` attributes lead here.
    """

    path: str
    signal: StoredArray | None
    axes: tuple[StoredArray | None, ...] = ()
    axis_names: tuple[str, ...] = ()
    is_default: bool = False
    problem: ConversionError | None = None


def is_nexus(found: Catalogue) -> bool:
    """Whether the file follows NeXus at all."""
    return any(nx_class(found, path).startswith("NX") for path in found.groups)


def nx_class(found: Catalogue, path: str) -> str:
    """The NeXus class of a group; empty where it has none."""
    value = found.groups.get(path, {}).get("NX_class")
    return "" if value is None else text(value)


def default_plot(found: Catalogue) -> PlotGroup | None:
    """The group that is meant to be looked at first; None where there is no such group."""
    path = _follow_defaults(found)
    if path is not None:
        group = plot_group(found, path, is_default=True)
        if group is not None:
            return group
    groups = [plot_group(found, p) for p in found.groups if nx_class(found, p) == "NXdata"]
    usable = [g for g in groups if g is not None]
    return max(usable, key=_weight, default=None)


def plot_group(found: Catalogue, path: str, *, is_default: bool = False) -> PlotGroup | None:
    """What the group `path` plots; None where it plots nothing that is a number."""
    members = children(found, path)
    name = _signal_name(found, path, members)
    if name is None:
        return None
    link = f"{path.rstrip('/')}/{name}"
    if link in found.links:
        return PlotGroup(path, None, is_default=is_default, problem=found.links[link])
    signal = members.get(name) or found.array(link)
    if signal is None or not signal.is_candidate:
        return None
    axes, names = _axes(found, path, signal, members)
    return PlotGroup(path, signal, axes, names, is_default, signal.problem)


def children(found: Catalogue, path: str) -> dict[str, StoredArray]:
    """The arrays in a group by their names there, also those that were met elsewhere before."""
    result = {}
    for name, full in found.children.get(path.rstrip("/") or "/", {}).items():
        array = found.array(full)
        if array is not None:
            result[name] = replace(array, path=f"{path.rstrip('/')}/{name}")
    return result


def _weight(group: PlotGroup) -> tuple[int, int]:
    signal = group.signal
    return (min(signal.rank, 2), signal.size_bytes) if signal is not None else (-1, 0)


def _follow_defaults(found: Catalogue) -> str | None:
    path = "/"
    for _ in range(_MAX_DEFAULTS):
        value = found.groups.get(path, {}).get("default")
        if value is None or text(value) in ("", "."):
            break
        full = f"{path.rstrip('/')}/{text(value).strip('/')}"
        if text(value).startswith("/"):
            full = text(value)
        full = found.aliases.get(full, full)
        if full not in found.groups:
            break
        path = full
    return path if nx_class(found, path) == "NXdata" or "signal" in found.groups[path] else None


def _signal_name(found: Catalogue, path: str, members: dict[str, StoredArray]) -> str | None:
    named = found.groups.get(path, {}).get("signal")
    if named is not None and text(named):
        return text(named).strip("/").rpartition("/")[2]
    for name, array in members.items():
        flag = array.attributes.get("signal")
        if flag is not None and text(flag).strip() == "1":
            return name
    candidates = [n for n, a in members.items() if a.is_candidate and a.rank >= 2]
    if "data" in members or f"{path}/data" in found.links:
        return "data"
    return candidates[0] if len(candidates) == 1 else None


def _axes(
    found: Catalogue, path: str, signal: StoredArray, members: dict[str, StoredArray]
) -> tuple[tuple[StoredArray | None, ...], tuple[str, ...]]:
    rank = len(signal.shape)
    arrays: list[StoredArray | None] = [None] * rank
    names = [""] * rank
    for i, name in _axis_names(found, path, signal, members):
        if 0 <= i < rank and not names[i]:
            array = members.get(name)
            names[i] = name
            fits = array is not None and array.shape in ((signal.shape[i],), (signal.shape[i] + 1,))
            arrays[i] = array if fits else None
    return tuple(arrays), tuple(names)


def _axis_names(
    found: Catalogue, path: str, signal: StoredArray, members: dict[str, StoredArray]
) -> Iterator[tuple[int, str]]:
    attributes = found.groups.get(path, {})
    listed = attributes.get("axes", signal.attributes.get("axes"))
    if listed is not None:
        for position, name in enumerate(texts(listed)):
            if name in ("", "."):
                continue
            index = number(attributes.get(f"{name}_indices"))
            yield (position if index is None else int(index)), name
        return
    marked = [
        (number(a.attributes.get("primary")) != 1, int(axis), name)
        for name, a in members.items()
        if (axis := _axis_mark(a)) is not None
    ]
    for _, axis, name in sorted(marked):
        yield axis - 1, name


def _axis_mark(array: StoredArray) -> float | None:
    mark = array.attributes.get("axis")
    if mark is None:
        return None
    try:
        return float(text(mark))
    except ValueError:
        return None
