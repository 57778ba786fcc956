"""Variables on one grid are fields of one dataset: which grids there are, which is the main one.

1. A dimension of time (by CF, by its name, or because it is unlimited) is time, wherever it stands;
   the parameter ``time_dimension`` names another, or ``none`` (``auto``: by this rule).
2. All other roles are those of `arrays.axis_rules`: lon runs along x and lat along y, whatever
   their order in the file; without a dimension of time, three dimensions are a volume, and the
   first of four is time. The parameter ``axes`` says otherwise for the main variable and those of
   its dimensions.
3. The grid with two dimensions of space or more whose variables are largest is the main dataset;
   every other grid becomes a further one. The parameter ``variable`` picks others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scientistcloud.errors import (
    AmbiguousFormat,
    InvalidOptions,
    UnstructuredMesh,
    UnsupportedLayout,
)
from scientistcloud.readers.arrays.axis_letters import PARAMETER as AXES
from scientistcloud.readers.arrays.axis_letters import (
    axes_choice,
    check_used,
    plan_of,
    told_letters,
)
from scientistcloud.readers.arrays.axis_meanings import consistent
from scientistcloud.readers.arrays.axis_roles import AxisRoles
from scientistcloud.readers.arrays.axis_rules import AxisPlan, decide
from scientistcloud.readers.base import Choice
from scientistcloud.readers.cf.packing import Packing, packing_of
from scientistcloud.readers.cf.roles import Roles, axis_of_dim, roles_of
from scientistcloud.readers.cf.variables import Variable, Variables

MAX_OUTPUTS = 64
_MAX_ALTERNATIVES = 20
_AUTO = "auto"


@dataclass(frozen=True, slots=True)
class GridField:
    """A variable with the roles of its axes and how it is unpacked.

    Attributes
    ----------
    label : str
        What tells it from other fields of the same variable; empty where it is one field.
    plan : AxisPlan or None
        By which rules its axes have these roles.
    """

    variable: Variable
    roles: AxisRoles
    packing: Packing
    label: str = ""
    plan: AxisPlan | None = None

    @property
    def space_dims(self) -> tuple[str, ...]:
        return tuple(self.variable.dims[a] for a in self.roles.space)

    @property
    def time_dims(self) -> tuple[str, ...]:
        return tuple(self.variable.dims[a] for a in self.roles.time)


@dataclass(frozen=True, slots=True)
class CfGrid:
    """The fields that share a grid."""

    fields: tuple[GridField, ...]

    @property
    def first(self) -> GridField:
        return self.fields[0]

    @property
    def weight(self) -> tuple[int, int]:
        """By which the main grid is chosen: dimensions of space (two are enough), then bytes."""
        unique = {f.variable.path: f for f in self.fields}.values()
        size = sum(f.variable.size * f.packing.result.itemsize for f in unique)
        return min(len(self.first.roles.space), 2), size


@dataclass(frozen=True)
class CfGrids:
    """All grids of a file, the main one first."""

    grids: tuple[CfGrid, ...]
    roles: Roles
    choices: tuple[Choice, ...]
    notes: tuple[str, ...]


def grids_of(variables: Variables, parameters: Mapping[str, Any], file_name: str) -> CfGrids:
    """Find the grids by the rules at the top of this file.

    Raises
    ------
    UnstructuredMesh
        All data live on a mesh.
    UnsupportedLayout
        There are no data.
    InvalidOptions
        A parameter names nothing that is there.
    """
    roles = roles_of(variables)
    time_dims, choices = _time_of(variables, roles, parameters)
    notes: list[str] = []
    usable: list[Variable] = []
    meshed: list[Variable] = []
    for variable in roles.data:
        (meshed if set(variable.dims) & set(roles.mesh_dims) else usable).append(variable)
    series = [v for v in usable if not _space(v, time_dims)]
    if len(series) < len(usable):
        usable = [v for v in usable if v not in series]
        if series:
            notes.append(f"Kept as metadata, as series over time: {_names(series)}.")
    else:
        time_dims = frozenset()
    if not usable:
        raise _no_data(variables, roles, meshed, file_name)
    if meshed:
        notes.append(f"Not converted, as on an unstructured mesh: {_names(meshed)}.")

    given = parameters.get(AXES)

    def grouped(letters: Mapping[tuple[str, ...], str]) -> tuple[list[CfGrid], list[Choice]]:
        every = [f for v in usable for f in _fields_of(v, variables, time_dims, letters, given)]
        return _picked(_grouped(every), parameters)

    grids, picked = grouped({})
    dims = grids[0].first.variable.dims
    letters = told_letters(given, len(dims))
    if letters is not None:
        grids, picked = grouped({dims: letters})
    choices += picked or [_main_choice(grids)]
    choices += _turned(grids[0].first, letters)
    check_used(given, choices)
    if not any(c.parameter == "time_dimension" for c in choices):
        choices += _folded(grids, time_dims)
    if len(grids) > MAX_OUTPUTS:
        left = [f.variable for g in grids[MAX_OUTPUTS:] for f in g.fields]
        notes.append(f"Not converted, as there are over {MAX_OUTPUTS} grids: {_names(left)}.")
    return CfGrids(tuple(grids[:MAX_OUTPUTS]), roles, tuple(choices), tuple(notes))


def _time_of(
    variables: Variables, roles: Roles, parameters: Mapping[str, Any]
) -> tuple[frozenset[str], list[Choice]]:
    wanted = parameters.get("time_dimension")
    if wanted in (None, "", _AUTO):
        return roles.time_dims, []
    if wanted == "none":
        return frozenset(), [Choice("time_dimension", "none", "named by the parameter")]
    dims = sorted({d for v in variables.by_path.values() for d in v.dims})
    if wanted not in dims:
        raise InvalidOptions(
            f"The parameter time_dimension names {wanted!r}, which is no dimension of the file.",
            remedy=f"Choose one of: none, {', '.join(dims[:_MAX_ALTERNATIVES])}.",
        )
    return frozenset({str(wanted)}), [Choice("time_dimension", wanted, "named by the parameter")]


def _space(variable: Variable, time_dims: frozenset[str]) -> list[str]:
    lengths = zip(variable.dims, variable.shape, strict=True)
    return [d for d, n in lengths if d not in time_dims and n > 1]


def _fields_of(
    variable: Variable,
    variables: Variables,
    time_dims: frozenset[str],
    letters: Mapping[tuple[str, ...], str],
    given: object,
) -> list[GridField]:
    """The fields that a variable becomes: one, or one for each position of some dimensions.

    Where its axes cannot be told, by the parameter ``axes`` that was `given`.
    """
    if variable.dtype is None:
        return []
    packing = packing_of(variable.dtype, variable.attributes)
    told = letters.get(variable.dims)
    lengths = zip(variable.dims, variable.shape, strict=True)
    axes = consistent([axis_of_dim(d, n, variables, time_dims) for d, n in lengths])
    try:
        plan = decide(axes, least=1) if told is None else None
    except AmbiguousFormat:
        told = told_letters(given, len(axes))
        if told is None:
            raise
        plan = None
    plan = plan or plan_of(told or "", variable.dims, variable.shape)
    return [GridField(variable, roles, packing, label, plan) for label, roles in plan.each_field()]


def _grouped(every: list[GridField]) -> list[CfGrid]:
    groups: dict[tuple[Any, ...], list[GridField]] = {}
    for member in every:
        groups.setdefault((member.space_dims, member.time_dims), []).append(member)
    grids = [CfGrid(tuple(fields)) for fields in groups.values()]
    return sorted(grids, key=lambda g: tuple(-w for w in g.weight))


def _turned(main: GridField, letters: str | None) -> list[Choice]:
    """Say where the axes were not taken as they are stored."""
    plan = main.plan
    if plan is None:
        return []
    space = plan.roles.space
    is_plain = list(space) == sorted(space) and not plan.fields and plan.roles.component is None
    return [] if is_plain and letters is None else [axes_choice(plan)]


def _picked(
    grids: list[CfGrid], parameters: Mapping[str, Any]
) -> tuple[list[CfGrid], list[Choice]]:
    """The grids of the variables that the parameter ``variable`` names, with these alone."""
    value = parameters.get("variable")
    if value in (None, "", []):
        return grids, []
    names = value.split(",") if isinstance(value, str) else list(value)
    names = [str(name).strip().strip("/") for name in names]
    every = [f for g in grids for f in g.fields]
    paths = [_path_of(name, every) for name in names]

    def order(member: GridField) -> int:
        return paths.index(member.variable.path) if member.variable.path in paths else -1

    kept = [CfGrid(tuple(sorted((f for f in g.fields if order(f) >= 0), key=order))) for g in grids]
    result = sorted((g for g in kept if g.fields), key=lambda g: order(g.first))
    left = dict.fromkeys(f.variable.path for f in every if order(f) < 0)
    others = tuple(left)[:_MAX_ALTERNATIVES]
    return result, [Choice("variable", ", ".join(names), "named by the parameter", others)]


def _path_of(name: str, every: list[GridField]) -> str:
    """The path of the variable that `name` means: a path, or a name without groups."""
    paths = [f.variable.path for f in every]
    if name in paths:
        return name
    found = [f.variable.path for f in every if f.variable.name == name]
    if not found:
        raise InvalidOptions(
            f"The parameter variable names {name!r}, which is no variable with data.",
            remedy=f"Choose one of: {', '.join(paths[:_MAX_ALTERNATIVES])}.",
        )
    return found[0]


def _main_choice(grids: list[CfGrid]) -> Choice:
    names = list(dict.fromkeys(f.variable.path for g in grids[:MAX_OUTPUTS] for f in g.fields))
    main = ", ".join(dict.fromkeys(f.variable.path for f in grids[0].fields))
    rule = f"{main}: the grid with the most data is the main one; others are further datasets"
    own = {f.variable.path for f in grids[0].fields}
    others = [n for n in names if n not in own][:_MAX_ALTERNATIVES]
    return Choice("variable", ", ".join(names), rule, tuple(others))


def _folded(grids: list[CfGrid], time_dims: frozenset[str]) -> list[Choice]:
    """Say where dimensions became time, or a volume, without the file calling them so."""
    main = grids[0].first
    extra = [d for d in main.time_dims if d not in time_dims]
    if extra:
        shape = ", ".join(
            f"{d}={n}" for d, n in zip(main.variable.dims, main.variable.shape, strict=True)
        )
        rule = (
            f"of the dimensions ({shape}) of {main.variable.path} the last three are space, "
            f"so {', '.join(extra)} became time"
        )
        return [Choice("time_dimension", _AUTO, rule, ("none", *main.variable.dims))]
    if len(main.space_dims) == 3 and not set(main.variable.dims) & time_dims:
        rule = f"no dimension is called time, so {main.space_dims[0]} is depth"
        return [Choice("time_dimension", _AUTO, rule, main.space_dims)]
    return []


def _no_data(
    variables: Variables, roles: Roles, meshed: list[Variable], file_name: str
) -> UnsupportedLayout:
    if meshed or (roles.mesh_dims and not roles.data):
        dim, how = next(iter(roles.mesh_dims.items()))
        return UnstructuredMesh(
            f"{file_name} has its data on an unstructured mesh: the dimension {dim!r} {how}, "
            "so there are no rows and columns."
        )
    if not variables.by_path:
        return UnsupportedLayout(f"{file_name} holds no variables.")
    names = ", ".join(list(variables.by_path)[:8])
    return UnsupportedLayout(
        f"{file_name} holds no array of numbers: its variables ({names}) are text, single values, "
        "coordinates, or have no values yet."
    )


def _names(variables: list[Variable]) -> str:
    names = [v.path for v in variables]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
