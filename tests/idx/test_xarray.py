"""xarray sees an IDX dataset as lazy variables with coordinates, indexed as NumPy would."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scientistcloud.idx.headers.header import format_header, load_header
from scientistcloud.idx.reader import IdxReader
from tests.idx.written import write_idx

xr = pytest.importorskip("xarray")

from scientistcloud.idx.xarray_engine import IdxBackendEntrypoint  # noqa: E402

SHAPE = (20, 30, 40)


class Arrays(dict[str, NDArray[Any]]):
    """With a short name for reports of failures."""

    def __repr__(self) -> str:
        return "Arrays()"


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    rng = np.random.default_rng(8)
    return Arrays(
        density=rng.integers(0, 60000, (3, *SHAPE)).astype(np.uint16),
        velocity=rng.random((3, *SHAPE, 3)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def path(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idx(
        tmp_path_factory.mktemp("flow"),
        arrays,
        3,
        axis_names=("depth", "lat", "lon"),
        physic_box=((0.0, 10.0), (-15.0, 15.0), (100.0, 140.0)),
    )


def open_idx(path: Path, **options: Any) -> Any:
    return xr.open_dataset(path, engine=IdxBackendEntrypoint, **options)


def test_names_shapes_and_coordinates(path: Path, arrays: Arrays) -> None:
    dataset = open_idx(path)
    assert dataset["density"].dims == ("time", "depth", "lat", "lon")
    assert dataset["velocity"].dims == ("time", "depth", "lat", "lon", "component")
    assert dataset["density"].dtype == np.uint16
    assert dataset["depth"].values.tolist() == [z / 2 for z in range(20)]
    assert dataset["lat"].values.tolist() == [-15.0 + y for y in range(30)]
    assert dataset["lon"].values.tolist() == [100.0 + x for x in range(40)]
    assert dataset["time"].values.tolist() == [0, 1, 2]
    for name, data in arrays.items():
        assert (dataset[name].values == data).all()


def test_selecting_by_coordinate(path: Path, arrays: Arrays) -> None:
    picked = open_idx(path)["density"].sel(time=2, depth=3.5, lat=slice(-5, 4))
    assert (picked.values == arrays["density"][2, 7, 10:20]).all()


def test_nothing_is_read_before_it_is_asked_for(path: Path, tmp_path: Path) -> None:
    header = replace(load_header(path), filename_template="./nowhere/%04x.bin")
    (tmp_path / "visus.idx").write_text(format_header(header))
    (tmp_path / "nowhere" / "time_0000").mkdir(parents=True)
    (tmp_path / "nowhere" / "time_0000" / "0000.bin").write_bytes(b"no block file")
    dataset = open_idx(tmp_path / "visus.idx")
    part = dataset["density"][0, 3:5]
    assert part.shape == (2, 30, 40)
    with pytest.raises(Exception, match="table"):
        _ = part.values


def test_memory_follows_the_selection(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    read = IdxReader.read

    def watch(self: IdxReader, field: Any, timestep: int, box: Any, level: Any) -> Any:
        asked.append((timestep, self.shape_of(box, level)))
        return read(self, field, timestep, box, level)

    monkeypatch.setattr(IdxReader, "read", watch)
    dataset = open_idx(path)
    _ = dataset["density"][1, 4, 5:9, ::4].values
    # Every sample of y is on the finest grid but one, which has every second one of x.
    assert asked == [(1, (1, 4, 19))]
    asked.clear()
    _ = dataset["density"][2, ::4, ::4, ::4].values
    assert asked == [(2, (5, 8, 10))]


def test_a_coarser_resolution(path: Path, arrays: Arrays) -> None:
    reader = IdxReader(path)
    level = reader.max_resolution - 4
    dataset = open_idx(path, resolution=level)
    expected = reader.read("density", 1, reader.header.box, level)
    assert dataset["density"][1].shape == expected.shape
    assert (dataset["density"][1].values == expected).all()
    assert (dataset["density"][:, 1:3, ::2].values[1] == expected[1:3, ::2]).all()
    assert dataset["lon"].values.tolist() == reader.values(2, level).tolist()


@st.composite
def keys(draw: st.DrawFn) -> tuple[Any, ...]:
    """What NumPy's basic and outer indexing takes, for (time, z, y, x)."""
    key: list[Any] = []
    for n in (3, *SHAPE):
        kind = draw(st.sampled_from(["int", "slice", "list"]))
        if kind == "int":
            key.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            bound = st.none() | st.integers(-n - 2, n + 2)
            step = draw(st.none() | st.sampled_from([-7, -4, -1, 1, 2, 3, 4, 8]))
            piece = slice(draw(bound), draw(bound), step)
            # xarray itself cannot take an empty slice with a negative step to pieces.
            assume(len(range(n)[piece]) or (step or 1) > 0)
            key.append(piece)
        else:
            key.append(draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4)))
    return tuple(key)


@settings(max_examples=60, deadline=None)
@given(key=keys())
def test_indexing_is_that_of_numpy(path: Path, arrays: Arrays, key: tuple[Any, ...]) -> None:
    expected = arrays["density"]
    for axis in reversed(range(4)):
        one = key[axis]
        expected = expected[(slice(None),) * axis + (one,)]
    found = open_idx(path)["density"][key].values
    assert found.shape == expected.shape
    assert (found == expected).all()
    vector = open_idx(path)["velocity"][..., 1][key].values
    everything = arrays["velocity"][..., 1]
    for axis in reversed(range(4)):
        everything = everything[(slice(None),) * axis + (key[axis],)]
    assert (vector == everything).all()


def test_one_timestep_has_no_time(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (1, 33, 47, 3)).astype(np.uint8)
    dataset = open_idx(write_idx(tmp_path / "image", {"rgb": image}, 2))
    assert dataset["rgb"].dims == ("y", "x", "component")
    assert not dataset.coords
    assert (dataset["rgb"].values == image[0]).all()


def test_names_may_collide(tmp_path: Path) -> None:
    data = np.ones((2, 5, 6), np.float32)
    path = write_idx(tmp_path / "x", {"x": data, "time": data}, 2, axis_names=("y", "x"))
    dataset = open_idx(path)
    assert dataset["x"].dims == ("timestep", "y", "x_axis")
    assert (dataset["time"].values == 1).all()


def test_a_variable_can_be_left_out_and_sent_to_another_process(path: Path) -> None:
    dataset = open_idx(path, drop_variables=["velocity", "lat"])
    assert set(dataset.variables) == {"density", "time", "depth", "lon"}
    copied = pickle.loads(pickle.dumps(dataset))
    assert (copied["density"][0, 0].values == dataset["density"][0, 0].values).all()


def test_the_engine_is_found_by_its_name(path: Path, arrays: Arrays) -> None:
    with xr.open_dataset(path, engine="idx") as dataset:
        assert (dataset["density"][2, 3].values == arrays["density"][2, 3]).all()


def test_it_recognises_its_files() -> None:
    engine = IdxBackendEntrypoint()
    assert engine.guess_can_open("a/visus.idx")
    assert engine.guess_can_open(Path("visus.idx"))
    assert not engine.guess_can_open("a.nc")
    assert not engine.guess_can_open(b"visus.idx")
