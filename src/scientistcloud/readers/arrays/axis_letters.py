"""The parameter ``axes``: a letter for each stored axis, slowest first, for every format of arrays.

``x``, ``y``, ``z`` are the grid, whatever their order; ``t`` is time; ``c`` components of a sample
where there are 2 to 4, else a field each; ``f`` a field each; ``-`` an axis of length 1. Several
ranks are told apart by commas (``tyx,zyx,tzyx``): each array takes that of its rank.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from scientistcloud.errors import InvalidOptions
from scientistcloud.readers.arrays.axis_roles import MAX_TIMESTEPS, AxisRoles
from scientistcloud.readers.arrays.axis_rules import MAX_COMPONENTS, MAX_FIELDS, AxisPlan
from scientistcloud.readers.base import Choice

PARAMETER = "axes"
_LETTERS = re.compile(r"[xyztcf-]+")
_READINGS = {
    2: ("xy",),
    3: ("zyx", "tyx", "yxc", "fyx", "xyz"),
    4: ("tzyx", "zyxc", "tyxc", "fzyx", "zyxt"),
    5: ("tzyxc", "tfzyx", "tczyx"),
}
_MAX_READINGS = 4
_NAMED = "named by the parameter"


def told_letters(value: object, rank: int) -> str | None:
    """The letters for an array of `rank` axes; None where the parameter has none for that rank.

    Raises
    ------
    InvalidOptions
        It holds other letters, or one direction of space twice, or none.
    """
    if value is None or value in ("", "auto"):
        return None
    words = str(value).lower().split(",") if not isinstance(value, list | tuple) else list(value)
    for word in (str(w).strip().lower() for w in words):
        doubled = any(word.count(letter) > 1 for letter in "xyzc")
        if not _LETTERS.fullmatch(word) or doubled or not set(word) & set("xyz"):
            raise InvalidOptions(
                f"The parameter axes={value!r} does not name axes: each of x, y, z and c at most "
                "once, t, f and - as often as needed, and at least one of x, y, z."
            )
        if len(word) == rank:
            return word
    return None


def plan_of(letters: str, names: Sequence[str], stored: Sequence[int]) -> AxisPlan:
    """The roles that `letters` give the axes of an array.

    Raises
    ------
    InvalidOptions
        ``-`` stands for an axis longer than 1, or there would be too many timesteps or fields.
    """
    space = sorted((i for i, a in enumerate(letters) if a in "xyz"), key=lambda i: -ord(letters[i]))
    times = tuple(i for i, a in enumerate(letters) if a == "t" and stored[i] > 1)
    fields = [i for i, a in enumerate(letters) if a == "f" and stored[i] > 1]
    component = None
    for axis in (i for i, a in enumerate(letters) if a == "c" and stored[i] > 1):
        if stored[axis] <= MAX_COMPONENTS:
            component = axis
        else:
            fields.append(axis)
    roles = AxisRoles(tuple(stored), tuple(space), times, component)
    unused = [i for i, a in enumerate(letters) if a == "-" and stored[i] > 1]
    too_many = math.prod(stored[i] for i in fields) > MAX_FIELDS
    if unused or too_many or roles.timesteps > MAX_TIMESTEPS:
        shape = " x ".join(map(str, stored))
        raise InvalidOptions(
            f"The parameter axes={letters} does not fit an array of {shape} samples: '-' stands "
            f"for axes of length 1, and there are at most {MAX_FIELDS} fields and "
            f"{MAX_TIMESTEPS:,} timesteps."
        )
    return AxisPlan(tuple(names), roles, tuple(sorted(fields)), (_NAMED,))


def letters_of(plan: AxisPlan) -> str:
    """`plan` as the parameter would say it."""
    roles = plan.roles
    places = dict(zip(roles.space, "zyx"[-len(roles.space) :], strict=True))
    letters = []
    for axis in range(len(roles.stored)):
        if axis in places:
            letters.append(places[axis])
        elif axis in roles.time:
            letters.append("t")
        elif axis == roles.component:
            letters.append("c")
        else:
            letters.append("f" if axis in plan.fields else "-")
    return "".join(letters)


def axes_choice(plan: AxisPlan) -> Choice:
    """What was chosen for the axes, and other readings of an array of that rank."""
    chosen = letters_of(plan)
    long = [axis for axis, n in enumerate(plan.roles.stored) if n > 1]
    others = []
    for reading in _READINGS.get(len(long), ()):
        letters = dict(zip(long, reading, strict=True))
        others.append("".join(letters.get(axis, "-") for axis in range(len(chosen))))
    return Choice(
        PARAMETER, chosen, plan.rule, tuple(o for o in others if o != chosen)[:_MAX_READINGS]
    )


def check_used(value: object, choices: Iterable[Choice]) -> None:
    """Refuse a parameter ``axes`` that no array took.

    Raises
    ------
    InvalidOptions
        None of `choices` says that it decided.
    """
    if value is None or value in ("", "auto"):
        return
    if not any(c.parameter == PARAMETER and c.rule == _NAMED for c in choices):
        raise InvalidOptions(
            f"The parameter axes={value!r} fits none of the arrays: it takes a letter for each of "
            "their axes, and none where the format tells the axes by itself."
        )
