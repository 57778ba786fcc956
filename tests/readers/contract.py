"""What every reader must keep: subclass `SourceContract` and give it cases.

::

    class TestMyFormat(SourceContract):
        @pytest.fixture(params=["small", "big-endian"])
        def case(self, request, tmp_path):
            values = ...
            write(tmp_path / "data.xyz", values)
            return Case(tmp_path, {"temperature": values})

`values` has the shape of the dataset, with a leading axis of timesteps if there are several and a
trailing one of components if there are several.
"""

from __future__ import annotations

import gc
import json
import math
import threading
import tracemalloc
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scientistcloud.conversion.inspect import open_source
from scientistcloud.grid import Box
from scientistcloud.readers.base import Concurrency, DatasetSpec, FieldSpec, Source

DTYPES = frozenset({"i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})
SLACK_BYTES = 1 << 20


@dataclass(frozen=True)
class Case:
    """Files, and the values that they must give.

    Attributes
    ----------
    root : Path
        A folder or a single file.
    fields : Mapping
        By name of the field: the values that an independent library or the test itself wrote.
    dataset : str
        The name of the dataset that holds them; empty for the main one.
    only : bool
        Whether `fields` are all that the dataset has.
    """

    root: Path
    fields: Mapping[str, np.ndarray]
    sensor: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = ""
    only: bool = True


def empty_out(spec: FieldSpec, box: Box) -> np.ndarray:
    """An array for `box`, filled with what a reader is unlikely to write."""
    shape = box.shape + ((spec.components,) if spec.components > 1 else ())
    out = np.empty(shape, spec.dtype)
    out.reshape(-1).view("u1")[:] = 0xA5
    return out


def read_box(source: Source, spec: FieldSpec, timestep: int, box: Box) -> np.ndarray:
    """The samples of `box`."""
    out = empty_out(spec, box)
    source.read(spec, timestep, box, out)
    return out


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal in shape, type and every bit of every value (NaN equals NaN)."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def random_boxes(shape: tuple[int, ...], count: int, seed: int = 7) -> Iterator[Box]:
    """Boxes inside `shape`, not empty; single samples, rows and planes among them."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        lo = [int(rng.integers(0, n)) for n in shape]
        hi = [int(rng.integers(l + 1, n + 1)) for l, n in zip(lo, shape, strict=True)]
        if i % 4 == 1:
            hi = [l + 1 for l in lo]
        elif i % 4 == 2:
            axis = int(rng.integers(0, len(shape)))
            lo = [0 if a != axis else l for a, l in enumerate(lo)]
            hi = [n if a != axis else lo[a] + 1 for a, n in enumerate(shape)]
        yield Box(tuple(lo), tuple(hi))


class SourceContract:
    """The tests; a subclass gives the fixture `case`."""

    boxes = 24

    @pytest.fixture
    def opened(self, case: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        scratch = tmp_path_factory.mktemp("scratch")
        with open_source(case.root, case.sensor, case.parameters, scratch) as source:
            yield source

    @pytest.fixture
    def dataset(self, case: Case, opened: Source) -> DatasetSpec:
        found = [d for d in opened.spec.datasets if d.name == case.dataset]
        assert found, [d.name for d in opened.spec.datasets]
        return found[0]

    def _expected(self, case: Case, dataset: DatasetSpec) -> Iterator[tuple[FieldSpec, np.ndarray]]:
        """Each field with its values as (timesteps, *shape[, components])."""
        specs = {f.name: f for f in dataset.fields}
        for name, values in case.fields.items():
            assert name in specs, list(specs)
            spec = specs[name]
            tail = (spec.components,) if spec.components > 1 else ()
            assert values.size == dataset.timesteps * math.prod(dataset.shape) * spec.components
            yield spec, values.reshape(dataset.timesteps, *dataset.shape, *tail)

    def test_whole(self, case: Case, opened: Source, dataset: DatasetSpec) -> None:
        if case.only:
            assert [f.name for f in dataset.fields] == list(case.fields)
        for spec, values in self._expected(case, dataset):
            for timestep in range(dataset.timesteps):
                whole = read_box(opened, spec, timestep, Box.of_shape(dataset.shape))
                assert same(whole, values[timestep]), (spec.name, timestep)

    def test_random_boxes(self, case: Case, opened: Source, dataset: DatasetSpec) -> None:
        for spec, values in self._expected(case, dataset):
            for i, box in enumerate(random_boxes(dataset.shape, self.boxes)):
                timestep = i % dataset.timesteps
                part = read_box(opened, spec, timestep, box)
                assert same(part, values[timestep][box.slices]), (spec.name, timestep, box)

    def test_aligned_to_chunks(self, case: Case, opened: Source, dataset: DatasetSpec) -> None:
        for spec, values in self._expected(case, dataset):
            lo = tuple((n - 1) // c * c for n, c in zip(dataset.shape, spec.chunks, strict=True))
            hi = tuple(
                min(n, l + c) for n, l, c in zip(dataset.shape, lo, spec.chunks, strict=True)
            )
            box = Box(lo, hi)
            assert same(read_box(opened, spec, 0, box), values[0][box.slices])

    def test_fills_nothing_but_out(self, opened: Source, dataset: DatasetSpec) -> None:
        for spec in dataset.fields:
            for box in random_boxes(dataset.shape, 4):
                tail = (spec.components,) if spec.components > 1 else ()
                count = box.size * spec.components
                guarded = np.empty(count + 256, spec.dtype)
                guarded.view("u1")[:] = 0x5A
                before = guarded.copy()
                out = guarded[128 : 128 + count].reshape(box.shape + tail)
                opened.read(spec, 0, box, out)
                assert guarded[:128].tobytes() == before[:128].tobytes()
                assert guarded[128 + count :].tobytes() == before[128 + count :].tobytes()

    def test_twice_the_same(self, opened: Source, dataset: DatasetSpec) -> None:
        for spec in dataset.fields:
            for box in random_boxes(dataset.shape, 4, seed=3):
                first = read_box(opened, spec, dataset.timesteps - 1, box)
                again = empty_out(spec, box)
                again.reshape(-1).view("u1")[:] = 0x3C
                opened.read(spec, dataset.timesteps - 1, box, again)
                assert same(first, again)

    def test_in_threads(self, opened: Source, dataset: DatasetSpec) -> None:
        """Boxes read at the same time are those read one by one."""
        if opened.concurrency is not Concurrency.THREADS:
            pytest.skip("a serial source")
        work = [
            (spec, i % dataset.timesteps, box)
            for spec in dataset.fields[:4]
            for i, box in enumerate(random_boxes(dataset.shape, self.boxes, seed=11))
        ]
        alone = [read_box(opened, *item) for item in work]
        start = threading.Barrier(4, timeout=30)

        def run(_: int) -> list[np.ndarray]:
            start.wait()
            return [read_box(opened, *item) for item in work]

        with ThreadPoolExecutor(4) as pool:
            for together in pool.map(run, range(4), timeout=120):
                assert all(same(a, b) for a, b in zip(alone, together, strict=True))

    def test_spec_is_sane(self, case: Case, opened: Source) -> None:
        spec = opened.spec
        assert spec.format
        assert spec.datasets[0].name == ""
        names = [d.name for d in spec.datasets]
        assert len(set(names)) == len(names)
        keys = [f.key for d in spec.datasets for f in d.fields]
        assert len(set(keys)) == len(keys)
        assert all(path.is_file() for path in spec.inputs)
        assert spec.inputs
        json.dumps(dict(spec.metadata), allow_nan=False)
        for dataset in spec.datasets:
            self._check_dataset(dataset)
        for choice in spec.choices:
            assert choice.parameter
            assert choice.rule

    def _check_dataset(self, dataset: DatasetSpec) -> None:
        assert 1 <= len(dataset.shape) <= 3
        assert all(isinstance(n, int) and n >= 1 for n in dataset.shape)
        assert len(dataset.axes) == len(dataset.shape)
        assert dataset.timesteps >= 1
        assert len(dataset.times) in (0, dataset.timesteps)
        assert dataset.fields
        assert len({f.name for f in dataset.fields}) == len(dataset.fields)
        json.dumps(dict(dataset.metadata), allow_nan=False)
        for axis in dataset.axes:
            assert axis.spacing is None or (math.isfinite(axis.spacing) and axis.spacing != 0)
            assert axis.origin is None or math.isfinite(axis.origin)
        for spec in dataset.fields:
            assert spec.name
            assert spec.dtype.isnative
            assert spec.dtype.str[1:] in DTYPES
            assert spec.components >= 1
            assert spec.working_bytes >= 0
            assert len(spec.chunks) == len(dataset.shape)
            assert all(1 <= c <= n for c, n in zip(spec.chunks, dataset.shape, strict=True))
            json.dumps(dict(spec.attributes), allow_nan=False)

    def test_keeps_to_its_working_memory(self, opened: Source, dataset: DatasetSpec) -> None:
        """One read holds, in Python's and NumPy's memory, little more than `working_bytes`."""
        for spec in dataset.fields[:2]:
            box = Box.of_shape(dataset.shape)
            out = empty_out(spec, box)
            opened.read(spec, 0, box, out)
            gc.collect()
            tracemalloc.start()
            try:
                opened.read(spec, 0, box, out)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak <= spec.working_bytes + SLACK_BYTES, (spec.name, peak, spec.working_bytes)

    def test_closes_its_files(self, case: Case, tmp_path_factory: pytest.TempPathFactory) -> None:
        def descriptors() -> int:
            gc.collect()
            return len(list(Path("/proc/self/fd").iterdir()))

        before = descriptors()
        for _ in range(3):
            scratch = tmp_path_factory.mktemp("scratch")
            with open_source(case.root, case.sensor, case.parameters, scratch) as source:
                dataset = source.spec.datasets[0]
                box = Box((0,) * len(dataset.shape), (1,) * len(dataset.shape))
                read_box(source, dataset.fields[0], 0, box)
        assert descriptors() <= before

    def test_leaves_the_upload_alone(self, case: Case, opened: Source) -> None:
        """Nothing is written beside the files, and no file is touched."""
        folder = case.root if case.root.is_dir() else case.root.parent

        def state() -> dict[str, tuple[int, int]]:
            return {
                str(p.relative_to(folder)): (p.lstat().st_size, p.lstat().st_mtime_ns)
                for p in folder.rglob("*")
                if not p.is_dir() and "scratch" not in p.parts
            }

        before = state()
        for dataset in opened.spec.datasets:
            box = Box((0,) * len(dataset.shape), (1,) * len(dataset.shape))
            for spec in dataset.fields:
                read_box(opened, spec, 0, box)
        assert state() == before
