"""OME-Zarr (NGFF 0.1 to 0.6): which arrays are the images, and what their axes are.

https://ngff.openmicroscopy.org: ``multiscales`` of a group lists the resolutions, the highest
first (writers do not all keep to that, so that of the most samples is taken); ``axes`` names the
axes, their types and units, in 0.6 those of the coordinate system that the transformation of the
resolution leads to; ``coordinateTransformations`` the spacing.
Axes called x, y and z are put in the order z, y, x whatever the order in which they are stored.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scientistcloud.errors import CorruptSource, UnsupportedLayout
from scientistcloud.grid import Shape
from scientistcloud.readers.arrays.attributes import number
from scientistcloud.readers.arrays.axis_meanings import Meaning, NamedAxis, meaning_of
from scientistcloud.readers.arrays.axis_rules import AxisPlan, decide
from scientistcloud.readers.base import Axis

_DEFAULT_NAMES = "tczyx"
_MAX_CHANNELS = 256
_NEWEST = (0, 6)
_MAX_SIDECAR_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One multiscale image.

    Attributes
    ----------
    group, array : str
        Paths of its group and of its array of the highest resolution.
    axes, kinds : tuple of Axis, tuple of str
        One for each stored axis; its type.
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
    kinds: tuple[str, ...]
    is_colour: bool = False

    def plan(self, shape: Shape, channel: int | None) -> AxisPlan:
        """The roles of the stored axes, for one channel (None: all are components).

        Raises
        ------
        AmbiguousFormat
            There are more axes than the grid, time and fields can hold.
        """
        fixed = [] if self.channel is None or channel is None else [(self.channel, channel)]
        axes = [
            NamedAxis(axis.name, n, _meaning(axis.name, kind), has_values=True)
            for axis, kind, n in zip(self.axes, self.kinds, shape, strict=True)
        ]
        if self.channel is not None and channel is None:
            axes[self.channel] = replace(axes[self.channel], meaning=Meaning.COLOUR)
        return decide(axes, least=1, fixed=fixed)


def _meaning(name: str, kind: str) -> Meaning:
    """What the type of an axis says, and its name where it is one of space."""
    if kind == "space":
        named = meaning_of(name)
        return named if named in (Meaning.X, Meaning.Y, Meaning.Z) else Meaning.UNKNOWN
    return {"time": Meaning.TIME, "channel": Meaning.CHANNEL}.get(kind, Meaning.SPECTRAL)


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
    _check_version(attributes, multiscale)
    paths = [_joined(group, d["path"]) for d in multiscale["datasets"]]
    # An uploaded part of a pyramid is still an image; some writers name the array wrongly.
    there = [i for i, path in enumerate(paths) if path in shapes]
    if there:
        level = _finest(there, multiscale["datasets"], [shapes.get(path, ()) for path in paths])
        array = paths[level]
        transforms = multiscale["datasets"][level].get("coordinateTransformations") or ()
    else:
        below = [p for p in shapes if p.rpartition("/")[0] == group and len(shapes[p]) >= 2]
        if len(below) != 1:
            raise CorruptSource(f"The image {group!r} has no array at {paths[0]!r}.")
        array, transforms = (
            below[0],
            multiscale["datasets"][0].get("coordinateTransformations") or (),
        )
    systems = multiscale.get("coordinateSystems")
    if systems:
        described, beyond = _system(systems, transforms), None
    else:
        described, beyond = multiscale.get("axes"), multiscale.get("coordinateTransformations")
    names, kinds, units = _axes(described, len(shapes[array]))
    scale, origin = _transform(_flat([*transforms, *(beyond or ())], group))
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
    labels = _labels(attributes, count)
    return OmeImage(group, array, axes, time, channel, labels, tuple(paths), tuple(kinds))


def _finest(there: list[int], datasets: list[Any], shapes: list[Shape]) -> int:
    """The resolution of the most samples; of equal ones that of the smallest scale, then the first.

    `there` are the positions of those that were uploaded.
    """

    def order(level: int) -> tuple[int, float, int]:
        listed = datasets[level].get("coordinateTransformations") or ()
        scale, _ = _transform(_flat(listed, "of the store"))
        return -math.prod(shapes[level]), math.prod(scale), level

    return min(there, key=order)


def _system(systems: Sequence[Mapping[str, Any]], transforms: Sequence[Mapping[str, Any]]) -> Any:
    """The axes of the coordinate system (0.6) that samples are brought to; else of the first."""
    outputs = [_name_of(t.get("output")) for t in transforms]
    named = [s for s in systems if s.get("name") in outputs]
    return (named or list(systems))[0]["axes"]


def _name_of(reference: Any) -> Any:
    """The name of a coordinate system, which later drafts of 0.6 give as an object."""
    return reference.get("name") if isinstance(reference, Mapping) else reference


def _flat(transforms: Sequence[Mapping[str, Any]], group: str) -> list[Mapping[str, Any]]:
    """The scales and translations of a list, those within sequences (0.6) too.

    Raises
    ------
    UnsupportedLayout
        There are others, which spacing and origin cannot say.
    """
    result: list[Mapping[str, Any]] = []
    for transform in transforms:
        kind = transform.get("type")
        if kind == "sequence":
            result += _flat(transform["transformations"], group)
        elif kind in ("scale", "translation"):
            result.append(transform)
        elif kind != "identity":
            raise UnsupportedLayout(
                f"The image {group or 'of the store'!r} is placed by a transformation of the type "
                f"{str(kind)!r}, of which a grid keeps nothing.",
                remedy="Write it with scales and translations alone (OME-Zarr 0.4 or 0.5).",
            )
    return result


def _check_version(attributes: Mapping[str, Any], multiscale: Mapping[str, Any]) -> None:
    told = str(attributes.get("version") or multiscale.get("version") or "")
    match = re.match(r"(\d+)\.(\d+)", told)
    if match is not None and (int(match[1]), int(match[2])) > _NEWEST:
        raise UnsupportedLayout(
            f"The store is OME-Zarr {told}, which is newer than what is known here (0.6).",
            remedy="Write it as OME-Zarr 0.5, and upload that.",
        )


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


def _transform(transforms: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Scale and translation of a list of transformations, applied one after the other."""
    scale: list[float] = []
    origin: list[float] = []
    for transform in transforms:
        values = [number(v) or 0.0 for v in transform.get(str(transform.get("type")), ())]
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
