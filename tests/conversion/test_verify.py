"""Verification finds what differs from the source, and costs little where it only samples."""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scientistcloud.conversion.copying.copy import copy_dataset
from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.planning.plan import DatasetPlan, plan_conversion
from scientistcloud.conversion.probes import SHARE, SMALL_BYTES, all_probes, sample_probes
from scientistcloud.conversion.verify import verify_dataset
from scientistcloud.errors import Stopped, VerificationFailed
from scientistcloud.grid import Box
from scientistcloud.idx.geometry.bitmask import Bitmask
from scientistcloud.idx.geometry.blocks import BlockLayout
from scientistcloud.idx.reader import IdxReader
from scientistcloud.idx.writer import IdxWriter
from scientistcloud.readers.base import (
    Axis,
    Concurrency,
    DatasetSpec,
    FieldSpec,
    SourceSpec,
)

Arrays = dict[str, NDArray[Any]]


class ArraySource:
    """Arrays of shape (timesteps, z, y, x[, components]); counts the samples that are read."""

    concurrency = Concurrency.THREADS

    def __init__(self, arrays: Arrays, rank: int = 3) -> None:
        self.arrays = arrays
        self.read_samples = 0
        first = next(iter(arrays.values()))
        shape = first.shape[1 : 1 + rank]
        fields = tuple(
            FieldSpec(
                name,
                name,
                data.dtype,
                (1, *shape[1:]),
                components=data.shape[1 + rank] if data.ndim > 1 + rank else 1,
            )
            for name, data in arrays.items()
        )
        dataset = DatasetSpec("", shape, tuple(map(Axis, "zyx"[-rank:])), fields, len(first))
        self.spec = SourceSpec("arrays", (dataset,))

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        self.read_samples += box.size
        out[...] = self.arrays[field.key][timestep][box.slices]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


def convert(source: ArraySource, folder: Path) -> tuple[DatasetPlan, IdxReader]:
    options = ConversionOptions(memory_limit_bytes=256 << 20, threads=2)
    (plan,) = plan_conversion(source.spec, options, base_bytes=60 << 20).datasets
    (folder / "visus").mkdir(parents=True)
    with IdxWriter(plan.layout, folder / "visus.idx", folder / "visus", "./visus") as writer:
        copy_dataset(
            source,
            plan,
            writer,
            scratch=folder,
            threads=2,
            progress=lambda _: None,
            stop=lambda: False,
        )
        writer.finish()
    source.read_samples = 0
    return plan, IdxReader(folder / "visus.idx")


@pytest.fixture
def source() -> ArraySource:
    rng = np.random.default_rng(1)
    ct = rng.integers(1, 999, (3, 70, 90, 110)).astype(np.uint16)
    temperature = rng.random((3, 70, 90, 110)).astype(np.float32)
    temperature[1, 5:9] = np.nan
    return ArraySource({"ct": ct, "temperature": temperature})


@pytest.mark.parametrize("mode", ["sample", "full"])
def test_a_faithful_copy_passes(source: ArraySource, tmp_path: Path, mode: Any) -> None:
    plan, reader = convert(source, tmp_path)
    told: list[int] = []
    verify_dataset(source, plan.spec, reader, mode, progress=told.append)
    assert sum(told) == plan.spec.samples_bytes
    assert min(told) > 0
    total = 3 * 70 * 90 * 110 * 2
    if mode == "full":
        assert source.read_samples == total
    else:
        assert 0 < source.read_samples < 0.1 * total


@pytest.mark.parametrize(
    ("name", "timestep", "corner"), [("ct", 0, (0, 0, 0)), ("temperature", 2, (69, 89, 109))]
)
def test_sampling_looks_at_the_corners(
    source: ArraySource, tmp_path: Path, name: str, timestep: int, corner: tuple[int, int, int]
) -> None:
    plan, reader = convert(source, tmp_path)
    source.arrays[name][timestep][corner] += 1
    z, y, x = corner
    with pytest.raises(
        VerificationFailed,
        match=rf"'{name}', timestep {timestep}, x {x}\.\.{x}, y {y}\.\.{y}, z {z}",
    ):
        verify_dataset(source, plan.spec, reader, "sample")


def test_sampling_finds_what_is_wrong_everywhere(source: ArraySource, tmp_path: Path) -> None:
    plan, reader = convert(source, tmp_path)
    source.arrays["temperature"][...] = source.arrays["temperature"][..., ::-1].copy()
    with pytest.raises(VerificationFailed, match="'temperature'"):
        verify_dataset(source, plan.spec, reader, "sample")


