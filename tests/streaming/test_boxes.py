"""Boxes, pyramids and virtual stores over random datasets: every sample, against the source."""

from __future__ import annotations

import io
import json
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scientistcloud.errors import StorageUnavailable
from scientistcloud.grid import Box
from scientistcloud.refusals import BadRequest, BoxTooLarge, NotFound, ResultNotFound
from scientistcloud.streaming.arco import answer_file
from scientistcloud.streaming.block_cache import BlockCache
from scientistcloud.streaming.box_reader import BoxReader
from scientistcloud.streaming.colors import Look, paint, palettes
from scientistcloud.streaming.mod_visus import answer_query
from scientistcloud.streaming.ome_zarr import answer_zarr
from scientistcloud.streaming.pyramid import pyramids
from scientistcloud.streaming.results import Result, Results
from scientistcloud.streaming.views import BoxRequest, cut_box, preview
from tests.idx.written import write_idx

DTYPES = ("u1", "i2", "u2", "i4", "f2", "f4", "f8", "i8")


@pytest.fixture(scope="module")
def boxes() -> BoxReader:
    return BoxReader(BlockCache(1 << 20), 2, 16 << 20)


def _noise(shape: tuple[int, ...], dtype: str, seed: int) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, 120, shape).astype(dtype)


def _publish(root: Path, arrays: dict[str, NDArray[Any]], rank: int, **options: Any) -> Result:
    write_idx(root / "u", arrays, rank, **options)
    return Results(root).open("u")


@st.composite
def _datasets(draw: Callable[[Any], Any]) -> tuple[dict[str, NDArray[Any]], int, dict[str, Any]]:
    rank = draw(st.integers(2, 3))
    shape = tuple(draw(st.integers(1 if axis else 2, 20)) for axis in range(rank))
    times = draw(st.integers(1, 3))
    arrays = {}
    for index in range(draw(st.integers(1, 2))):
        components = draw(st.sampled_from([(), (3,)]))
        full = (times, *shape, *components)
        arrays[f"f{index}"] = _noise(full, draw(st.sampled_from(DTYPES)), index)
    options = {
        "arco": draw(st.booleans()),
        "codec": draw(st.sampled_from(["isal-1", "lz4", "raw"])),
    }
    return arrays, rank, options


