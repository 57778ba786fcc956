"""Which axes of a stored array are the grid, which are time, components or fields: one table.

For every format of arrays. What the file itself says comes first (`NamedAxis.meaning`):

======================  =========================================================================
time                    timesteps, wherever it stands, if two axes are left for the grid
colour, components      components of a sample, if 2 to 4; more are channels
x, y, z                 axes of the grid; x (lon) becomes the fastest, z (depth) the slowest; where
                        only letters name them, no other axis moves for their sake
channel, member         a field each, up to 64; more are an axis of the grid where it has two, else
                        up to 256 fields, else refused as ambiguous
wavelength, energy,     an axis of the grid where it has two; else a field each, up to 256, else
lifetime, angle         refused as ambiguous
======================  =========================================================================

What it does not say is decided by position and length, on what is left:

1. A last axis of 3 or 4 behind two that are longer than 4 holds components, unless the file has
   coordinates for it.
2. Of four axes or more, a trailing one of length 1 is dropped.
3. Where the last two of four or more are tiny (64 samples together) and the others are not (4096),
   the long axes are the grid, and the short ones fields.
4. Else the last axes fill the grid up to three, in stored order, and those before are time.

Axes of length 1 are dropped, so that a single slice is an image and not a volume.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scientistcloud.errors import AmbiguousFormat, UnsupportedLayout
from scientistcloud.readers.arrays.axis_meanings import Meaning, NamedAxis
from scientistcloud.readers.arrays.axis_roles import MAX_TIMESTEPS, AxisRoles

MAX_COMPONENTS = 4
MAX_LISTED = 64
"""More channels than that are rather an axis to run along than fields to pick from a list."""
MAX_FIELDS = 256
CALLED_TIME = "the file calls this axis time"
LAST_ARE_SPACE = "the last three are space, those before are time"
_EACH = "each position along {} is a field"
_TINY, _HUGE, _SHORT = 64, 4096, 8
_SPACE = (Meaning.Z, Meaning.Y, Meaning.X)
_LISTED = (Meaning.CHANNEL, Meaning.SPECTRAL, Meaning.COLOUR)


@dataclass(frozen=True, slots=True)
class AxisPlan:
    """The role of every axis of one stored array.

    Attributes
    ----------
    roles : AxisRoles
        Grid, time and components.
    fields : tuple of int
        The stored axes of which each position is a field.
    rules : tuple of str
        The rules that decided, for people.
    """

    names: tuple[str, ...]
    roles: AxisRoles
    fields: tuple[int, ...] = ()
    rules: tuple[str, ...] = ()

    def each_field(self) -> list[tuple[str, AxisRoles]]:
        """For each field what tells it from the others (empty where it is one), and its roles."""
        ranges = [range(self.roles.stored[axis]) for axis in self.fields]
        result = []
        for positions in itertools.product(*ranges):
            at = tuple(zip(self.fields, positions, strict=True))
            label = "_".join(f"{self.names[axis]}_{i}" for axis, i in at)
            result.append((label, replace(self.roles, fixed=(*self.roles.fixed, *at))))
        return result

    @property
    def rule(self) -> str:
        return "; ".join(self.rules) or "the axes are space, in stored order"


def decide(
    axes: Sequence[NamedAxis], *, least: int = 2, fixed: Sequence[tuple[int, int]] = ()
) -> AxisPlan:
    """Give each axis its role by the table at the top of this file.

    Parameters
    ----------
    axes : sequence of NamedAxis
        In stored order, slowest first; all lengths at least 1.
    least : int
        So many axes have to be left for the grid before one is time, a component or a field.
    fixed : sequence of (int, int)
        Axes of which one position alone is meant: (axis, position).

    Raises
    ------
    AmbiguousFormat
        Too many channels for fields, and no room for them in the grid.
    UnsupportedLayout
        No axis is left for the grid, or there are far too many timesteps.
    """
    state = _State(list(axes), least, [i for i in range(len(axes)) if i not in dict(fixed)])
    state.take_time()
    state.take_colour()
    state.take_channels()
    state.take_last_of_colour()
    space = state.grid()
    if not space:
        raise UnsupportedLayout(f"An array of shape {state.text} has no axes of space.")
    times = tuple(sorted(i for i in state.times if axes[i].length > 1))
    stored = tuple(a.length for a in axes)
    roles = AxisRoles(stored, tuple(space), times, state.component, tuple(fixed))
    if roles.timesteps > MAX_TIMESTEPS:
        raise UnsupportedLayout(
            f"An array of shape {state.text} would become {roles.timesteps} timesteps.",
            remedy="Convert a part of it, or say with the parameter 'axes' which are space.",
        )
    names = tuple(a.name for a in axes)
    return AxisPlan(names, roles, tuple(sorted(state.fields)), tuple(state.rules))


class _State:
    """The axes that have no role yet (`rest`), and the roles that were given."""

    def __init__(self, axes: list[NamedAxis], least: int, rest: list[int]) -> None:
        self.axes = axes
        self.least = least
        self.rest = rest
        self.times: list[int] = []
        self.fields: list[int] = []
        self.component: int | None = None
        self.rules: list[str] = []

    @property
    def text(self) -> str:
        return " x ".join(str(a.length) for a in self.axes)

    def _length(self, axis: int) -> int:
        return self.axes[axis].length

    def _named(self, *meanings: Meaning) -> list[int]:
        return [i for i in self.rest if self.axes[i].meaning in meanings]

    def _long(self, without: Sequence[int] = ()) -> list[int]:
        return [i for i in self.rest if i not in without and self._length(i) > 1]

    def _take(self, taken: Sequence[int], rule: str) -> list[int]:
        self.rest = [i for i in self.rest if i not in taken]
        names = ", ".join(self.axes[i].name for i in taken)
        self.rules.append(rule.format(names))
        return list(taken)

    def take_time(self) -> None:
        times = self._named(Meaning.TIME)
        if times and len(self._long(times)) >= self.least:
            self.times = self._take(times, CALLED_TIME)

    def take_colour(self) -> None:
        for axis in self._named(Meaning.COLOUR):
            is_short = 2 <= self._length(axis) <= MAX_COMPONENTS and self.component is None
            if is_short and len(self._long([axis])) >= self.least:
                (self.component,) = self._take([axis], "{} holds the components of a sample")

    def take_channels(self) -> None:
        """Channels become fields or stay in the grid; quantities in steps the other way round."""
        listed = self._named(*_LISTED)
        for axis in sorted(listed, key=self._reluctance):
            length = self._length(axis)
            others = self._long([a for a in listed if a not in self.fields])
            count = math.prod(self._length(a) for a in self.fields) * length
            is_list = self.axes[axis].meaning is not Meaning.SPECTRAL and count <= MAX_LISTED
            if length == 1:
                if len(self.rest) > 1:
                    self.rest.remove(axis)
            elif (is_list and len(others) >= self.least) or (
                len(self._long([axis])) >= 3 and count <= MAX_FIELDS
            ):
                self.fields += self._take([axis], _EACH)
            elif len([i for i in self._named(*_SPACE) if self._length(i) > 1]) >= 3:
                raise _too_many(self.axes[axis], length)

    def _reluctance(self, axis: int) -> tuple[bool, int]:
        """Channels become fields before quantities in steps do, short axes before long ones."""
        return self.axes[axis].meaning is Meaning.SPECTRAL, self._length(axis)

    def take_last_of_colour(self) -> None:
        """Components that nothing names: the last axis, of 3 or 4 behind two longer ones."""
        if self.component is not None or self.fields or len(self.rest) < 3:
            return
        *_, before, middle, last = self.rest
        longer = min(self._length(before), self._length(middle)) > MAX_COMPONENTS
        axis = self.axes[last]
        is_unknown = axis.meaning is Meaning.UNKNOWN and not axis.has_values
        if is_unknown and longer and self._length(last) in (3, 4):
            rule = "a last axis of 3 or 4 behind longer ones holds components"
            (self.component,) = self._take([last], rule)

    def grid(self) -> list[int]:
        """The axes of the grid, slowest first; what is left over is time, or fields."""
        last_alone = len(self.rest) > 3 and self._length(self.rest[-1]) == 1
        if last_alone and self.axes[self.rest[-1]].meaning is Meaning.UNKNOWN:
            self.rest.pop()
        turned = self._turned()
        if turned:
            return turned
        known = self._known()
        listed = self._named(*_LISTED)
        if len(known) + len(listed) > 3:
            known = {m: i for m, i in known.items() if self._length(i) > 1}
        told = [*known.values(), *listed][:3]
        unknown = [i for i in self.rest if i not in told]
        room = min(3 - len(told), len(unknown))
        leading = [i for i in unknown[: len(unknown) - room] if self._length(i) > 1]
        if leading:
            self.times += self._take(leading, LAST_ARE_SPACE)
        kept = {*told, *unknown[len(unknown) - room :]}
        space = [i for i in self.rest if i in kept]
        if not self._may_stay(list(known.values())):
            space = _in_order(space, known)
        if space != sorted(space):
            names = ", ".join(self.axes[i].name for i in space)
            self.rules.append(f"the axes were turned into the order {names}")
        return [i for i in space if self._length(i) > 1] or space[-1:]

    def _known(self) -> dict[Meaning, int]:
        """The first axis of each direction of space."""
        result: dict[Meaning, int] = {}
        for axis in self._named(*_SPACE):
            result.setdefault(self.axes[axis].meaning, axis)
        return result

    def _may_stay(self, known: list[int]) -> bool:
        """Whether the order is that of the file: mere letters do not speak against it."""
        letters = all(len(self.axes[i].name) == 1 for i in known)
        order = [_SPACE.index(self.axes[i].meaning) for i in sorted(known)]
        return letters and order == sorted(order)

    def _turned(self) -> list[int]:
        """The long axes, where the last two are tiny and nothing tells what they are."""
        long = self._long()
        is_told = any(self.axes[i].meaning is not Meaning.UNKNOWN for i in self.rest)
        if is_told or self.fields or len(long) < 4:
            return []
        image = math.prod(self._length(i) for i in long[-2:])
        if image > _TINY or math.prod(self._length(i) for i in long[:-2]) < _HUGE:
            return []
        by_length = sorted(long, key=lambda i: -self._length(i))[:3]
        grid = [i for i in by_length if self._length(i) > _SHORT]
        grid = sorted(grid if len(grid) >= 2 else by_length)
        short = [i for i in long if i not in grid]
        if math.prod(self._length(i) for i in short) > MAX_LISTED:
            return []
        self.fields += self._take(
            short, "the last axes are tiny, so each position of {} is a field"
        )
        return grid


def _in_order(space: list[int], known: dict[Meaning, int]) -> list[int]:
    """The axes of the grid, those of a known direction at their places, the others in between."""
    if len(space) < 2:
        return space
    places = list(_SPACE[-len(space) :])
    if len(space) == 2 and Meaning.Z in known:
        # A section: depth along the rows.
        places = [Meaning.Z, Meaning.X if Meaning.X in known else Meaning.Y]
    others = iter([i for i in space if i not in known.values()])
    fixed = [known.get(place) for place in places]
    return [axis if axis is not None else next(others) for axis in fixed]


def _too_many(axis: NamedAxis, count: int) -> AmbiguousFormat:
    return AmbiguousFormat(
        f"The axis {axis.name!r} has {count} positions: too many for fields, and the grid has "
        "three axes without it.",
        remedy="Say with the parameter 'axes' what each axis is: x, y, z, t (time), c (components "
        "or channels), f (a field each), in stored order.",
    )
