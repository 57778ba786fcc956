"""The reader gives what OpenVisus gives, on what OpenVisus wrote."""

from __future__ import annotations

import os
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lz4.block as lz4
import numpy as np
import OpenVisus as ov  # noqa: N813
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource, SpecialFile, UnsupportedLayout
from scientistcloud.grid import Box
from scientistcloud.idx.reader import IdxReader
from tests.idx.written import write_idx

DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
DTYPES += ["float16", "float32", "float64", "uint8[3]", "uint8[4]", "float32[3]"]


@dataclass(frozen=True)
class Case:
    """A dataset to be written by OpenVisus."""

    shape: tuple[int, ...]
    fields: tuple[tuple[str, str, str], ...]  # dtype, codec, layout
    timesteps: int
    bits_per_block: int
    blocks_per_file: int
    arco: bool
    written: Box
    seed: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    ndim = draw(st.integers(1, 3))
    longest = {1: 3000, 2: 90, 3: 24}[ndim]
    shape = tuple(draw(st.integers(2, longest)) for _ in range(ndim))
    lo = tuple(draw(st.sampled_from([0, 0, n // 2])) for n in shape)
    field = st.tuples(
        st.sampled_from(DTYPES),
        st.sampled_from(["", "zip", "lz4"]),
        st.sampled_from(["", "hzorder"]),
    )
    return Case(
        shape=shape,
        fields=tuple(draw(st.lists(field, min_size=1, max_size=3))),
        timesteps=draw(st.integers(1, 3)),
        bits_per_block=draw(st.integers(3, 14)),
        blocks_per_file=draw(st.sampled_from([1, 2, 3, 8, 64])),
        arco=draw(st.booleans()),
        written=Box(lo, shape),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def make(case: Case, folder: Path) -> Path:
    """Let OpenVisus write random samples into `case.written`; the rest stays missing."""
    shutil.rmtree(folder, ignore_errors=True)
    fields = []
    for index, (dtype, codec, layout) in enumerate(case.fields):
        field = ov.Field(f"f{index}", dtype)
        # OpenVisus itself writes ARCO blocks raw, whatever the field's codec is.
        field.default_compression = "" if case.arco else codec
        field.default_layout = layout
        fields.append(field)
    sizes = {"arco": f"{(1 << case.bits_per_block) * 12}b"} if case.arco else {"arco": ""}
    if not case.arco:
        sizes |= {"bitsperblock": case.bits_per_block, "blocksperfile": case.blocks_per_file}
    dataset = ov.CreateIdx(
        url=str(folder / "visus.idx"),
        dims=list(reversed(case.shape)),
        fields=fields,
        time=[0, case.timesteps - 1, "time_%03d/"],
        **sizes,
    )
    rng = np.random.default_rng(case.seed)
    for time in range(case.timesteps):
        for field in fields:
            name, count = parse(field.dtype.toString())
            shape = case.written.shape + ((count,) if count > 1 else ())
            data = random_samples(rng, np.dtype(name), shape)
            dataset.write(data, time=time, field=field.name, logic_box=logic_box(case.written))
    if case.arco:
        compress_arco(folder, [codec for _, codec, _ in case.fields])
    return folder / "visus.idx"


def compress_arco(folder: Path, codecs: list[str]) -> None:
    """Compress the blocks of each field, and say so in the header."""
    encode = {
        "": bytes,
        "zip": zlib.compress,
        "lz4": lambda data: lz4.compress(data, store_size=False),
    }
    text = (folder / "visus.idx").read_text()
    for index, codec in enumerate(codecs):
        for file in folder.glob(f"visus/*/f{index}/**/*.bin"):
            file.write_bytes(encode[codec](file.read_bytes()))
        name, rest = text.split(f"f{index} ")
        dtype, rest = rest.split(" ", 1)
        text = f"{name}f{index} {dtype} default_compression({codec}) {rest}"
    (folder / "visus.idx").write_text(text)


def parse(dtype: str) -> tuple[str, int]:
    name, _, rest = dtype.partition("[")
    return name, int(rest.strip("]") or 1)


def random_samples(rng: np.random.Generator, dtype: np.dtype[Any], shape: Any) -> NDArray[Any]:
    size = int(np.prod(shape)) * dtype.itemsize
    if rng.random() < 0.5:
        return np.resize(np.arange(50, dtype=dtype), shape)
    return np.frombuffer(rng.bytes(size), dtype).reshape(shape)


def logic_box(box: Box) -> list[list[int]]:
    return [list(reversed(box.lo)), list(reversed(box.hi))]


def assert_same(path: Path, reader: IdxReader, field: str, time: int, box: Box, level: int) -> None:
    ours = reader.read(field, time, box, level)
    if 0 in ours.shape:
        return  # OpenVisus refuses such a query
    dataset = ov.LoadDataset(str(path))
    theirs = dataset.read(field=field, time=time, logic_box=logic_box(box), max_resolution=level)
    if theirs is None:
        assert not ours.any()
        return
    assert ours.tobytes() == theirs.reshape(ours.shape).tobytes()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(), data=st.data())
def test_boxes_are_those_of_openvisus(
    tmp_path_factory: pytest.TempPathFactory, case: Case, data: st.DataObject
) -> None:
    path = make(case, tmp_path_factory.getbasetemp() / "case")
    reader = IdxReader(path)
    whole = reader.header.box
    assert whole.shape == case.shape
    for _ in range(6):
        index = data.draw(st.integers(0, len(case.fields) - 1))
        time = data.draw(st.integers(0, case.timesteps - 1))
        level = data.draw(st.integers(0, reader.max_resolution))
        lo = tuple(data.draw(st.integers(0, n - 1)) for n in case.shape)
        hi = tuple(data.draw(st.integers(l + 1, n)) for l, n in zip(lo, case.shape, strict=True))
        assert_same(path, reader, f"f{index}", time, Box(lo, hi), level)
        assert_same(path, reader, f"f{index}", time, whole, level)
    assert_same(path, reader, "f0", 0, whole, reader.max_resolution)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_ours_reads_as_openvisus_reads_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    rank = data.draw(st.integers(1, 3))
    longest = {1: 150_000, 2: 700, 3: 90}[rank]
    shape = tuple(data.draw(st.integers(1, longest)) for _ in range(rank))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    arrays = {}
    for index in range(data.draw(st.integers(1, 3))):
        name, count = parse(data.draw(st.sampled_from(DTYPES)))
        full = (2, *shape, count) if count > 1 else (2, *shape)
        arrays[f"f{index}"] = random_samples(rng, np.dtype(name), full)
    folder = tmp_path_factory.getbasetemp() / "ours"
    shutil.rmtree(folder, ignore_errors=True)
    codec = data.draw(st.sampled_from(["isal-1", "zlib-ng-6", "lz4", "raw"]))
    path = write_idx(folder, arrays, rank, codec=codec, arco=data.draw(st.booleans()))
    reader = IdxReader(path)
    for field, values in arrays.items():
        assert reader.read(field, 1, reader.header.box).tobytes() == values[1].tobytes()
        lo = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
        hi = tuple(data.draw(st.integers(l + 1, n)) for l, n in zip(lo, shape, strict=True))
        assert (
            reader.read(field, 0, Box(lo, hi)).tobytes() == values[0][Box(lo, hi).slices].tobytes()
        )
        level = data.draw(st.integers(0, reader.max_resolution))
        assert_same(path, reader, field, 1, Box(lo, hi), level)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    field = ("uint16", "zip", "")
    case = Case((20, 30, 40), (field, field), 2, 8, 4, False, Box((0, 0, 0), (20, 30, 40)), 5)
    return make(case, tmp_path / "volume")


def test_old_files_in_hz_order_are_read(samples: Path) -> None:
    for name in ("gray", "rgb"):
        path = samples / "idx" / "ov_cat" / f"{name}.idx"
        reader = IdxReader(path)
        for level in range(reader.max_resolution + 1):
            assert_same(path, reader, "data", 0, reader.header.box, level)
        assert reader.read("data", 0, reader.header.box).any()


def test_a_missing_file_reads_as_the_default(volume: Path) -> None:
    reader = IdxReader(volume)
    (volume.parent / reader.stored.file_name(1, 0, 40)).unlink()
    for level in range(reader.max_resolution + 1):
        assert_same(volume, reader, "f0", 1, reader.header.box, level)
    fields = tuple(replace(field, default_value=7) for field in reader.header.fields)
    reader = IdxReader(replace(reader.header, fields=fields), volume.parent)
    assert (reader.read("f0", 1, reader.header.box) == 0x0707).sum() >= 256


def test_a_damaged_block_is_named(volume: Path) -> None:
    reader = IdxReader(volume)
    file = volume.parent / reader.stored.file_name(0, 1, 9)
    data = bytearray(file.read_bytes())
    entry = 40 + 40 * (4 + 1)
    offset = int.from_bytes(data[entry + 8 : entry + 12], "big")
    data[offset + 20] ^= 0x55
    file.write_bytes(data)
    with pytest.raises(CorruptSource, match=r"Block 9 of field 'f1' at timestep 0 \(x \d+"):
        reader.read("f1", 0, reader.header.box)


def test_a_cut_file_is_no_zeros(volume: Path) -> None:
    reader = IdxReader(volume)
    file = volume.parent / reader.stored.file_name(0, 0, 0)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) - 10])
    with pytest.raises(CorruptSource, match="is cut"):
        [reader.read(field, 0, reader.header.box) for field in ("f0", "f1")]
    file.write_bytes(data[:70])
    with pytest.raises(CorruptSource, match="table"):
        reader.read("f0", 0, reader.header.box)


def test_a_lossy_codec_is_refused(volume: Path) -> None:
    reader = IdxReader(volume)
    file = volume.parent / reader.stored.file_name(0, 0, 0)
    data = bytearray(file.read_bytes())
    data[40 + 23] = 0x18  # zfp
    file.write_bytes(data)
    with pytest.raises(UnsupportedLayout, match="codec 8"):
        reader.read("f0", 0, reader.header.box)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(volume: Path) -> None:

    reader = IdxReader(volume)
    file = volume.parent / reader.stored.file_name(0, 0, 0)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(SpecialFile):
        reader.read("f0", 0, reader.header.box)


def test_threads_may_share_a_reader(volume: Path) -> None:
    reader = IdxReader(volume)
    whole = reader.read("f0", 1, reader.header.box)
    boxes = [Box((z, 3, 5), (z + 1, 29, 40)) for z in range(20)] * 5
    with ThreadPoolExecutor(8) as pool:
        for box, got in zip(boxes, pool.map(lambda b: reader.read("f0", 1, b), boxes), strict=True):
            assert (got == whole[box.slices]).all()


def test_only_the_blocks_of_the_box_are_opened(volume: Path) -> None:
    reader = IdxReader(volume)
    box = Box((1, 1, 1), (2, 2, 2))
    expected = reader.read("f0", 0, reader.header.box)[box.slices]
    needed = {
        reader.stored.file_name(0, 0, number)
        for number in range(reader.header.block_count)
        if reader.layout.block(number).region(box.hi).contains(box)
    }
    for file in (volume.parent / "visus" / "time_000").iterdir():
        if file.relative_to(volume.parent).as_posix() not in needed:
            file.write_bytes(b"no table")
    assert len(needed) < 20
    assert reader.read("f0", 0, box) == expected


def test_the_caller_may_bring_the_array(volume: Path) -> None:
    reader = IdxReader(volume)
    box = Box((2, 0, 1), (9, 30, 21))
    out = np.zeros((7, 30, 20), np.uint16)
    reader.read_into("f1", 1, box, out)
    assert (out == reader.read("f1", 1, box)).all()
    assert out.any()
    with pytest.raises(ValueError, match="is needed"):
        reader.read_into("f1", 1, box, np.zeros((7, 30, 21), np.uint16))
    with pytest.raises(ValueError, match="not within"):
        reader.read("f1", 1, Box((0, 0, 0), (21, 1, 1)))


def test_coordinates_come_from_the_physic_box(volume: Path) -> None:
    reader = IdxReader(volume)
    assert reader.values(2).tolist() == list(range(40))
    assert reader.values(0, 3).tolist() == [0, 16]
    header = replace(reader.header, physic_box=((0.0, 10.0), (5.0, 35.0), (-1.0, 3.0)))
    reader = IdxReader(header, volume.parent)
    assert reader.values(0).tolist() == [z / 2 for z in range(20)]
    assert reader.values(1).tolist() == [5.0 + y for y in range(30)]
    assert reader.values(2)[[0, 1, -1]] == pytest.approx([-1, -0.9, 2.9])


def test_names_of_files_recycle_a_narrow_template(tmp_path: Path) -> None:
    """OpenVisus repeats the first directive where a number has more digits than the template."""
    folder = tmp_path / "narrow"
    field = ("uint8", "", "")
    case = Case((16, 32, 32), (field,), 1, 6, 1, False, Box((0, 0, 0), (16, 32, 32)), 9)
    path = make(case, folder)
    shutil.rmtree(folder / "visus")
    path.write_text(path.read_text().replace("%04x", "%01x"))
    samples_ = np.arange(16 * 32 * 32, dtype=np.uint8).reshape(16, 32, 32)
    ov.LoadDataset(str(path)).write(samples_, time=0, field="f0")
    reader = IdxReader(path)
    assert reader.header.block_count == 256
    assert (reader.read("f0", 0, reader.header.box) == samples_).all()


@pytest.mark.parametrize("arco", [False, True])
def test_several_threads_read_what_one_does(tmp_path: Path, arco: bool) -> None:
    rng = np.random.default_rng(5)
    source = rng.integers(0, 60_000, (1, 50, 150, 250), np.uint16)
    path = write_idx(tmp_path, {"data": source}, 3, arco=arco)
    one, several = IdxReader(path), IdxReader(path, threads=3)
    for resolution in (one.max_resolution, one.max_resolution - 2, 17):
        expected = one.read("data", 0, one.header.box, resolution)
        assert np.array_equal(several.read("data", 0, one.header.box, resolution), expected)
    assert np.array_equal(several.read("data", 0, one.header.box), source[0])


def test_what_one_of_several_threads_finds_damaged_is_told(tmp_path: Path) -> None:
    source = np.random.default_rng(5).integers(0, 60_000, (1, 50, 150, 250), np.uint16)
    path = write_idx(tmp_path, {"data": source}, 3, arco=True)
    victim = sorted((tmp_path / "visus").rglob("*.bin"))[-1]
    victim.write_bytes(victim.read_bytes()[:-20])
    reader = IdxReader(path, threads=2)
    with pytest.raises(CorruptSource):
        reader.read("data", 0, reader.header.box)