def test_full_finds_one_bit_of_a_nan(source: ArraySource, tmp_path: Path) -> None:
    plan, reader = convert(source, tmp_path)
    bits = source.arrays["temperature"].view(np.uint32)
    bits[1, 6, 50, 33] ^= 1
    with pytest.raises(
        VerificationFailed, match=r"'temperature', timestep 1, x 33\.\.33, y 50\.\.50, z 6\.\.6"
    ):
        verify_dataset(source, plan.spec, reader, "full")


@pytest.mark.parametrize("mode", ["sample", "full"])
def test_a_flipped_bit_on_the_disk_is_found(source: ArraySource, tmp_path: Path, mode: Any) -> None:
    plan, reader = convert(source, tmp_path)
    file = tmp_path / reader.stored.file_name(1, 0, 0)
    data = bytearray(file.read_bytes())
    data[-100] ^= 8
    file.write_bytes(data)
    with pytest.raises(VerificationFailed, match="timestep 1"):
        verify_dataset(source, plan.spec, reader, mode)
    verify_dataset(source, plan.spec, reader, "off")


def test_a_missing_manifest_fails(source: ArraySource, tmp_path: Path) -> None:
    plan, reader = convert(source, tmp_path)
    (tmp_path / "visus" / "manifest").unlink()
    with pytest.raises(VerificationFailed, match="manifest"):
        verify_dataset(source, plan.spec, reader, "sample")


def test_a_small_dataset_is_compared_as_a_whole(tmp_path: Path) -> None:
    rgb = np.random.default_rng(2).integers(0, 255, (1, 150, 170, 3)).astype(np.uint8)
    source = ArraySource({"rgb": rgb}, rank=2)
    plan, reader = convert(source, tmp_path)
    verify_dataset(source, plan.spec, reader, "sample")
    assert source.read_samples == 150 * 170
    rgb[0, 77, 88, 1] ^= 1
    with pytest.raises(VerificationFailed, match=r"x 88\.\.88, y 77\.\.77"):
        verify_dataset(source, plan.spec, reader, "sample")


def test_it_can_be_stopped(source: ArraySource, tmp_path: Path) -> None:
    plan, reader = convert(source, tmp_path)
    for mode in ("sample", "full"):
        with pytest.raises(Stopped):
            verify_dataset(source, plan.spec, reader, mode, stop=lambda: True)


@st.composite
def specs(draw: st.DrawFn, longest: int) -> DatasetSpec:
    rank = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(1 + (rank == 1), longest)) for _ in range(rank))
    chunk = st.sampled_from([1, 2, 7, 64, 10**6])
    fields = tuple(
        FieldSpec(
            str(i),
            str(i),
            np.dtype(draw(st.sampled_from(["u1", "f4", "f8"]))),
            tuple(min(n, draw(chunk)) for n in shape),
            components=draw(st.sampled_from([1, 3])),
        )
        for i in range(draw(st.integers(1, 4)))
    )
    axes = tuple(map(Axis, "zyx"[-rank:]))
    return DatasetSpec("", shape, axes, fields, draw(st.integers(1, 3)))


@settings(max_examples=40, deadline=None)
@given(specs(longest=3000))
def test_every_field_is_sampled_and_the_budget_kept(spec: DatasetSpec) -> None:
    bitmask = Bitmask.from_dims(spec.shape)
    layout = BlockLayout(bitmask, min(16, bitmask.length))
    if spec.samples_bytes <= SMALL_BYTES:
        return
    probes = list(sample_probes(spec, layout))
    whole = Box.of_shape(spec.shape)
    assert {probe.field for probe in probes} == set(range(len(spec.fields)))
    assert all(whole.contains(p.box) and not p.box.is_empty for p in probes)
    assert all(0 <= p.timestep < spec.timesteps for p in probes)
    assert probes == list(sample_probes(spec, layout))
    compared = sum(p.box.size * spec.fields[p.field].sample_bytes for p in probes)
    assert compared <= SHARE * spec.samples_bytes + len(spec.fields) * SMALL_BYTES


@settings(deadline=None)
@given(specs(longest=40))
def test_full_covers_every_sample_once(spec: DatasetSpec) -> None:
    seen = np.zeros((len(spec.fields), spec.timesteps, *spec.shape), np.uint8)
    for probe in all_probes(spec):
        seen[(probe.field, probe.timestep, *probe.box.slices)] += 1
    assert (seen == 1).all()


@settings(deadline=None)
@given(specs(longest=10**5))
def test_full_holds_little(spec: DatasetSpec) -> None:
    for probe, _ in zip(all_probes(spec), range(50), strict=False):
        assert probe.box.size * spec.fields[probe.field].sample_bytes <= 16 << 20
        assert math.prod(probe.box.shape) == probe.box.size
