"""What the copy loop asks of whoever keeps checkpoints of it, and a keeper that keeps none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from scientistcloud.conversion.resuming.checkpoint import CopyState


class CheckpointKeeper(Protocol):
    """Keeps how far the loop is, for an attempt that goes on from there."""

    @property
    def start(self) -> CopyState: ...
    def spill_path(self, at: CopyState) -> Path | None: ...
    def restore(self, held: int, out: memoryview) -> None: ...
    def is_due(self) -> bool: ...
    def keep(self, at: CopyState, held: Sequence[tuple[int, int, memoryview]]) -> None: ...


class NoKeeper:
    """For loops that are begun again from the start."""

    start = CopyState()

    def spill_path(self, at: CopyState) -> Path | None:
        return None

    def restore(self, held: int, out: memoryview) -> None:
        raise AssertionError("nothing was held")

    def is_due(self) -> bool:
        return False

    def keep(self, at: CopyState, held: Sequence[tuple[int, int, memoryview]]) -> None:
        pass