@settings(max_examples=40, deadline=None)
@given(data=st.data(), made=_datasets())
def test_every_box_is_what_the_source_has(
    data: st.DataObject, made: tuple[dict[str, NDArray[Any]], int, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    arrays, rank, options = made
    result = _publish(tmp_path_factory.mktemp("r"), arrays, rank, **options)
    boxes = BoxReader(BlockCache(data.draw(st.sampled_from([0, 5000, 1 << 20]))), 2, 1 << 24)
    for _ in range(4):
        name = data.draw(st.sampled_from(sorted(arrays)))
        time = data.draw(st.integers(0, len(arrays[name]) - 1))
        shape = arrays[name].shape[1 : 1 + rank]
        lo = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
        hi = tuple(data.draw(st.integers(l + 1, n)) for l, n in zip(lo, shape, strict=True))
        resolution = data.draw(st.integers(0, result.header.max_resolution))
        index = result.header.field_index(name)
        found = boxes.read(result, index, time, Box(lo, hi), resolution)
        grid = result.reader.samples_of(Box(lo, hi), resolution)
        cut = tuple(
            slice(s, s + n * d, d)
            for s, n, d in zip(grid.start, grid.shape, grid.step, strict=True)
        )
        np.testing.assert_array_equal(found, arrays[name][time][cut])
    boxes.close()


@settings(max_examples=25, deadline=None)
@given(made=_datasets())
def test_level_n_has_every_2_to_the_nth_sample(
    made: tuple[dict[str, NDArray[Any]], int, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    arrays, rank, options = made
    result = _publish(tmp_path_factory.mktemp("r"), arrays, rank, **options)
    boxes = BoxReader(BlockCache(1 << 20), 2, 1 << 24)
    for pyramid in pyramids(result):
        for level in range(3):
            shape = pyramid.shape_at(level)
            found = np.empty(shape, pyramid.dtype)
            chunks = pyramid.chunks
            for index in np.ndindex(*(-(-n // c) for n, c in zip(shape, chunks, strict=True))):
                chunk = pyramid.read_chunk(boxes, level, index)
                assert chunk is not None
                place = tuple(
                    slice(i * c, min(n, (i + 1) * c))
                    for i, c, n in zip(index, chunks, shape, strict=True)
                )
                found[place] = chunk[tuple(slice(0, p.stop - p.start) for p in place)]
            np.testing.assert_array_equal(found, _expected(arrays, pyramid, rank, level))
        assert pyramid.read_chunk(boxes, 0, (99,) * len(pyramid.shape_at(0))) is None
    boxes.close()


def _expected(arrays: dict[str, NDArray[Any]], pyramid: Any, rank: int, level: int) -> Any:
    names = list(arrays)
    parts = []
    for channel in pyramid.channels:
        array = arrays[names[channel.field]]
        array = array[..., channel.component] if array.ndim > 1 + rank else array
        parts.append(array[(slice(None), *(slice(None, None, 2**level),) * rank)])
    whole = np.stack(parts, axis=1)
    if not pyramid.has_channels:
        whole = whole[:, 0]
    return whole if pyramid.has_time else whole[0]


def test_boxes_that_reach_past_the_data_are_zero_there(tmp_path: Path, boxes: BoxReader) -> None:
    source = _noise((1, 5, 7), "u2", 3) + 1
    result = _publish(tmp_path, {"a": source}, 2)
    query = {"action": "boxquery", "box": "0 9 0 6", "compression": ""}
    answer = answer_query(result, query, boxes)
    shape = tuple(int(n) for n in reversed(answer.headers["visus-nsamples"].split()))
    found = np.frombuffer(answer.body, "<u2").reshape(shape)
    assert shape == (7, 8)  # of the power-of-two box, 8 x 8
    np.testing.assert_array_equal(found[:5, :7], source[0])
    assert not found[5:].any()
    assert not found[:, 7:].any()


def test_a_block_is_sent_as_it_lies_where_that_is_zlib(tmp_path: Path) -> None:
    cache = BlockCache(1 << 20)
    boxes = BoxReader(cache, 1, 1 << 20)
    source = _noise((1, 64, 64), "u2", 4)
    for codec in ("isal-1", "raw"):
        result = _publish(tmp_path / codec, {"a": source}, 2, codec=codec)
        path = "visus/0/a/0000/0000/0000/0000.bin"
        answer = answer_file(result, path, boxes, immutable=True)
        assert answer_file(result, path, boxes, immutable=True).body == answer.body
        samples = np.frombuffer(zlib.decompress(answer.body), "<u2")
        assert samples.size == 1 << result.header.bits_per_block
        (payload,) = result.reader.stored.payloads(0, 0, [0])
        assert (answer.body == payload.data) is (codec == "isal-1")
        assert cache.kept_bytes == (0 if codec == "isal-1" else 2 * samples.size)
    boxes.close()


def test_blocks_that_are_more_than_one_answer_holds_are_refused(tmp_path: Path) -> None:
    result = _publish(tmp_path, {"a": _noise((1, 300, 300), "u2", 4)}, 2)
    boxes = BoxReader(BlockCache(0), 1, 2 << result.header.bits_per_block)
    query = {"action": "blockquery", "block": "0"}
    assert answer_query(result, query, boxes).status == 200
    with pytest.raises(BoxTooLarge):
        answer_query(result, query | {"block": "0 1"}, boxes)
    boxes.close()


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"box": "0 1"}, BadRequest),
        ({"box": "5 1 0 1"}, BadRequest),
        ({"box": "a b c d"}, BadRequest),
        ({"box": f"0 {10**30} 0 1"}, BadRequest),
        ({"box": "0 9 0 9", "toh": "99"}, BadRequest),
        ({"box": "0 9 0 9", "toh": "-1"}, BadRequest),
        ({"box": "0 9 0 9", "time": "7"}, BadRequest),
        ({"box": "0 9 0 9", "field": "absent"}, BadRequest),
        ({"action": "blockquery", "block": "1 " * 10_000}, Exception),
        ({"action": "blockquery", "block": "-1"}, BadRequest),
        ({"action": "blockquery", "block": "999999"}, BadRequest),
    ],
)
def test_what_cannot_be_asked_is_refused(
    tmp_path: Path, boxes: BoxReader, query: dict[str, str], error: type[Exception]
) -> None:
    result = _publish(tmp_path, {"a": _noise((1, 10, 10), "u1", 0)}, 2)
    with pytest.raises(error):
        answer_query(result, {"action": "boxquery"} | query, boxes)


def test_a_box_larger_than_one_answer_is_refused(tmp_path: Path) -> None:
    result = _publish(tmp_path, {"a": _noise((1, 64, 64), "u2", 0)}, 2)
    reader = BoxReader(BlockCache(0), 1, 4096)
    with pytest.raises(BoxTooLarge):
        reader.read(result, 0, 0, result.header.box, result.header.max_resolution)
    reader.read(result, 0, 0, Box((0, 0), (32, 64)), result.header.max_resolution)


def test_a_disk_that_is_away_is_an_error_and_not_zeros(tmp_path: Path) -> None:
    result = _publish(tmp_path, {"a": _noise((1, 64, 64), "u2", 0)}, 2)
    (tmp_path / "u" / "visus").rename(tmp_path / "u" / "away")
    reader = BoxReader(BlockCache(1 << 20), 1, 1 << 20)
    with pytest.raises(StorageUnavailable):
        reader.read(result, 0, 0, result.header.box, result.header.max_resolution)
    (tmp_path / "u" / "away").rename(tmp_path / "u" / "visus")
    reader.read(result, 0, 0, result.header.box, result.header.max_resolution)


def test_the_cache_keeps_its_bytes_and_serves_many_at_once(tmp_path: Path) -> None:
    source = _noise((1, 300, 300), "u2", 9)
    result = _publish(tmp_path, {"a": source}, 2)
    cache = BlockCache(20_000)
    reader = BoxReader(cache, 2, 1 << 24)
    problems: list[BaseException] = []

    def walk(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for _ in range(30):
                y, x = rng.integers(0, 250, 2)
                found = reader.read(result, 0, 0, Box((y, x), (y + 50, x + 50)), 18)
                np.testing.assert_array_equal(found, source[0, y : y + 50, x : x + 50])
                assert cache.kept_bytes <= 20_000
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=walk, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, problems[0]


def test_a_generation_stays_readable_by_its_name(tmp_path: Path, boxes: BoxReader) -> None:
    results = Results(tmp_path)
    write_idx(tmp_path / "u", {"a": _noise((1, 8, 8), "u1", 0)}, 2)
    first = results.open("u")
    (tmp_path / "u" / "visus").rename(tmp_path / "kept")
    (tmp_path / "u" / "visus.idx").unlink()
    write_idx(tmp_path / "u", {"b": _noise((1, 9, 9), "u1", 1)}, 2)
    second = results.open("u")
    assert second.generation != first.generation
    assert results.open("u", generation=first.generation) is first
    assert second.header.fields[0].name == "b"
    with pytest.raises(ResultNotFound):
        results.open("u", generation="0" * 16)
    for name in ("..", "a/b", "", ".hidden", "x" * 200):
        with pytest.raises(ResultNotFound):
            results.open(name)


def test_forms_of_a_box(tmp_path: Path, boxes: BoxReader) -> None:
    source = _noise((1, 6, 10, 12), "u2", 5)
    result = _publish(tmp_path, {"a": source}, 3)

    def cut(**more: Any) -> bytes:
        wanted = BoxRequest(box="2,9,1,7,3,4", **more)
        return cut_box(result, wanted, boxes, immutable=False).body

    expected = source[0, 3:4, 1:7, 2:9]  # one plane
    np.testing.assert_array_equal(np.frombuffer(cut(), "<u2").reshape(1, 6, 7), expected)
    assert np.array_equal(np.load(io.BytesIO(cut(form="npy"))), expected)
    np.testing.assert_array_equal(
        tifffile.imread(io.BytesIO(cut(form="tiff"))).squeeze(), expected[0]
    )
    with netCDF4.Dataset("box.nc", memory=cut(form="netcdf")) as file:
        assert file["a"].dimensions == ("z", "y", "x")
        np.testing.assert_array_equal(file["a"][:].filled(), expected)
        assert (file["z"][0], file["y"][0], file["x"][0]) == (3, 1, 2)
    assert cut(form="png", range="0,120")[1:4] == b"PNG"
    with pytest.raises(BadRequest):
        cut(form="exe")
    picture = preview(result, BoxRequest(), boxes, axis=2, at=None, pixels=8, immutable=False)
    assert picture.body[1:4] == b"PNG"


def test_colours_are_those_of_the_palette_at_the_place_of_the_value() -> None:
    values = np.array([[-1.0, 0.0, 0.5, 1.0, 2.0, np.nan, 7.0]])
    look = Look(0.0, 1.0, "viridis", fill=7.0)
    found = paint(values, 1, look)
    table = palettes()["viridis"]
    for column, index in ((0, 0), (1, 0), (2, 128), (3, 255), (4, 255)):
        np.testing.assert_array_equal(found[0, column, :3], table[index])
    assert found[0, :, 3].tolist() == [255, 255, 255, 255, 255, 0, 0]


def test_metadata_of_the_virtual_stores_fit_their_arrays(tmp_path: Path, boxes: BoxReader) -> None:
    result = _publish(tmp_path, {"a": _noise((2, 5, 70, 90), "f4", 6)}, 3)
    text = answer_zarr(result, "zarr.json", 3, boxes, title="T", immutable=False).body
    (scale,) = json.loads(text)["attributes"]["ome"]["multiscales"]
    assert [each["name"] for each in scale["axes"]] == ["t", "z", "y", "x"]
    for level, dataset in enumerate(scale["datasets"]):
        path = f"{dataset['path']}/zarr.json"
        array = json.loads(answer_zarr(result, path, 3, boxes, title="T", immutable=False).body)
        step = 2**level
        assert array["shape"] == [2, -(-5 // step), -(-70 // step), -(-90 // step)]
    with pytest.raises(NotFound):
        answer_zarr(result, "0/c/0/0/0/99", 3, boxes, title="T", immutable=False)
    with pytest.raises(NotFound):
        answer_zarr(result, "../zarr.json", 3, boxes, title="T", immutable=False)
