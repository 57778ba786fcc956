"""Which arrays of an HDF5 file are converted, and by which rule.

In this order:

1. The parameters ``volume`` (each path becomes a dataset of its own) and ``dataset`` (paths of
   one shape become fields of one dataset), comma separated.
2. NeXus: the default plottable data, where it has at least two axes.
3. The largest array of numbers with two axes or more; without one, the largest of one axis.

Arrays of the same shape in the same group become fields of the same dataset; so do the members of
a compound type. Axes are no fields. Arrays whose paths differ in a number that counts time are
timesteps (`hdf5.numbered`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scientistcloud.errors import (
    InvalidOptions,
    MissingMember,
    UnsafeLink,
    UnsupportedDtype,
    UnsupportedLayout,
)
from scientistcloud.readers.arrays.numeric_types import is_unshowable
from scientistcloud.readers.base import Choice
from scientistcloud.readers.hdf5.catalogue import Catalogue, StoredArray
from scientistcloud.readers.hdf5.files import Place
from scientistcloud.readers.hdf5.nexus import (
    PlotGroup,
    children,
    default_plot,
    nx_class,
    plot_group,
)
from scientistcloud.readers.hdf5.numbered import MAX_FIELDS, numbered, template

NEXUS_4D_ROLES = ("Xs", "Ys", "presample", "postsample")
_MAX_ALTERNATIVES = 20


@dataclass(frozen=True, slots=True)
class Chosen:
    """Arrays of one shape that become one dataset; the first is the main one.

    Attributes
    ----------
    steps : tuple of tuple of StoredArray
        Where each timestep is an array of its own: these, for each of `arrays`.
    step_times : tuple of int
        The numbers of these timesteps.
    """

    arrays: tuple[StoredArray, ...]
    axes: tuple[StoredArray | None, ...] = ()
    axis_names: tuple[str, ...] = ()
    steps: tuple[tuple[StoredArray, ...], ...] = ()
    step_times: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The main array, as a parameter names it: a numbered one by its path without numbers."""
        path = self.arrays[0].path
        return template(path) if self.steps else path

    @property
    def texts(self) -> str:
        """All arrays, as a parameter names them."""
        paths = (template(a.path) if self.steps else a.path for a in self.arrays)
        return ", ".join(dict.fromkeys(paths))

    def places(self, array: StoredArray) -> tuple[Place, ...]:
        """Where the timesteps of one of `arrays` are."""
        if not self.steps:
            return (array.place,)
        return tuple(step.place for step in self.steps[self.arrays.index(array)])


def choose(
    found: Catalogue, parameters: Mapping[str, Any], file_name: str
) -> tuple[list[Chosen], Choice]:
    """Choose by the rules at the top of this file.

    Raises
    ------
    InvalidOptions
        A parameter names nothing that is there.
    MissingMember, UnsafeLink
        What should be converted lies in a file that is not there, or outside.
    UnsupportedDtype
        What should be converted is complex or wider than 64 bit, or there is text only.
    """
    for name, is_apart in (("volume", True), ("dataset", False)):
        paths = path_list(parameters.get(name), name, found)
        if paths:
            chosen = _named(found, paths, name, is_apart)
            texts = ", ".join(c.text if is_apart else c.texts for c in chosen)
            return chosen, Choice(name, texts, "named by the parameter", _others(found, chosen))
    group = default_plot(found)
    if (
        group is not None
        and group.signal is None
        and isinstance(group.problem, MissingMember | UnsafeLink)
    ):
        raise group.problem
    if group is not None and group.signal is not None and group.signal.rank >= 2:
        chosen = [_with_siblings(found, group.signal, group)]
        lead = "default attributes lead" if group.is_default else "NXdata with the largest signal"
        rule = f"NeXus: {lead} to the group {group.path}"
    else:
        one, rule = _by_size(found, file_name, group)
        chosen = [one]
    _check_usable(found, chosen[0].arrays[0])
    return chosen, Choice("dataset", chosen[0].texts, rule, _others(found, chosen))


def _by_size(found: Catalogue, file_name: str, group: PlotGroup | None) -> tuple[Chosen, str]:
    """The largest array with what belongs to it, and the rule."""
    main = _largest(found, file_name)
    series = _with_series_beside(found, main)
    if series is None:
        return _with_siblings(found, main, group), "the largest array of numbers"
    return series, (
        "the largest arrays of numbers: those whose paths differ in a number (#) are a series"
    )


def _series(found: Catalogue, main: StoredArray) -> Chosen | None:
    series = numbered(found, main)
    if series is None:
        return None
    first = tuple(row[0] for row in series.rows)
    return Chosen(first, steps=series.rows, step_times=series.times)


def _with_series_beside(found: Catalogue, main: StoredArray) -> Chosen | None:
    """The series of `main`, with those of its siblings that have the same timesteps."""
    series = _series(found, main)
    if series is None:
        return None
    beside = {template(main.path): series}
    for array in _with_siblings(found, main, None).arrays[1:]:
        if template(array.path) not in beside and (one := _series(found, array)) is not None:
            beside[template(array.path)] = one
    return _joined(list(beside.values()))[0]


def _joined(series: Sequence[Chosen]) -> list[Chosen]:
    """The series, those of one shape and the same timesteps as fields of one dataset."""
    result: list[Chosen] = []
    for one in series:
        for i, known in enumerate(result):
            alike = known.arrays[0].shape == one.arrays[0].shape
            fits = len(known.arrays) + len(one.arrays) <= MAX_FIELDS
            if alike and known.step_times == one.step_times and fits:
                arrays, steps = known.arrays + one.arrays, known.steps + one.steps
                result[i] = replace(known, arrays=arrays, steps=steps)
                break
        else:
            result.append(one)
    return result


