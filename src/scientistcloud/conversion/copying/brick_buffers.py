"""Bricks in memory, and the buffers that they take turns to lie in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.conversion.planning.field_plan import FieldPlan
from scientistcloud.grid import Box
from scientistcloud.idx.geometry.cascade import Stage


@dataclass
class Brick:
    """A brick in memory.

    Attributes
    ----------
    pending : int
        Reads, bricks of the stage before, or cells, that are still to come.
    """

    plan: FieldPlan
    timestep: int
    index: int
    box: Box
    buffer: NDArray[np.uint8]
    parent: Brick | None
    pending: int = 0
    samples: NDArray[Any] = field(init=False)

    def __post_init__(self) -> None:
        spec = self.plan.field
        shape = self.stage.samples(self.box)
        if spec.components > 1:
            shape = (*shape, spec.components)
        flat = self.buffer.view(spec.dtype)
        self.samples = flat[: int(np.prod(shape, dtype=np.int64))].reshape(shape)

    @property
    def stage(self) -> Stage:
        return self.plan.bricks.cascade.stages[self.index]


class Buffers:
    """The buffers of each stage, handed round. Changed under the pipeline's lock."""

    def __init__(self) -> None:
        self.free: dict[int, list[NDArray[np.uint8]]] = {}
        self.used: dict[int, int] = {}

    def take(self, stage: int, size_bytes: int) -> NDArray[np.uint8]:
        self.used[stage] = self.used.get(stage, 0) + 1
        free = self.free.setdefault(stage, [])
        if free and free[-1].nbytes >= size_bytes:
            return free.pop()
        # One that is too small goes, so that there are never more than the plan says.
        free.clear()
        return np.empty(-(-size_bytes // 16) * 16, np.uint8)

    def give_back(self, stage: int, buffer: NDArray[np.uint8]) -> None:
        self.used[stage] -= 1
        self.free[stage].append(buffer)
