"""`plan_conversion`: what a conversion will do and hold, decided before anything is written.

Pure. The blocks that come out depend on the dataset alone, never on the memory limit or the number
of threads; the plan decides only by which bricks they are reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.planning.dataset_layout import layout_of
from scientistcloud.conversion.planning.field_plan import FieldPlan, mebibytes, plan_field, refuse
from scientistcloud.errors import ResourceLimit, UnsupportedLayout
from scientistcloud.idx.files.layout import IdxLayout
from scientistcloud.readers.base import DatasetSpec, SourceSpec

SMALLEST_LIMIT_BYTES = 96_000_000
LARGEST_BYTES = 1 << 50
"""A petabyte: a dataset that claims to be larger has a damaged header."""

RESERVE_BYTES = 6 << 20
"""For what a running conversion holds beside its buffers: tables, threads, small objects."""

MIN_BUDGET_BYTES = 8 << 20

BUDGET_STEP_BYTES = 1 << 20
"""Budgets are rounded, so that two attempts with nearly the same memory come to the same plan."""


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
    shares_buffers : bool
        Whether buffers stay when another field follows; else they are given up first, as those
        for fields of unlike samples would not fit together.
    memory_bytes, disk_bytes : int
        Held at most: buffers; scratch files.
    """

    name: str
    spec: DatasetSpec
    layout: IdxLayout
    fields: tuple[FieldPlan, ...]
    threads: int
    shares_buffers: bool
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
        The limit is below the smallest workable one, or a single chunk cannot be decoded in it;
        or there are too many timesteps.
    """
    limit = options.memory_limit_bytes
    if limit < SMALLEST_LIMIT_BYTES:
        raise ResourceLimit(
            f"The memory limit of {mebibytes(limit)} is too small: at least "
            f"{SMALLEST_LIMIT_BYTES // 1_000_000} MB are needed for any conversion.",
            remedy=f"Set the memory limit (CONVERSION_MEMORY_LIMIT, --memory-limit) to "
            f"{SMALLEST_LIMIT_BYTES // 1_000_000} MB or more.",
        )
    for dataset in spec.datasets:
        _check_timesteps(dataset, options.max_timesteps)
        if dataset.samples_bytes > LARGEST_BYTES:
            raise ResourceLimit(
                f"The file says that it holds {dataset.samples_bytes:.1e} bytes of samples, far "
                "more than any disk.",
                remedy="The file is probably damaged: check it at its origin.",
            )
    # What the interpreter and its libraries take is no reason to refuse a limit that is allowed.
    available = limit - base_bytes - RESERVE_BYTES
    budget = max(MIN_BUDGET_BYTES, available - available % BUDGET_STEP_BYTES)
    datasets = tuple(_plan_smaller(d, options, budget) for d in spec.datasets)
    held = max((d.memory_bytes for d in datasets), default=0)
    return ConversionPlan(
        datasets=datasets,
        memory_bytes=base_bytes + RESERVE_BYTES + held,
        disk_bytes=max((d.disk_bytes for d in datasets), default=0),
        total_bytes=sum(d.total_bytes for d in datasets),
    )


def _check_timesteps(dataset: DatasetSpec, most: int) -> None:
    if dataset.timesteps > most:
        grid = " x ".join(str(n) for n in reversed(dataset.shape))
        raise ResourceLimit(
            f"The data would become {dataset.timesteps:,} timesteps of {grid} samples, and at most "
            f"{most:,} are made, as each is a file of its own.",
            remedy="Make the long axis a part of the grid: inspect names the parameters that "
            "choose the axes. Or ask the operator to raise MAX_TIMESTEPS.",
        )


def _plan_smaller(spec: DatasetSpec, options: ConversionOptions, budget: int) -> DatasetPlan:
    """One thread in half of the budget where a smaller plan is wanted and there is one."""
    if not options.smaller:
        return _plan_dataset(spec, options, budget)
    options = replace(options, threads=1)
    with suppress(ResourceLimit):
        return _plan_dataset(spec, options, max(MIN_BUDGET_BYTES, budget // 2))
    return _plan_dataset(spec, options, budget)


def _plan_dataset(spec: DatasetSpec, options: ConversionOptions, budget: int) -> DatasetPlan:
    if not 1 <= len(spec.shape) <= 3 or min(spec.shape) < 1 or spec.timesteps < 1:
        raise UnsupportedLayout(f"A grid of {spec.shape} samples cannot be shown.")
    layout = layout_of(spec, options)
    threads = max(1, options.threads)
    while True:
        plan = _plan_fields(spec, layout, threads, budget)
        if plan is not None:
            return plan
        if threads == 1:
            break
        threads //= 2
    for field in spec.fields:
        if plan_field(field, 0, spec, layout, 1, budget) is None:
            refuse(field, spec, layout, options, budget)
    raise ResourceLimit(
        f"The {len(spec.fields)} fields together need more than the memory limit of "
        f"{mebibytes(options.memory_limit_bytes)} leaves."
    )


def _plan_fields(
    spec: DatasetSpec, layout: IdxLayout, threads: int, budget: int
) -> DatasetPlan | None:
    fields = []
    for i, field in enumerate(spec.fields):
        plan = plan_field(field, i, spec, layout, threads, budget)
        if plan is None:
            return None
        fields.append(plan)
    stages = max(len(f.bricks.copies) for f in fields)
    beside = [f.beside_bytes(layout, threads) for f in fields]
    alone = max(f.bricks.memory_bytes + b for f, b in zip(fields, beside, strict=True))
    shared = sum(_stage_bytes(fields, i) for i in range(stages)) + max(beside)
    return DatasetPlan(
        name=spec.name,
        spec=spec,
        layout=layout,
        fields=tuple(fields),
        threads=threads,
        shares_buffers=shared <= budget,
        memory_bytes=shared if shared <= budget else alone,
        disk_bytes=max(f.spill_bytes for f in fields),
    )


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