def _numbered_as(found: Catalogue, path: str) -> Chosen | None:
    """The series whose paths without numbers are `path`: that of its largest array."""
    alike = [a for a in _candidates(found) if template(a.path) == "/" + path.strip("/")]
    return _series(found, alike[0]) if alike else None


def path_list(value: Any, name: str, found: Catalogue) -> list[str]:
    """The HDF5 paths of a parameter: text with commas, or a list of texts."""
    if value is None or value == "":
        return []
    if isinstance(value, str) and found.array(value) is not None:
        return [value]
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, Sequence) or not all(isinstance(item, str) for item in items):
        raise InvalidOptions(f"The parameter {name} must be HDF5 paths, separated by commas.")
    return [item.strip() for item in items if item.strip()]


def find_array(found: Catalogue, path: str, parameter: str) -> StoredArray:
    """The array that a parameter names: by its path, or by the end of it where that is unique."""
    array = found.array(path)
    clean = "/" + path.strip("/")
    if array is not None:
        return replace(array, path=clean)
    if clean in found.links:
        raise found.links[clean]
    if nx_class(found, clean) == "NXdata":
        group = plot_group(found, clean)
        array = group.signal if group is not None else None
    if array is None:
        matching = [a for p, a in found.arrays.items() if p.endswith(clean)]
        array = matching[0] if len(matching) == 1 else None
    if array is None:
        known = ", ".join(a.path for a in _candidates(found)[:_MAX_ALTERNATIVES])
        raise InvalidOptions(
            f"The parameter {parameter} names {path!r}, which is not in the file.",
            remedy=f"Choose one of: {known or 'no array of numbers is there'}.",
        )
    return array


def _named(found: Catalogue, paths: list[str], parameter: str, is_apart: bool) -> list[Chosen]:
    series = [s for path in paths if "#" in path and (s := _numbered_as(found, path)) is not None]
    if series:
        return series if is_apart else _joined(series)
    arrays = [find_array(found, path, parameter) for path in dict.fromkeys(paths)]
    for array in arrays:
        _check_usable(found, array)
    result: list[list[StoredArray]] = []
    for array in arrays:
        same = [group for group in result if group[0].shape == array.shape and not is_apart]
        if same:
            same[0].append(array)
        else:
            result.append([array])
    return [_with_axes(found, tuple(group)) for group in result]


def _with_axes(found: Catalogue, arrays: tuple[StoredArray, ...]) -> Chosen:
    group = plot_group(found, arrays[0].parent)
    if group is not None and group.signal is not None and group.signal.shape == arrays[0].shape:
        return Chosen(arrays, group.axes, group.axis_names)
    return Chosen(arrays)


def _with_siblings(found: Catalogue, main: StoredArray, group: PlotGroup | None) -> Chosen:
    is_signal = group is not None and group.signal is not None and group.signal.place == main.place
    where = group.path if group is not None and is_signal else main.parent
    group = group if is_signal else plot_group(found, where)
    axes = [a.place for a in group.axes if a is not None] if group is not None else []
    siblings = [
        a
        for a in children(found, where).values()
        if a.is_candidate
        and a.members
        and a.problem is None
        and a.shape == main.shape
        and a.place != main.place
        and "axis" not in a.attributes
        and a.place not in axes
    ]
    arrays = (main, *siblings)
    if group is not None and group.signal is not None and group.signal.shape == main.shape:
        return Chosen(arrays, group.axes, group.axis_names)
    return Chosen(arrays)


def _candidates(found: Catalogue) -> list[StoredArray]:
    usable = [a for a in found.arrays.values() if a.is_candidate]
    return sorted(usable, key=lambda a: (-min(a.rank, 2), -a.size_bytes))


def _others(found: Catalogue, chosen: list[Chosen]) -> tuple[str, ...]:
    taken = {p for c in chosen for a in c.arrays for p in c.places(a)}
    return tuple(a.path for a in _candidates(found) if a.place not in taken)[:_MAX_ALTERNATIVES]


def _largest(found: Catalogue, file_name: str) -> StoredArray:
    candidates = _candidates(found)
    if not candidates or candidates[0].rank < 2:
        broken = [
            *(a.problem for a in candidates if a.problem is not None),
            *(e for e in found.links.values() if isinstance(e, MissingMember | UnsafeLink)),
        ]
        if broken:
            raise broken[0]
    if candidates:
        return candidates[0]
    if not found.arrays:
        raise UnsupportedLayout(f"{file_name} holds no arrays.")
    unwritten = [a for a in found.arrays.values() if a.members and a.size > 1 and not a.is_text]
    if unwritten:
        raise UnsupportedLayout(
            f"{file_name} declares {unwritten[0].path!r}, but nothing was ever written to it.",
            remedy="Check that the measurement or export was completed, and upload it again.",
        )
    raise UnsupportedDtype(
        f"{file_name} holds no array of numbers: its {len(found.arrays)} datasets are text, "
        "single values or other things.",
    )


def _check_usable(found: Catalogue, array: StoredArray) -> None:
    if array.problem is not None:
        raise array.problem
    if array.members and array.size > 0:
        return
    if is_unshowable(array.dtype):
        others = [a.path for a in _candidates(found) if a.members]
        raise UnsupportedDtype(
            f"{array.path!r} holds {array.dtype.name} numbers, which viewers cannot show.",
            remedy="Export their magnitude or real and imaginary parts as floating-point numbers"
            + (
                f", or choose another array with the parameter dataset: {others[0]}."
                if others
                else "."
            ),
        )
    raise UnsupportedDtype(f"{array.path!r} holds no numbers.")
