"""Arrays as a source, and the way from them to an IDX dataset that OpenVisus opens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from scientistcloud.conversion.copying.copy import copy_dataset
from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.planning import bricks, field_plan, plan
from scientistcloud.conversion.planning.plan import ConversionPlan, plan_conversion
from scientistcloud.grid import Box, Shape
from scientistcloud.idx.files import layout
from scientistcloud.idx.writer import IdxWriter, Written
from scientistcloud.readers.base import Concurrency, DatasetSpec, FieldSpec, SourceSpec

MEGABYTE = 1 << 20


@dataclass
class ArraySource:
    """Samples in memory, which counts how often each chunk would have to be decoded.

    Attributes
    ----------
    arrays : list of ndarray
        One a field: (timesteps, *shape) or (timesteps, *shape, components).
    decoded : int
        Samples of the chunks that were touched, each time they were.
    """

    shape: Shape
    arrays: Sequence[NDArray[Any]]
    chunks: Shape
    working_bytes: int = 0
    concurrency: Concurrency = Concurrency.THREADS
    decoded: int = 0
    busy: int = 0
    reads: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def spec(self) -> SourceSpec:
        rank = len(self.shape)
        fields = tuple(
            FieldSpec(
                key=str(i),
                name=f"field {i}",
                dtype=a.dtype,
                chunks=self.chunks,
                components=a.shape[-1] if a.ndim > rank + 1 else 1,
                working_bytes=self.working_bytes,
            )
            for i, a in enumerate(self.arrays)
        )
        return SourceSpec("arrays", (DatasetSpec("", self.shape, (), fields, len(self.arrays[0])),))

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        assert out.flags.c_contiguous
        assert Box.of_shape(self.shape).contains(box)
        assert not box.is_empty
        with self.lock:
            self.busy += 1
            self.reads += 1
            assert self.concurrency is Concurrency.THREADS or self.busy == 1
            touched = 1
            for lo, hi, c, n in zip(box.lo, box.hi, self.chunks, self.shape, strict=True):
                touched *= min(-(-hi // c) * c, n) - lo // c * c
            self.decoded += touched
        samples = self.arrays[int(field.key)][timestep][box.slices]
        assert out.shape == samples.shape
        out[...] = samples
        with self.lock:
            self.busy -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


def plan_of(source: ArraySource, *, base_bytes: int = 0, **options: Any) -> ConversionPlan:
    options = {"memory_limit_bytes": 256 * MEGABYTE, "threads": 2, **options}
    return plan_conversion(source.spec, ConversionOptions(**options), base_bytes=base_bytes)


def convert(
    source: ArraySource, folder: Path, *, base_bytes: int = 0, **options: Any
) -> tuple[Written, list[int]]:
    """Convert into `folder`/visus.idx; the plan's memory, and the progress that was reported."""
    planned = plan_of(source, base_bytes=base_bytes, **options).datasets[0]
    done: list[int] = []
    scratch, blocks = folder / "scratch", folder / "visus"
    scratch.mkdir()
    blocks.mkdir()
    with IdxWriter(planned.layout, folder / "visus.idx", blocks, "./visus") as writer:
        copy_dataset(
            source,
            planned,
            writer,
            scratch=scratch,
            threads=options.get("threads", 2),
            progress=done.append,
            stop=lambda: False,
        )
        written = writer.finish()
    assert list(scratch.iterdir()) == []
    assert sum(done) == planned.total_bytes
    return written, done


def shrink(patch: pytest.MonkeyPatch, draw: Callable[[Any], Any]) -> None:
    """Blocks of 64 samples and little memory, so that small arrays go through many stages."""
    patch.setattr(layout, "BITS_PER_BLOCK", 6)
    patch.setattr(layout, "ARCO_BYTES", 4096)
    patch.setattr(layout, "MIN_BLOCKS_PER_FILE", draw(st.sampled_from([1, 8, 64])))
    patch.setattr(layout, "FILE_BYTES", 1)
    patch.setattr(plan, "MIN_BUDGET_BYTES", draw(st.sampled_from([8_000, 30_000, 8 * MEGABYTE])))
    patch.setattr(field_plan, "FILL_BYTES", 5000)
    patch.setattr(bricks, "SMALL_BYTES", 0)
    patch.setattr(bricks, "MODEST_BYTES", draw(st.sampled_from([0, 20_000, 100_000])))
    patch.setattr(bricks, "PIECE_BYTES", draw(st.sampled_from([1, 1000, MEGABYTE])))


def noise(shape: Iterable[int], dtype: Any, seed: int = 0) -> NDArray[Any]:
    """Samples of any value, some NaN, some infinite, none a signalling NaN."""
    rng = np.random.default_rng(seed)
    shape = tuple(shape)
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    with np.errstate(over="ignore"):
        samples = (rng.standard_normal(shape) * 100).astype(dtype)
    samples[rng.random(shape) < 0.01] = np.nan
    samples[rng.random(shape) < 0.01] = np.inf
    samples[rng.random(shape) < 0.01] = -0.0
    return samples


def open_visus(path: Path) -> Any:
    """The dataset as OpenVisus, which shares no code with ours, opens it."""
    openvisus = __import__("OpenVisus")
    return openvisus.LoadDataset(str(path))


def read_visus(
    db: Any, name: str, timestep: int, box: Box, resolution: int | None = None
) -> NDArray[Any]:
    """What OpenVisus reads of `box`, in array order."""
    logic_box = (list(reversed(box.lo)), list(reversed(box.hi)))
    kwargs = {} if resolution is None else {"max_resolution": resolution}
    samples: NDArray[Any] = db.read(field=name, time=timestep, logic_box=logic_box, **kwargs)
    return samples


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays hold the same bits; shapes may differ by axes of length 1."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return a.dtype == b.dtype and a.size == b.size and a.tobytes() == b.tobytes()
