"""Messages of GRIB put together: levels are an axis, valid times timesteps, members fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import UnstructuredMesh, UnsupportedLayout
from scientistcloud.grid import Box
from scientistcloud.readers.arrays.attributes import json_attributes
from scientistcloud.readers.base import Axis, FieldSpec
from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.weather.lattice import Lattice, lattice_of
from scientistcloud.readers.weather.messages import Message, values_of

_PRESSURES = {"isobaricInPa": 0.01, "isobaricInHPa": 1.0, "isobaricInhPa": 1.0}
_LEVEL_UNITS = {
    "pressure": "hPa", "heightAboveGround": "m", "heightAboveSea": "m", "depthBelowSea": "m",
    "depthBelowLand": "cm", "theta": "K", "potentialVorticity": "K m2 kg-1 s-1",
}  # fmt: skip

Time = tuple[int, int, int, int]
"""Date and time that it is valid at, and date and time that it was computed from."""
Place = tuple[Time, float]


@dataclass(frozen=True, slots=True)
class Variable:
    """One quantity (of one member) on one grid: a `BoxReader`.

    Attributes
    ----------
    messages : Mapping
        By time and level. What is not there is NaN.
    """

    name: str
    lattice: Lattice
    level_kind: str
    times: tuple[Time, ...]
    levels: tuple[float, ...]
    messages: Mapping[Place, Message]
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        plane = (self.lattice.height, self.lattice.width)
        return (len(self.levels), *plane) if len(self.levels) > 1 else plane

    @property
    def axes(self) -> tuple[Axis, ...]:
        if len(self.levels) == 1:
            return self.lattice.axes
        steps = np.diff(self.levels)
        even = np.allclose(steps, steps[0], rtol=1e-6)
        units = _LEVEL_UNITS.get(self.level_kind)
        spacing, origin = (float(steps[0]), self.levels[0]) if even else (None, None)
        return (Axis(self.level_kind, spacing, origin, units), *self.lattice.axes)

    @property
    def missing(self) -> int:
        return len(self.times) * len(self.levels) - len(self.messages)

    def spec(self) -> FieldSpec:
        first = next(iter(self.messages.values()))
        plane = (self.lattice.height, self.lattice.width)
        chunks = (1, *plane) if len(self.levels) > 1 else plane
        largest = max(m.size for m in self.messages.values())
        keys = ("name", "shortName", "paramId", "typeOfLevel", "stepType", "packingType", "centre")
        return FieldSpec(
            self.name, self.name, self.dtype, chunks,
            working_bytes=2 * largest + 24 * plane[0] * plane[1],
            units=first.text("units") or None,
            attributes=json_attributes((k, first.keys[k]) for k in keys if k in first.keys),
        )  # fmt: skip

    def check(self, pool: FilePool) -> None:
        """The messages were found whole."""

    def read(self, pool: FilePool, timestep: int, box: Box, out: NDArray[Any]) -> None:
        time = self.times[timestep]
        if len(self.levels) == 1:
            self._plane(pool, (time, self.levels[0]), box, out)
            return
        for i in range(box.lo[0], box.hi[0]):
            part = Box(box.lo[1:], box.hi[1:])
            self._plane(pool, (time, self.levels[i]), part, out[i - box.lo[0]])

    def _plane(self, pool: FilePool, place: Place, box: Box, out: NDArray[Any]) -> None:
        message = self.messages.get(place)
        if message is None:
            out[...] = np.nan
            return
        values = values_of(message, pool, self.lattice.width * self.lattice.height)
        with np.errstate(over="ignore"):
            out[...] = self.lattice.arranged(values)[box.slices]


def variables_of(messages: Sequence[Message]) -> tuple[list[Variable], tuple[str, ...]]:
    """The quantities of all messages, and what was left out.

    Raises
    ------
    UnstructuredMesh
        None lies on rows and columns.
    UnsupportedLayout
        Two messages claim the same place.
    """
    groups: dict[tuple[Any, ...], dict[Place, Message]] = {}
    lattices: dict[tuple[Any, ...], Lattice] = {}
    odd: dict[str, int] = {}
    for message in messages:
        lattice = lattice_of(message)
        if lattice is None:
            kind = message.text("gridType") or "unknown"
            odd[kind] = odd.get(kind, 0) + 1
            continue
        key = _key(message)
        lattices[key] = lattice
        group = groups.setdefault(key, {})
        if _place(message) in group:
            raise UnsupportedLayout(
                f"{message.path.name}: several messages hold {message.text('shortName')} of the "
                "same time, level and member.",
                remedy="Select one of each with grib_copy -w, and upload these.",
            )
        group[_place(message)] = message
    if not groups:
        raise UnstructuredMesh(
            f"{messages[0].path.name} holds samples that are no rows and columns "
            f"({', '.join(odd)}).",
            remedy="Resample them on a regular grid (cdo -setgridtype,regular, or cdo -remapbil).",
        )
    notes = tuple(
        f"Left out, as they are no rows and columns: {n} messages on grids of the type {kind}."
        for kind, n in odd.items()
    )
    names = _names(list(groups))
    return [_variable(names[k], lattices[k], k[2], g) for k, g in groups.items()], notes


def _key(message: Message) -> tuple[Any, ...]:
    """What is one field: grid, quantity, kind of level, kind of step, member."""
    kind = message.text("typeOfLevel")
    return (
        message.text("md5GridSection"),
        message.text("shortName"),
        "pressure" if kind in _PRESSURES else kind,
        message.text("stepType"),
        message.whole("number", -1),
        message.whole("paramId", -1),
    )


def _place(message: Message) -> Place:
    time = (
        message.whole("validityDate"),
        message.whole("validityTime"),
        message.whole("dataDate"),
        message.whole("dataTime"),
    )
    level = float(message.number("level") or 0)
    factor = _PRESSURES.get(message.text("typeOfLevel"), 1.0)
    # Dividing by whole numbers keeps 10 Pa as the 0.1 hPa that is meant.
    return time, level / 100 if factor == 0.01 else level


def _names(keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], str]:
    """Short names; with what tells them apart where that is not enough."""
    names: dict[tuple[Any, ...], str] = {}
    for key in keys:
        _, short, level, step, member, _ = key
        alike = [k for k in keys if k[1] == short]
        parts = [short or "data"]
        parts += [level] if len({k[2] for k in alike}) > 1 else []
        parts += [step] if len({k[3] for k in alike}) > 1 else []
        parts += [f"member{member}"] if len({k[4] for k in alike}) > 1 else []
        name, number = "_".join(parts), 2
        while name in names.values():
            name, number = "_".join((*parts, str(number))), number + 1
        names[key] = name
    return names


def _variable(
    name: str, lattice: Lattice, level_kind: str, messages: Mapping[Place, Message]
) -> Variable:
    return Variable(
        name,
        lattice,
        level_kind or "level",
        tuple(sorted({time for time, _ in messages})),
        tuple(sorted({level for _, level in messages})),
        messages,
        np.dtype("f4" if all(_fits_single(m) for m in messages.values()) else "f8"),
    )


def _fits_single(message: Message) -> bool:
    """Whether float32 tells all packed values apart: at most 23 bits from step to largest value."""
    bits, two = message.number("bitsPerValue"), message.number("binaryScaleFactor")
    reference = message.number("referenceValue")
    if message.text("packingType") == "grid_ieee":
        return message.whole("precision") == 1
    if bits is None or two is None or reference is None:
        return False
    if bits == 0:
        return bool(np.float64(np.float32(reference)) == reference)
    if not -200 < two < 200 or bits > 24:
        return False
    step = 2.0**two
    return bool((abs(reference) + step * 2.0**bits) / step <= 2.0**23)
