"""What a source says of a dataset, as a layout of blocks: names, axes and place in space."""

from __future__ import annotations

from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.planning.names import idx_name, unique_names
from scientistcloud.idx.files.layout import IdxLayout, plan_layout
from scientistcloud.idx.headers.place import (
    INDEX,
    UNKNOWN,
    Matrix,
    Pairs,
    diagonal,
    is_diagonal,
    unit_word,
)
from scientistcloud.readers.base import Axis, DatasetSpec

_AXIS_DEFAULTS = ("z", "y", "x")


def layout_of(spec: DatasetSpec, options: ConversionOptions) -> IdxLayout:
    """The layout of a dataset; memory and threads have no say in it."""
    names = unique_names(f.name or f.key for f in spec.fields)
    physic_box, matrix = place_of(spec)
    return plan_layout(
        spec.shape,
        [(name, f.dtype, f.components) for name, f in zip(names, spec.fields, strict=True)],
        timesteps=spec.timesteps,
        codec=options.codec,
        arco=options.layout == "arco",
        axis_names=_axis_names(spec.axes, len(spec.shape)),
        physic_box=physic_box,
        matrix=matrix,
        axis_units=_axis_units(spec) if physic_box or matrix else (),
        fill_values=tuple(f.fill_value for f in spec.fields),
    )


def _axis_names(axes: tuple[Axis, ...], rank: int) -> tuple[str, ...]:
    if len(axes) != rank:
        return ()
    defaults = _AXIS_DEFAULTS[-rank:]
    return unique_names(idx_name(a.name, d) for a, d in zip(axes, defaults, strict=True))


def place_of(spec: DatasetSpec) -> tuple[Pairs, Matrix]:
    """Where the grid lies in space, as far as the source says so: a box, else a matrix.

    A box where every axis ascends; a matrix for what runs downwards, is turned or sheared. An axis
    without a spacing counts samples there, and `_axis_units` says so.
    """
    axes, shape = spec.axes, spec.shape
    matrix = spec.matrix if len(spec.matrix) == len(shape) + 1 else ()
    if matrix and not (is_diagonal(matrix) and all(matrix[i][i] > 0 for i in range(len(shape)))):
        return (), matrix
    if len(axes) != len(shape) or all(a.spacing is None for a in axes):
        return (), ()
    places = [_place(axis) for axis in axes]
    if any(spacing < 0 for _, spacing in places):
        return (), diagonal(places[::-1])
    return tuple((low, low + step * n) for (low, step), n in zip(places, shape, strict=True)), ()


def _place(axis: Axis) -> tuple[float, float]:
    if axis.spacing is None:
        return 0.0, 1.0
    return float(axis.origin or 0.0), float(axis.spacing)


def _axis_units(spec: DatasetSpec) -> tuple[str, ...]:
    """A word for each axis; empty where they say nothing."""
    if len(spec.axes) != len(spec.shape):
        return ()
    words = tuple(INDEX if a.spacing is None else unit_word(a.units) for a in spec.axes)
    return () if set(words) == {UNKNOWN} else words
