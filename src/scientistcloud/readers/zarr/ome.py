"""OME-Zarr (NGFF 0.1 to 0.5): which arrays are the images, and what their axes are.

https://ngff.openmicroscopy.org: ``multiscales`` of a group lists the resolutions, the highest
first; ``axes`` names the axes, their types and units; ``coordinateTransformations`` the spacing.
Axes called x, y and z are put in the order z, y, x whatever the order in which they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scientistcloud.errors import CorruptSource
from scientistcloud.grid import Shape
from scientistcloud.readers.arrays.attributes import number
from scientistcloud.readers.arrays.axis_roles import AxisRoles, assign_roles
from scientistcloud.readers.base import Axis

_DEFAULT_NAMES = "tczyx"
_MAX_CHANNELS = 256
_MAX_SIDECAR_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One multiscale image.

    Attributes
    ----------
    group, array : str
        Paths of its group and of its array of the highest resolution.
    axes : tuple of Axis
        One for each stored axis.
    channel : int or None
        The stored axis of channels.
    is_colour : bool
        Whether the channels are the components of a colour.
    """

    group: str
    array: str
    axes: tuple[Axis, ...]
    time: int | None
    channel: int | None
    labels: tuple[str, ...]
    resolutions: tuple[str, ...]
    is_colour: bool = False

    def roles(self, shape: Shape, channel: int | None) -> AxisRoles:
        """The roles of the stored axes, for one channel (None: all are components)."""
        fixed = [] if self.channel is None or channel is None else [(self.channel, channel)]
        component = self.channel if channel is None else None
        time = () if self.time is None else (self.time,)
        roles = assign_roles(shape, time=time, component=component, fixed=fixed)
        names = [self.axes[a].name for a in roles.space]
        if len(set(names)) == len(names) and set(names) <= set("zyx"):
            order = sorted(roles.space, key=lambda a: "zyx".index(self.axes[a].name))
            return replace(roles, space=tuple(order))
        return roles


def images_of(
    groups: Mapping[str, Mapping[str, Any]], shapes: Mapping[str, Shape]
) -> list[OmeImage]:
    """The images of a store, in natural order of their groups; labels are none.

    Raises
    ------
    CorruptSource
        The metadata are no valid ``multiscales``, or name arrays that are not there.
    """
    result = []
    for group, attributes in groups.items():
        ome = attributes.get("ome")
        inside = ome if isinstance(ome, Mapping) else attributes
        multiscales = inside.get("multiscales")
        if not multiscales or "labels" in group.split("/")[:-1]:
            continue
        try:
            result.append(_image(group, multiscales[0], inside, shapes))
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            raise CorruptSource(
                f"The OME metadata of {group or 'the store'!r} are damaged ({error})."
            ) from error
    return result


def _image(
    group: str,
    multiscale: Mapping[str, Any],
    attributes: Mapping[str, Any],
    shapes: Mapping[str, Shape],
) -> OmeImage:
    paths = [_joined(group, d["path"]) for d in multiscale["datasets"]]
    # An uploaded part of a pyramid is still an image; some writers name the array wrongly.
    there = [i for i, path in enumerate(paths) if path in shapes]
    if there:
        level, array = there[0], paths[there[0]]
        transforms = multiscale["datasets"][level].get("coordinateTransformations") or ()
    else:
        below = [p for p in shapes if p.rpartition("/")[0] == group and len(shapes[p]) >= 2]
        if len(below) != 1:
            raise CorruptSource(f"The image {group!r} has no array at {paths[0]!r}.")
        array, transforms = (
            below[0],
            multiscale["datasets"][0].get("coordinateTransformations") or (),
        )
    names, kinds, units = _axes(multiscale.get("axes"), len(shapes[array]))
    scale, origin = _transform([*transforms, *(multiscale.get("coordinateTransformations") or ())])
    axes = tuple(
        Axis(
            names[i],
            scale[i] if i < len(scale) and scale[i] else None,
            (origin[i] if i < len(origin) else 0.0) if scale else None,
            units[i],
        )
        for i in range(len(names))
    )
    time = kinds.index("time") if "time" in kinds else None
    channel = kinds.index("channel") if "channel" in kinds else None
    count = shapes[array][channel] if channel is not None else 0
    return OmeImage(group, array, axes, time, channel, _labels(attributes, count), tuple(paths))


def _joined(group: str, path: Any) -> str:
    return f"{group}/{str(path).strip('/')}".strip("/")


def _axes(axes: Any, rank: int) -> tuple[list[str], list[str], list[str | None]]:
    if not axes:
        names = list(_DEFAULT_NAMES[-rank:])
        axes = names
    names = [str(a["name"]) if isinstance(a, Mapping) else str(a) for a in axes]
    if len(names) != rank:
        raise ValueError(f"{len(names)} axes for an array of {rank}")
    kinds, units = [], []
    for axis, name in zip(axes, names, strict=True):
        told = axis.get("type") if isinstance(axis, Mapping) else None
        kinds.append(str(told or {"t": "time", "c": "channel"}.get(name, "space")))
        unit = axis.get("unit") if isinstance(axis, Mapping) else None
        units.append(str(unit) if unit else None)
    return names, kinds, units


def _transform(transforms: list[Any]) -> tuple[list[float], list[float]]:
    """Scale and translation of a list of transformations, applied one after the other."""
    scale: list[float] = []
    origin: list[float] = []
    for transform in transforms:
        values = [number(v) or 0.0 for v in transform.get(transform.get("type"), ())]
        if transform.get("type") == "scale":
            origin = [o * v for o, v in zip(origin, values, strict=False)]
            scale = [s * v for s, v in zip(scale, values, strict=False)] if scale else values
        elif transform.get("type") == "translation":
            origin = [o + v for o, v in zip(origin or [0.0] * len(values), values, strict=False)]
    return scale, origin


def _labels(attributes: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Names of the channels: what OMERO calls them where that tells them apart."""
    omero = attributes.get("omero")
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    labels = [str(c.get("label") or "") for c in channels or () if isinstance(c, Mapping)]
    if len(labels) != count or len(set(labels)) != count or "" in labels:
        return tuple(f"channel_{i}" for i in range(min(count, _MAX_CHANNELS)))
    return tuple(labels)


def with_colours(images: list[OmeImage], folder: Path) -> list[OmeImage]:
    """The images, marked where WebKnossos says that their channels are a colour (``uint24``)."""
    sidecar = folder / "datasource-properties.json"
    if not sidecar.is_file() or sidecar.stat().st_size > _MAX_SIDECAR_BYTES:
        return images
    try:
        layers = json.loads(sidecar.read_bytes())["dataLayers"]
        colours = {layer["name"] for layer in layers if layer.get("elementClass") == "uint24"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return images
    return [replace(image, is_colour=image.group in colours) for image in images]
