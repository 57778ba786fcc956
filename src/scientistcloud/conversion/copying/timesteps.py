"""Copying many tiny timesteps, each of which is a single block: many at a time, without bricks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.conversion.planning.plan import DatasetPlan
from scientistcloud.conversion.resuming.checkpoint import CopyState
from scientistcloud.conversion.resuming.keeper import CheckpointKeeper, NoKeeper
from scientistcloud.conversion.timestep_reads import read_timesteps
from scientistcloud.errors import Stopped
from scientistcloud.idx.writer import IdxWriter
from scientistcloud.readers.base import FieldSpec, Source

_BATCH_BYTES = 1 << 20
_BATCH_TIMESTEPS = 256


def suits(plan: DatasetPlan, keeper: CheckpointKeeper | None) -> bool:
    """Whether every timestep of a dataset is one small block of each field."""
    layout = plan.layout
    return (
        layout.has_small_files
        and layout.blocks.count == 1
        and all(not f.spill_bytes for f in plan.fields)
        and (keeper is None or keeper.start == CopyState(keeper.start.timestep))
    )


def copy_timesteps(
    source: Source,
    plan: DatasetPlan,
    writer: IdxWriter,
    *,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
    keeper: CheckpointKeeper | None = None,
) -> None:
    """Copy a dataset that `suits`; parameters and errors are those of `copy_dataset`.

    `stop` is asked, and a checkpoint kept, once a batch, which is no more than a block elsewhere.
    """
    keeper = keeper or NoKeeper()
    each = max(1, plan.total_bytes // plan.spec.timesteps)
    batch = max(1, min(_BATCH_TIMESTEPS, _BATCH_BYTES // each))
    for begin in range(keeper.start.timestep, plan.spec.timesteps, batch):
        if stop():
            raise Stopped
        if begin > keeper.start.timestep and keeper.is_due():
            keeper.keep(CopyState(begin), ())
        count = min(batch, plan.spec.timesteps - begin)
        samples = [_read(source, plan, f.field, begin, count) for f in plan.fields]
        writer.write_timesteps(begin, samples)
        progress(count * each)


def _read(
    source: Source, plan: DatasetPlan, field: FieldSpec, begin: int, count: int
) -> NDArray[Any]:
    components = () if field.components == 1 else (field.components,)
    samples = np.empty((count, *plan.spec.shape, *components), field.dtype)
    read_timesteps(source, field, begin, samples)
    return samples
