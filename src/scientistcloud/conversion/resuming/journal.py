"""The journal of one conversion: keeps checkpoints of it, and knows those of attempts before it."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from scientistcloud.conversion import record
from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.planning.plan import ConversionPlan, DatasetPlan
from scientistcloud.conversion.publishing.publish import Publication
from scientistcloud.conversion.resuming.checkpoint import (
    Checkpoint,
    CopyState,
    DatasetState,
    HeldBrick,
)
from scientistcloud.conversion.resuming.takeover import forget, spill_name, take_over
from scientistcloud.errors import OutOfSpace
from scientistcloud.idx.files.codecs import crc32
from scientistcloud.idx.writer import IdxWriter

COST_SHARE = 0.02
"""So much of the time may go into checkpoints, ..."""

_LOSS_SHARE = 0.05
"""... unless more than this share of the time would have to be spent once more after a kill."""


class Journal:
    """Tells what need not be done again, and is told what is done.

    Parameters
    ----------
    publication : Publication
        Its staging folder is open.
    interval_seconds : float or None
        At least so long between two checkpoints; None: there are none.
    """

    def __init__(self, publication: Publication, interval_seconds: float | None) -> None:
        self._publication = publication
        self._is_wanted = interval_seconds is not None
        self._interval_seconds = math.inf if interval_seconds is None else interval_seconds
        self._checkpoint = Checkpoint("")
        self._on_disk = False
        self._started = self._asked = time.monotonic()
        self._pause(0.0)

    def begin(self, key: str, stop: Callable[[], bool]) -> bool:
        """Go on from what attempts under the same key have left; whether there was anything."""
        found = take_over(self._publication, key if self._is_wanted else "", stop)
        self._checkpoint = found or Checkpoint(key)
        self._on_disk = found is not None
        return self._on_disk

    def begin_afresh(self) -> None:
        """Forget what there was: every dataset is made once more."""
        self.discard()
        self._checkpoint = Checkpoint(self._checkpoint.key)

    def discard(self) -> None:
        """Leave nothing to go on from."""
        self._on_disk = False
        forget(self._publication)

    @property
    def done_bytes(self) -> int:
        """Of all samples, how many were copied at the last checkpoint."""
        return self._checkpoint.done_bytes

    def state(self, name: str) -> DatasetState | None:
        """How far the dataset called `name` is."""
        return next((d for d in self._checkpoint.datasets if d.name == name), None)

    def note(self, state: DatasetState, done_bytes: int) -> None:
        """Take in that a dataset came to its next step.

        It is kept where it is time, or where an older checkpoint is there.
        """
        self._take(state, done_bytes)
        if not self._checkpoint.held and (self._on_disk or self.is_due()):
            self._save(())

    def note_verified(self, name: str) -> None:
        """Take in that the dataset called `name` was verified."""
        state = self.state(name)
        if state is not None:
            self.note(replace(state, is_verified=True), self.done_bytes)

    def keeper(self, name: str, writer: IdxWriter, done_bytes: Callable[[], int]) -> Keeper:
        """For the copy loop of one dataset; `done_bytes` tells of all that was copied so far."""
        return Keeper(self, name, writer, done_bytes)

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        self._asked = time.monotonic()
        return self._asked >= self._due

    def keep(self, state: DatasetState, done_bytes: int, samples: Sequence[memoryview]) -> None:
        """Keep a checkpoint now, with the samples of the bricks that `state` holds."""
        self._take(state, done_bytes)
        self._save(samples)

    def spill_path(self, name: str, at: CopyState) -> Path | None:
        """For the scratch file of a field of the dataset called `name`; None: nothing is kept."""
        return self._publication.blocks(name) / spill_name(at) if self._is_wanted else None

    def read_samples(self, held: int, out: memoryview) -> None:
        """Read the samples of one brick that the checkpoint holds (its index)."""
        self._checkpoint.read_samples(self._publication.checkpoint, held, out)

    def _take(self, state: DatasetState, done_bytes: int) -> None:
        others = tuple(d for d in self._checkpoint.datasets if d.name != state.name)
        self._checkpoint = Checkpoint(self._checkpoint.key, done_bytes, (*others, state))

    def _save(self, samples: Sequence[memoryview]) -> None:
        path = self._publication.checkpoint
        try:
            self._checkpoint.save(path, samples)
        except OutOfSpace:
            # The data may fit all the same. What the last one needs is perhaps about to go.
            path.unlink(missing_ok=True)
        self._on_disk = path.exists()
        self._pause(time.monotonic() - self._asked)

    def _pause(self, cost_seconds: float) -> None:
        """Until the next checkpoint, after one that took so long."""
        now = time.monotonic()
        pause = min(cost_seconds / COST_SHARE, (now - self._started) * _LOSS_SHARE)
        self._due = now + max(self._interval_seconds, pause)


class Keeper:
    """Keeps how far the copy loop of one dataset is."""

    def __init__(
        self, journal: Journal, name: str, writer: IdxWriter, done_bytes: Callable[[], int]
    ) -> None:
        self._journal = journal
        self._name = name
        self._writer = writer
        self._done_bytes = done_bytes

    @property
    def start(self) -> CopyState:
        """From where the loop is to go on."""
        state = self._journal.state(self._name)
        return (state and state.copy) or CopyState()

    def spill_path(self, at: CopyState) -> Path | None:
        """For the scratch file of a field, which must outlive this attempt; None: it need not."""
        return self._journal.spill_path(self._name, at)

    def restore(self, held: int, out: memoryview) -> None:
        """Read the samples of a brick that is held by `start` (its index)."""
        self._journal.read_samples(held, out)

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return self._journal.is_due()

    def keep(self, at: CopyState, held: Sequence[tuple[int, int, memoryview]]) -> None:
        """Keep a checkpoint, while nothing is being read or written.

        Parameters
        ----------
        at : CopyState
            But for what is held.
        held : sequence
            Stage, pending bricks and samples of each brick that is being filled.
        """
        bricks = tuple(
            HeldBrick(stage, pending, samples.nbytes, crc32(samples))
            for stage, pending, samples in held
        )
        state = DatasetState(self._name, self._writer.settle(), replace(at, held=bricks))
        self._journal.keep(state, self._done_bytes(), [samples for _, _, samples in held])


def key_of(plan: ConversionPlan, options: ConversionOptions, fingerprint: str) -> str:
    """Stands for all that decides what is stored, and in which order.

    Parameters
    ----------
    fingerprint : str
        Of the files of the source.
    """
    structure = [_structure(dataset) for dataset in plan.datasets]
    content = [fingerprint, record.describe_software(options), structure]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _structure(plan: DatasetPlan) -> list[object]:
    layout = plan.layout
    fields = [
        [
            field.field.key,
            str(field.field.dtype),
            field.field.components,
            field.spill_bytes,
            field.group_bytes,
            [[stage.cut, stage.next_cut, *stage.brick] for stage in field.bricks.cascade.stages],
        ]
        for field in plan.fields
    ]
    numbers = [*layout.shape, layout.timesteps, layout.bits_per_block, layout.blocks_per_file]
    return [plan.name, layout.bitmask.text, layout.codec, numbers, fields]
