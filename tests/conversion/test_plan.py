"""The plan: within the limit for every shape, nothing decoded twice, the same blocks always."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.planning.bricks import MAX_AMPLIFICATION, amplification, pieces
from scientistcloud.conversion.planning.names import idx_name, unique_names
from scientistcloud.conversion.planning.plan import ConversionPlan, DatasetPlan, plan_conversion
from scientistcloud.errors import ResourceLimit
from scientistcloud.grid import Box, Shape
from scientistcloud.readers.base import Axis, DatasetSpec, FieldSpec, SourceSpec

MB = 1 << 20
GB = 1 << 30
BASE = 70 * MB


def spec_of(
    shape: Shape,
    dtype: str = "u2",
    components: int = 1,
    chunks: Shape | None = None,
    fields: int = 1,
    timesteps: int = 1,
    working_bytes: int = 0,
) -> SourceSpec:
    each = FieldSpec(
        "0", "a", np.dtype(dtype), chunks or (1,) * len(shape), components, working_bytes
    )
    many = tuple(replace(each, key=str(i)) for i in range(fields))
    return SourceSpec("test", (DatasetSpec("", shape, (), many, timesteps),))


def plan(spec: SourceSpec, limit: int = 8 * GB, threads: int = 2, **options: str) -> ConversionPlan:
    return plan_conversion(
        spec,
        ConversionOptions(memory_limit_bytes=limit, threads=threads, **options),  # type: ignore[arg-type]
        base_bytes=BASE,
    )


def check(planned: ConversionPlan, limit: int) -> DatasetPlan:
    """What holds for every plan."""
    assert planned.memory_bytes <= limit
    dataset = planned.datasets[0]
    for f in dataset.fields:
        assert not f.spill_bytes or f.spill_bytes == math.prod(dataset.spec.shape) * (
            f.field.sample_bytes
        )
        chunks = f.field.chunks
        brick = tuple(b.bit_length() - 1 for b in f.bricks.cascade.stages[0].brick)
        if not f.spill_bytes:
            assert amplification(dataset.spec.shape, brick, chunks) <= MAX_AMPLIFICATION
        assert f.bricks.memory_bytes + BASE <= limit
    json.dumps(planned.describe())
    return dataset


SHAPES = st.lists(
    st.one_of(st.integers(1, 40), st.integers(1, 3000), st.integers(1, 60_000)),
    min_size=1,
    max_size=3,
).map(tuple)


@given(
    data=st.data(),
    shape=SHAPES,
    dtype=st.sampled_from(["u1", "u2", "f4", "f8"]),
    components=st.sampled_from([1, 3]),
    limit=st.sampled_from([96 * MB, 128 * MB, 300 * MB, 2 * GB, 64 * GB]),
    threads=st.integers(1, 8),
)
@settings(deadline=None, max_examples=60)
def test_plans_keep_the_limit(
    data: st.DataObject, shape: Shape, dtype: str, components: int, limit: int, threads: int
) -> None:
    chunks = tuple(data.draw(st.sampled_from([1, min(n, 100), min(n, 256), n])) for n in shape)
    spec = spec_of(shape, dtype, components, chunks)
    try:
        planned = plan(spec, limit, threads)
    except ResourceLimit:
        decoded = math.prod(chunks) * spec.datasets[0].fields[0].sample_bytes
        # One is being filled at each level above the blocks, beside those of the brick.
        levels = max(sum((n - 1).bit_length() for n in shape) - 16, 0)
        blocks = (3 + levels) * (spec.datasets[0].fields[0].sample_bytes << 16)
        assert decoded + blocks > (limit - BASE) // 8, "there was plenty of room"
        return
    check(planned, limit)


@pytest.mark.parametrize("limit", [96 * MB, 128 * MB, 8 * GB])
@pytest.mark.parametrize(
    ("shape", "dtype", "components"),
    [
        ((512, 512, 512), "u2", 1),
        ((1024, 1024, 1024), "u2", 1),
        ((12000, 12000), "u1", 3),
        ((30000, 30000), "u1", 3),
        ((256, 512, 512), "f4", 1),
        ((16, 20000, 20000), "u2", 1),
        ((10000, 64, 64), "u2", 1),
        ((2048, 2048, 2048), "f8", 1),
    ],
)
def test_raw_sources_need_little_memory_and_no_scratch(
    shape: Shape, dtype: str, components: int, limit: int
) -> None:
    dataset = check(plan(spec_of(shape, dtype, components), limit), limit)
    assert dataset.disk_bytes == 0
    assert dataset.memory_bytes <= 64 * MB, "more than helps"


def test_a_stack_of_pages_is_read_page_by_page_without_scratch() -> None:
    dataset = check(plan(spec_of((1024, 1024, 1024), chunks=(1, 1024, 1024))), 8 * GB)
    page = 2 << 20
    assert dataset.disk_bytes == 0
    assert dataset.fields[0].bricks.cascade.stages[0].brick[1:] == (1024, 1024)
    assert dataset.memory_bytes < 120 * page


def test_pages_that_do_not_fit_go_through_scratch_once() -> None:
    planned = plan(spec_of((64, 4096, 4096), chunks=(1, 4096, 4096)), 256 * MB)
    dataset = check(planned, 256 * MB)
    assert planned.disk_bytes == dataset.fields[0].spill_bytes == 64 * 4096 * 4096 * 2


def test_odd_chunks_are_decoded_once() -> None:
    dataset = check(plan(spec_of((320, 500, 600), chunks=(16, 100, 200)), GB), GB)
    assert dataset.disk_bytes == 0
    brick = dataset.fields[0].bricks.cascade.stages[0].brick
    assert brick[1] >= 500
    assert brick[2] >= 600
    tight = check(plan(spec_of((320, 500, 600), chunks=(16, 100, 200)), 100 * MB), 100 * MB)
    assert tight.disk_bytes > 0


def test_a_chunk_that_does_not_fit_is_refused_with_figures() -> None:
    with pytest.raises(ResourceLimit, match="40000x40000") as caught:
        plan(spec_of((3, 40000, 40000), chunks=(1, 40000, 40000)), 512 * MB)
    assert "MiB" in caught.value.remedy
    enough = int(caught.value.remedy.split(" MiB")[0].split()[-1]) * MB
    check(plan(spec_of((3, 40000, 40000), chunks=(1, 40000, 40000)), enough), enough)


def test_the_smallest_limit_is_named() -> None:
    with pytest.raises(ResourceLimit, match="96 MB"):
        plan(spec_of((8, 8, 8)), 95_999_999)
    plan(spec_of((8, 8, 8)), 96_000_000)


def test_what_a_reader_holds_itself_is_counted() -> None:
    spec = spec_of((64, 512, 512), chunks=(1, 512, 512), working_bytes=30 * MB)
    dataset = check(plan(spec, 180 * MB, 4), 180 * MB)
    assert dataset.fields[0].readers < 4
    assert dataset.memory_bytes >= 30 * MB


def test_many_fields_share_their_buffers() -> None:
    one = plan(spec_of((64, 512, 512), "f4"))
    many = plan(spec_of((64, 512, 512), "f4", fields=100, timesteps=1000))
    assert many.datasets[0].memory_bytes == one.datasets[0].memory_bytes
    assert many.total_bytes == 100_000 * one.total_bytes


@given(
    shape=SHAPES,
    kinds=st.lists(
        st.tuples(st.sampled_from(["u1", "f4", "f8"]), st.sampled_from([1, 3]), st.booleans()),
        min_size=2,
        max_size=4,
    ),
    limit=st.sampled_from([110 * MB, 200 * MB, GB]),
)
@example(shape=(17, 12994), kinds=[("u1", 1, False), ("f8", 3, True)], limit=110 * MB)
@settings(deadline=None, max_examples=40)
def test_unlike_fields_keep_the_limit_together(
    shape: Shape, kinds: list[tuple[str, int, bool]], limit: int
) -> None:
    paged = (1, *shape[1:])
    fields = tuple(
        spec_of(shape, dtype, count, paged if pages else None).datasets[0].fields[0]
        for dtype, count, pages in kinds
    )
    try:
        planned = plan(SourceSpec("test", (DatasetSpec("", shape, (), fields),)), limit)
    except ResourceLimit:
        assert math.prod(paged) * 24 + (8 << 20) > (limit - BASE) // 8
        return
    check(planned, limit)


@given(shape=SHAPES, limit=st.sampled_from([128 * MB, 8 * GB]), threads=st.integers(1, 8))
@settings(deadline=None, max_examples=30)
def test_the_blocks_do_not_depend_on_limit_or_threads(
    shape: Shape, limit: int, threads: int
) -> None:
    spec = spec_of(shape)
    assert plan(spec, limit, threads).datasets[0].layout == plan(spec).datasets[0].layout


@given(
    lo=st.integers(0, 50),
    n=st.integers(2, 300),
    chunk=st.integers(1, 70),
    row=st.integers(1, 10**6),
)
@settings(deadline=None)
def test_pieces_cut_at_chunks_and_are_contiguous(lo: int, n: int, chunk: int, row: int) -> None:
    box = Box((0, lo, 5), (1, lo + n, 5 + row))
    parts = list(pieces(box, (1, chunk, 1), 2))
    assert parts[0].lo == box.lo
    assert parts[-1].hi == box.hi
    for a, b in itertools.pairwise(parts):
        assert a.hi[1] == b.lo[1]
        assert a.hi[1] % chunk == 0
    assert all((p.lo[2], p.hi[2]) == (5, 5 + row) for p in parts)


def test_files_and_folders_are_bounded() -> None:
    for shape in ((512, 512, 512), (1 << 14, 1 << 14, 1 << 12), (60000, 60000)):
        layout = plan(spec_of(shape)).datasets[0].layout
        files = layout.blocks.count // layout.blocks_per_file
        assert layout.blocks_per_file & (layout.blocks_per_file - 1) == 0
        assert (1 << 16) // layout.blocks_per_file <= 1024
        assert files <= 1 + layout.blocks.count * (layout.blocks.block_samples * 2) // (64 * MB)


def test_names_suit_viewers() -> None:
    assert idx_name("air temp/°C") == "air_temp_C"
    assert idx_name("Größe") == "Groe"
    assert idx_name("///") == "data"
    assert idx_name("..") == "data"
    assert unique_names(["a b", "a/b", "A_B", "温度", "c"]) == (
        "a_b",
        "a_b_2",
        "A_B_3",
        "data",
        "c",
    )
    names = unique_names(["x" * 500, "x" * 500])
    assert len(set(names)) == 2


def test_places_in_space_go_into_the_header() -> None:
    axes = (Axis("time / z", 2.0, 10.0), Axis("y", None, None), Axis("x", 0.5, None))
    spec = SourceSpec(
        "test",
        (DatasetSpec("", (4, 5, 6), axes, spec_of((4, 5, 6)).datasets[0].fields),),
    )
    layout = plan(spec).datasets[0].layout
    assert layout.axis_names == ("time_z", "y", "x")
    assert layout.physic_box == ((10.0, 18.0), (0.0, 5.0), (0.0, 3.0))


def test_a_shape_beyond_any_disk_is_refused() -> None:
    with pytest.raises(ResourceLimit, match="more than any disk"):
        plan(spec_of((1 << 30, 1 << 20, 1 << 10)), 512 * MB)


@given(shape=SHAPES, limit=st.sampled_from([128 * MB, 1 * GB]), working=st.integers(0, 40 * MB))
@settings(deadline=None, max_examples=30)
def test_a_smaller_plan_makes_the_same_blocks_with_less(
    shape: Shape, limit: int, working: int
) -> None:
    """It keeps the same limit, with one thread, and refuses what the usual plan refuses."""
    spec = spec_of(shape, working_bytes=working)
    try:
        usual = plan(spec, limit, 4)
    except ResourceLimit:
        with pytest.raises(ResourceLimit):
            plan(spec, limit, 4, smaller=True)  # type: ignore[arg-type]
        return
    smaller = plan(spec, limit, 4, smaller=True)  # type: ignore[arg-type]
    check(smaller, limit)
    assert smaller.datasets[0].threads == 1
    assert smaller.datasets[0].layout == usual.datasets[0].layout
    assert smaller.memory_bytes <= 1.05 * usual.memory_bytes


def test_too_many_timesteps_are_refused_with_a_way_out() -> None:
    field = FieldSpec("a", "a", np.dtype("u1"), (1, 1))
    dataset = DatasetSpec("", (2, 3), (Axis("y"), Axis("x")), (field,), timesteps=1001)
    spec = SourceSpec("test", (dataset,))
    options = ConversionOptions(256_000_000, 1, max_timesteps=1001)
    assert plan_conversion(spec, options, base_bytes=0).datasets
    options = replace(options, max_timesteps=1000)
    with pytest.raises(ResourceLimit, match="1,001 timesteps of 3 x 2 samples") as caught:
        plan_conversion(spec, options, base_bytes=0)
    assert "MAX_TIMESTEPS" in str(caught.value.remedy)
