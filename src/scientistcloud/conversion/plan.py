"""`plan_conversion`: what a conversion will do and hold, decided before anything is written.

Pure. The blocks that come out depend on the dataset alone, never on the memory limit or the number
of threads; the plan decides only by which bricks they are reached.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from scientistcloud.conversion.bricks import Bricks, choose_bricks
from scientistcloud.conversion.names import idx_name, unique_names
from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.errors import ResourceLimit, UnsupportedLayout
from scientistcloud.grid import Shape
from scientistcloud.idx.layout import IdxLayout, plan_layout
from scientistcloud.readers.base import Axis, DatasetSpec, FieldSpec, SourceSpec

SMALLEST_LIMIT_BYTES = 96 << 20
RESERVE_BYTES = 6 << 20
"""For what a running conversion holds beside its buffers: tables, threads, small objects."""

MIN_BUDGET_BYTES = 8 << 20
FILL_BYTES = 4 << 20
"""Chunks go into a scratch file in groups of about this size, so that long rows are written."""

_ENCODED_BLOCKS = 3
"""A thread holds a block, its encoded form, and the growth of that."""

_AXIS_DEFAULTS = ("z", "y", "x")


@dataclass(frozen=True)
class FieldPlan:
    """How one field is read.

    Attributes
    ----------
    field : FieldSpec
    index : int
        Of the field in the header.
    bricks : Bricks
    readers : int
        How many calls of `read` may run at once.
    spill_bytes : int
        Size of the scratch file in which every chunk is decoded once; 0 where the source itself
        is read brick by brick.
    group_bytes, fill_bytes : int
        Chunks are decoded into it in groups of about this size; what all readers hold for that.
    """

    field: FieldSpec
    index: int
    bricks: Bricks
    readers: int
    spill_bytes: int = 0
    group_bytes: int = 0
    fill_bytes: int = 0


@dataclass(frozen=True)
class DatasetPlan:
    """How one dataset becomes one ``.idx``.

    Attributes
    ----------
    name : str
        Empty for the main dataset.
    spec : DatasetSpec
    layout : IdxLayout
    fields : tuple of FieldPlan
    threads : int
        At most as many as were allowed; fewer where memory does not suffice for all.
    memory_bytes, disk_bytes : int
        Held at most: buffers; scratch files.
    """

    name: str
    spec: DatasetSpec
    layout: IdxLayout
    fields: tuple[FieldPlan, ...]
    threads: int
    memory_bytes: int
    disk_bytes: int

    @property
    def total_bytes(self) -> int:
        """Of all samples, uncompressed."""
        return self.spec.samples_bytes


@dataclass(frozen=True)
class ConversionPlan:
    """All datasets of a source, one after the other.

    Attributes
    ----------
    memory_bytes : int
        Expected peak of resident memory, what the process holds already included.
    disk_bytes : int
        Of scratch files, at most at one time.
    total_bytes : int
        Of all samples of all datasets, uncompressed.
    """

    datasets: tuple[DatasetPlan, ...]
    memory_bytes: int
    disk_bytes: int
    total_bytes: int

    def describe(self) -> dict[str, Any]:
        """For people and for `inspect`: JSON-able."""
        return {
            "memory_bytes": self.memory_bytes,
            "scratch_bytes": self.disk_bytes,
            "total_bytes": self.total_bytes,
            "datasets": [_describe(d) for d in self.datasets],
        }


def plan_conversion(
    spec: SourceSpec, options: ConversionOptions, *, base_bytes: int
) -> ConversionPlan:
    """Decide layout, bricks and buffers of every dataset of a source.

    Parameters
    ----------
    spec : SourceSpec
    options : ConversionOptions
        Its memory limit is that of the whole process.
    base_bytes : int
        Resident memory of the process before the conversion.

    Raises
    ------
    ResourceLimit
        The limit is below the smallest workable one, or a single chunk cannot be decoded in it.
    """
    limit = options.memory_limit_bytes
    if limit < SMALLEST_LIMIT_BYTES:
        raise ResourceLimit(
            f"The memory limit of {_mb(limit)} is too small: at least "
            f"{_mb(SMALLEST_LIMIT_BYTES)} are needed for any conversion.",
            remedy=f"Set the memory limit (CONVERSION_MEMORY_LIMIT, --memory-limit) to "
            f"{_mb(SMALLEST_LIMIT_BYTES)} or more.",
        )
    # What the interpreter and its libraries take is no reason to refuse a limit that is allowed.
    budget = max(MIN_BUDGET_BYTES, limit - base_bytes - RESERVE_BYTES)
    datasets = tuple(_plan_dataset(d, options, budget) for d in spec.datasets)
    held = max((d.memory_bytes for d in datasets), default=0)
    return ConversionPlan(
        datasets=datasets,
        memory_bytes=base_bytes + RESERVE_BYTES + held,
        disk_bytes=max((d.disk_bytes for d in datasets), default=0),
        total_bytes=sum(d.total_bytes for d in datasets),
    )


def _plan_dataset(spec: DatasetSpec, options: ConversionOptions, budget: int) -> DatasetPlan:
    if not 1 <= len(spec.shape) <= 3 or min(spec.shape) < 1 or spec.timesteps < 1:
        raise UnsupportedLayout(f"A grid of {spec.shape} samples cannot be shown.")
    layout = _layout(spec, options)
    threads = max(1, options.threads)
    while True:
        plan = _plan_fields(spec, layout, threads, budget)
        if plan is not None:
            return plan
        if threads == 1:
            break
        threads //= 2
    for field in spec.fields:
        if _plan_field(field, 0, spec, layout, 1, budget) is None:
            _refuse(field, spec, layout, options, budget)
    raise ResourceLimit(
        f"The {len(spec.fields)} fields together need more than the memory limit of "
        f"{_mb(options.memory_limit_bytes)} leaves."
    )


def _plan_fields(
    spec: DatasetSpec, layout: IdxLayout, threads: int, budget: int
) -> DatasetPlan | None:
    fields = []
    for i, field in enumerate(spec.fields):
        plan = _plan_field(field, i, spec, layout, threads, budget)
        if plan is None:
            return None
        fields.append(plan)
    stages = max(len(f.bricks.copies) for f in fields)
    buffers = sum(_stage_bytes(fields, i) for i in range(stages))
    beside = max(_beside_bytes(f, layout, threads) for f in fields)
    return DatasetPlan(
        name=spec.name,
        spec=spec,
        layout=layout,
        fields=tuple(fields),
        threads=threads,
        memory_bytes=buffers + beside,
        disk_bytes=max(f.spill_bytes for f in fields),
    )


def _layout(spec: DatasetSpec, options: ConversionOptions) -> IdxLayout:
    names = unique_names(f.name or f.key for f in spec.fields)
    return plan_layout(
        spec.shape,
        [(name, f.dtype, f.components) for name, f in zip(names, spec.fields, strict=True)],
        timesteps=spec.timesteps,
        codec=options.codec,
        arco=options.layout == "arco",
        axis_names=_axis_names(spec.axes, len(spec.shape)),
        physic_box=_physic_box(spec.axes, spec.shape),
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


def _plan_field(
    field: FieldSpec, index: int, spec: DatasetSpec, layout: IdxLayout, threads: int, budget: int
) -> FieldPlan | None:
    """None where it does not fit."""
    chunks = tuple(max(1, min(c, n)) for c, n in zip(field.chunks, spec.shape, strict=True))
    chunk_bytes = math.prod(chunks) * field.sample_bytes
    left = budget - _encoding_bytes(field, layout, threads)
    readers = _readers(field, threads, left)

    def bricks(read_as: Shape, reading_bytes: int) -> Bricks | None:
        available = left - reading_bytes
        return choose_bricks(layout.blocks, spec.shape, field.sample_bytes, read_as, available)

    direct = bricks(chunks, readers * field.working_bytes)
    if direct is not None:
        return FieldPlan(field, index, direct, readers)
    size = math.prod(spec.shape) * field.sample_bytes
    for count, group_bytes in ((readers, FILL_BYTES), (1, FILL_BYTES), (1, 0)):
        filling = count * (max(chunk_bytes, group_bytes) + field.working_bytes)
        spilled = bricks((1,) * len(chunks), filling)
        if spilled is not None:
            return FieldPlan(field, index, spilled, count, size, group_bytes, filling)
    return None


def _refuse(
    field: FieldSpec, spec: DatasetSpec, layout: IdxLayout, options: ConversionOptions, budget: int
) -> NoReturn:
    need = 2 * budget
    while _plan_field(field, 0, spec, layout, 1, need) is None:
        need *= 2
    step = need // 4
    while step > max(1 << 20, need // 64):
        if _plan_field(field, 0, spec, layout, 1, need - step) is not None:
            need -= step
        step //= 2
    limit = options.memory_limit_bytes
    chunk = "x".join(map(str, reversed(field.chunks)))
    raise ResourceLimit(
        f"Field '{field.name}', stored in chunks of {chunk} samples, needs {_mb(need)} beside the "
        f"program, and the memory limit of {_mb(limit)} leaves {_mb(budget)}.",
        remedy="Raise the memory limit (CONVERSION_MEMORY_LIMIT, --memory-limit) to "
        f"{_mb(limit - budget + need)}, or save the data in smaller chunks, strips or tiles.",
    )


def _encoding_bytes(field: FieldSpec, layout: IdxLayout, threads: int) -> int:
    return threads * _ENCODED_BLOCKS * (field.sample_bytes << layout.bits_per_block)


def _readers(field: FieldSpec, threads: int, budget: int) -> int:
    """As many as may decode at once in half of the budget."""
    if field.working_bytes == 0:
        return threads
    return max(1, min(threads, budget // 2 // field.working_bytes))


def _beside_bytes(plan: FieldPlan, layout: IdxLayout, threads: int) -> int:
    """What threads hold beside the bricks."""
    reading = plan.fill_bytes or plan.readers * plan.field.working_bytes
    return _encoding_bytes(plan.field, layout, threads) + reading


def _stage_bytes(fields: Sequence[FieldPlan], stage: int) -> int:
    """What the buffers of a stage take, which all fields share."""
    plans = [f.bricks for f in fields if stage < len(f.bricks.copies)]
    return max(p.copies[stage] for p in plans) * max(p.stage_bytes[stage] for p in plans)


def _describe(plan: DatasetPlan) -> Mapping[str, Any]:
    layout = plan.layout
    return {
        "name": plan.name,
        "dims": list(reversed(layout.shape)),
        "timesteps": layout.timesteps,
        "bitmask": layout.bitmask.text,
        "bits_per_block": layout.bits_per_block,
        "blocks_per_file": layout.blocks_per_file,
        "layout": "arco" if layout.arco else "blocks",
        "codec": layout.codec,
        "threads": plan.threads,
        "memory_bytes": plan.memory_bytes,
        "scratch_bytes": plan.disk_bytes,
        "total_bytes": plan.total_bytes,
        "fields": [
            {
                "name": layout.fields[f.index].name,
                "original_name": f.field.name,
                "dtype": f.field.dtype.name,
                "components": f.field.components,
                "brick": list(f.bricks.cascade.stages[0].brick),
                "stages": len(f.bricks.cascade.stages),
                "spilled": f.spill_bytes > 0,
            }
            for f in plan.fields
        ],
    }


def _mb(size_bytes: int) -> str:
    return f"{-(-size_bytes // (1 << 20))} MiB"
