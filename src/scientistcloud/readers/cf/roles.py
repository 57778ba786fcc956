"""What each variable of a CF file is for: data, coordinates, bounds, mesh; and which axes are time.

CF 1.11: coordinates (chapter 5), bounds (7.1), grid mappings (5.6); UGRID 1.0 for meshes. Files
that follow no convention are judged by names where nothing else tells (``lat``, ``time_bnds``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scientistcloud.readers.arrays.axis_meanings import Meaning, NamedAxis, meaning_of
from scientistcloud.readers.cf.time import is_time, is_time_name
from scientistcloud.readers.cf.variables import Variable, Variables

_BOUNDS_NAME = re.compile(r"_(bnds|bounds|vertices|bnd)$", re.IGNORECASE)
# ``lat``, ``nav_lat``, ``XLAT``, ``latitude``, ``latCell``, ``lat_u``; but not ``latent_heat``.
_LAT_NAME = re.compile(r"^(?i:nav_|x|g)?(?i:lat(itude)?s?)([A-Z_].*)?$")
_LON_NAME = re.compile(r"^(?i:nav_|x|g)?(?i:lon(g|gitude)?s?)([A-Z_].*)?$")
_DEGREES = re.compile(r"^degrees?_?(n|s|e|w|north|south|east|west)$", re.IGNORECASE)
_MAX_CORNERS = 16
_AXIS = {"X": Meaning.X, "Y": Meaning.Y, "Z": Meaning.Z}
_STANDARD = {
    Meaning.X: re.compile(r"^(grid_)?longitude$|_x_(coordinate|angular_coordinate)$"),
    Meaning.Y: re.compile(r"^(grid_)?latitude$|_y_(coordinate|angular_coordinate)$"),
    Meaning.Z: re.compile(
        r"^(altitude|height|depth|air_pressure|model_level_number)$"
        r"|^(height|depth)_|_(sigma|hybrid|height|depth)[a-z_]*_coordinate$"
    ),
    Meaning.CHANNEL: re.compile(r"^realization$"),
    Meaning.SPECTRAL: re.compile(r"_(wavelength|frequency|wavenumber)$"),
}


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of variables and dimensions.

    Attributes
    ----------
    data : tuple of Variable
        What can become fields, in the order of the file.
    coordinates : tuple of Variable
        Auxiliary coordinates of two dimensions or more (a curvilinear grid).
    time_dims : frozenset of str
        Dimensions that count time.
    mesh_dims : Mapping of str to str
        Dimensions of an unstructured mesh, and how that was seen.
    others : tuple of Variable
        Text and other things that are no numbers.
    """

    data: tuple[Variable, ...]
    coordinates: tuple[Variable, ...]
    time_dims: frozenset[str]
    mesh_dims: dict[str, str]
    others: tuple[Variable, ...]


def roles_of(variables: Variables) -> Roles:
    """Give every variable its role."""
    every = list(variables.by_path.values())
    referred = _referred(variables)
    time_dims = _time_dims(variables)
    meshes = _mesh_dims(variables, time_dims)
    numbers = [v for v in every if v.dtype is not None]
    data = [v for v in numbers if not _is_about_others(v, variables, referred)]
    if not any(v.size > 1 for v in data):
        # Nothing but coordinates: then they are what the file is for.
        data = [v for v in numbers if v.size > 1 and "cf_role" not in v.attributes]
    coordinates = [v for v in numbers if v not in data and len(v.dims) >= 2 and _is_horizontal(v)]
    return Roles(
        tuple(v for v in data if v.size > 1),
        tuple(coordinates),
        time_dims,
        meshes,
        tuple(v for v in every if v.dtype is None),
    )


def is_latitude(variable: Variable) -> bool:
    return (
        variable.text("standard_name") == "latitude"
        or variable.text("_CoordinateAxisType").lower() == "lat"
        or bool(_LAT_NAME.match(variable.name))
    )


def is_longitude(variable: Variable) -> bool:
    return (
        variable.text("standard_name") == "longitude"
        or variable.text("_CoordinateAxisType").lower() == "lon"
        or bool(_LON_NAME.match(variable.name))
    )


def axis_of_dim(
    dim: str, length: int, variables: Variables, time_dims: frozenset[str]
) -> NamedAxis:
    """What runs along a dimension, by CF: its coordinate's attributes, else names."""
    coordinate = variables.coordinate(dim)
    name = dim.rpartition("/")[2]
    if dim in time_dims:
        meaning = Meaning.TIME
    else:
        named = meaning_of(name)
        # Letters are the names of loops, too, where no coordinates come with them.
        says_little = named is Meaning.TIME or (len(name) == 1 and coordinate is None)
        meaning = Meaning.UNKNOWN if says_little else named
        if coordinate is not None:
            meaning = _coordinate_meaning(coordinate, meaning)
    is_named = coordinate is not None or _is_space(name)
    return NamedAxis(name, length, meaning, is_named)


