"""What a source says of a dataset, as a layout of blocks: names, axes and place in space."""

from __future__ import annotations

from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.planning.names import idx_name, unique_names
from scientistcloud.grid import Shape
from scientistcloud.idx.files.layout import IdxLayout, plan_layout
from scientistcloud.readers.base import Axis, DatasetSpec

_AXIS_DEFAULTS = ("z", "y", "x")


def layout_of(spec: DatasetSpec, options: ConversionOptions) -> IdxLayout:
    """The layout of a dataset; memory and threads have no say in it."""
    names = unique_names(f.name or f.key for f in spec.fields)
    return plan_layout(
        spec.shape,
        [(name, f.dtype, f.components) for name, f in zip(names, spec.fields, strict=True)],
        timesteps=spec.timesteps,
        codec=options.codec,
        arco=options.layout == "arco",
        axis_names=_axis_names(spec.axes, len(spec.shape)),
        physic_box=_physic_box(spec.axes, spec.shape),
        fill_values=tuple(f.fill_value for f in spec.fields),
    )


def _axis_names(axes: tuple[Axis, ...], rank: int) -> tuple[str, ...]:
    if len(axes) != rank:
        return ()
    defaults = _AXIS_DEFAULTS[-rank:]
    return unique_names(idx_name(a.name, d) for a, d in zip(axes, defaults, strict=True))


def _physic_box(axes: tuple[Axis, ...], shape: Shape) -> tuple[tuple[float, float], ...]:
    """Where the grid lies in space, if the source says so; sample spacing 1 on silent axes."""
    if len(axes) != len(shape) or all(a.spacing is None for a in axes):
        return ()
    box = []
    for axis, n in zip(axes, shape, strict=True):
        low = axis.origin or 0.0
        spacing = 1.0 if axis.spacing is None else axis.spacing
        box.append((float(low), float(low + spacing * n)))
    return tuple(box)