def _is_space(name: str) -> bool:
    """Whether the name alone says that it is an axis of space, so no colours."""
    return meaning_of(name) in (Meaning.X, Meaning.Y, Meaning.Z)


def _coordinate_meaning(coordinate: Variable, otherwise: Meaning) -> Meaning:
    told = _AXIS.get(coordinate.text("axis").upper())
    if told is not None:
        return told
    standard = coordinate.text("standard_name")
    for meaning, pattern in _STANDARD.items():
        if standard and pattern.search(standard):
            return meaning
    degrees = _DEGREES.match(coordinate.text("units"))
    if degrees is not None:
        return Meaning.Y if degrees[1].lower()[0] in "ns" else Meaning.X
    if is_longitude(coordinate):
        return Meaning.X
    if is_latitude(coordinate):
        return Meaning.Y
    return Meaning.Z if coordinate.text("positive").lower() in ("up", "down") else otherwise


def _is_horizontal(variable: Variable) -> bool:
    if not (is_latitude(variable) or is_longitude(variable)):
        return False
    units = variable.text("units")
    return not units or units.lower().startswith("degree") or bool(_DEGREES.match(units))


def _referred(variables: Variables) -> set[str]:
    """Paths of the variables that serve others: coordinates, bounds, grid mappings, meshes."""
    paths = set()
    for variable in variables.by_path.values():
        names: list[str] = []
        for attribute in ("coordinates", "bounds", "climatology"):
            names += variable.words(attribute)
        names += [w.rstrip(":") for w in variable.words("grid_mapping")]
        if variable.text("cf_role") == "mesh_topology":
            for attribute in variable.attributes:
                if attribute.endswith(("_connectivity", "_coordinates")):
                    names += variable.words(attribute)
        for name in names:
            found = variables.lookup(name, variable.group)
            if found is not None and found.path != variable.path:
                paths.add(found.path)
    return paths


def _is_about_others(variable: Variable, variables: Variables, referred: set[str]) -> bool:
    if variable.path in referred or "cf_role" in variable.attributes:
        return True
    if len(variable.dims) == 1 and variables.coordinate(variable.dims[0]) == variable:
        return True
    if "grid_mapping_name" in variable.attributes:
        return True
    is_bounds = _BOUNDS_NAME.search(variable.name) and variable.shape[-1:] < (_MAX_CORNERS,)
    if is_bounds and variables.lookup(_BOUNDS_NAME.sub("", variable.name), variable.group):
        return True
    return _is_horizontal(variable)


def _time_dims(variables: Variables) -> frozenset[str]:
    """Dimensions that count time: by their coordinates, else by their name, else if unlimited."""
    dims = {d for v in variables.by_path.values() for d in v.dims}
    return frozenset(d for d in dims if _counts_time(d, variables))


def _counts_time(dim: str, variables: Variables) -> bool:
    coordinate = variables.coordinate(dim)
    if coordinate is not None:
        return is_time(coordinate) or is_time_name(dim)
    if is_time_name(dim) or _grows_first(dim, variables):
        return True
    # Time that is an auxiliary coordinate: ``time(record)``.
    return any(v.dims == (dim,) and is_time(v) for v in variables.by_path.values())


def _grows_first(dim: str, variables: Variables) -> bool:
    """Whether `dim` is unlimited, and the first of every variable that has it: records."""
    users = [v for v in variables.by_path.values() if dim in v.dims]
    return dim in variables.unlimited and all(v.dims[0] == dim for v in users)


def _mesh_dims(variables: Variables, time_dims: frozenset[str]) -> dict[str, str]:
    """Dimensions along which neighbours in the file are no neighbours in space."""
    result: dict[str, str] = {}
    every = list(variables.by_path.values())
    for variable in every:
        if variable.text("cf_role") == "mesh_topology":
            for attribute in variable.attributes:
                for name in variable.words(attribute) if attribute.endswith("_coordinates") else ():
                    found = variables.lookup(name, variable.group)
                    for dim in found.dims[:1] if found is not None else ():
                        result[dim] = f"belongs to the mesh {variable.name!r}"
        if "mesh" in variable.attributes and "location" in variable.attributes:
            for dim in variable.dims[-1:]:
                result.setdefault(dim, f"belongs to the mesh {variable.text('mesh')!r}")
    lines = [v for v in every if len(v.dims) == 1 and v.dims[0] not in time_dims]
    for dim in {v.dims[0] for v in lines}:
        here = [v for v in lines if v.dims == (dim,) and v.name != dim.rpartition("/")[2]]
        lat = next((v for v in here if is_latitude(v)), None)
        lon = next((v for v in here if is_longitude(v)), None)
        if lat is not None and lon is not None:
            result.setdefault(dim, f"has one {lat.name} and {lon.name} for each point")
    return result
