"""NumPy files, compared with numpy.load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    InvalidOptions,
    SourceEmpty,
    UnlikeSlices,
    UnsupportedDtype,
    UnsupportedLayout,
)
from scientistcloud.grid import Box
from scientistcloud.readers.base import Match, Selection, Source
from scientistcloud.readers.volumes.numpy import READER


def save(folder: Path, *arrays: NDArray[Any]) -> list[Path]:
    paths = [folder / f"a{i}.npy" for i in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        np.save(path, array)
    return paths


def open_all(paths: list[Path], **parameters: Any) -> Source:
    return READER.open(paths, Selection(paths[0].parent, parameters=parameters))


def read_all(source: Source, field: int = 0, timestep: int = 0) -> NDArray[Any]:
    dataset = source.spec.datasets[0]
    f = dataset.fields[field]
    shape = dataset.shape if f.components == 1 else (*dataset.shape, f.components)
    out = np.empty(shape, f.dtype)
    source.read(f, timestep, Box.of_shape(dataset.shape), out)
    return out


def ramp(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_a_file_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    (path,) = save(tmp_path, np.zeros(3))
    assert READER.match(Path("x.dat"), path.read_bytes()[:64]) is Match.CERTAIN
    assert READER.match(Path("x.npy"), b"nothing") is Match.POSSIBLE
    assert READER.match(Path("x.dat"), b"nothing") is Match.NO


@pytest.mark.parametrize("dtype", ["i1", "<u2", ">u2", ">i4", "u8", "f2", ">f4", "f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_all_types_and_orders_are_read(tmp_path: Path, dtype: str, order: str) -> None:
    a = np.asarray(ramp((5, 7, 9), dtype), order=order)  # type: ignore[call-overload]
    with open_all(save(tmp_path, a)) as source:
        assert source.spec.datasets[0].shape == (5, 7, 9)
        got = read_all(source)
    assert got.dtype.isnative
    assert np.array_equal(got, a.astype(got.dtype))


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_box_is_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=3)))
    a = ramp(shape, "u4")
    lo = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    hi = tuple(data.draw(st.integers(l + 1, n)) for l, n in zip(lo, shape, strict=True))
    box = Box(lo, hi)
    axes = "zyx"[-len(shape) :]
    with open_all(save(tmp_path_factory.mktemp("box"), a), axes=axes) as source:
        out = np.empty(box.shape, "u4")
        source.read(source.spec.datasets[0].fields[0], 0, box, out)
    assert np.array_equal(out, a[box.slices])


@pytest.mark.parametrize(
    ("shape", "grid", "components", "timesteps"),
    [
        ((9,), (9,), 1, 1),
        ((8, 9), (8, 9), 1, 1),
        ((7, 8, 9), (7, 8, 9), 1, 1),
        ((8, 9, 3), (8, 9), 3, 1),
        ((8, 9, 4), (8, 9), 4, 1),
        ((4, 4, 4), (4, 4, 4), 1, 1),
        ((2, 7, 8, 9), (7, 8, 9), 1, 2),
        ((7, 8, 9, 3), (7, 8, 9), 3, 1),
        ((2, 7, 8, 9, 3), (7, 8, 9), 3, 2),
        ((1, 8, 9), (8, 9), 1, 1),
        ((2, 3, 7, 8, 9), (7, 8, 9), 1, 6),
    ],
)
def test_axes_follow_the_documented_rule(
    tmp_path: Path, shape: tuple[int, ...], grid: Any, components: int, timesteps: int
) -> None:
    a = ramp(shape, "u2")
    with open_all(save(tmp_path, a)) as source:
        dataset = source.spec.datasets[0]
        assert (dataset.shape, dataset.timesteps) == (grid, timesteps)
        assert dataset.fields[0].components == components
        got = np.stack([read_all(source, timestep=t) for t in range(timesteps)])
    assert np.array_equal(got.reshape(shape), a)


def test_the_axes_can_be_named(tmp_path: Path) -> None:
    a = ramp((6, 8, 9), "u1")
    with open_all(save(tmp_path, a), axes="tyx") as source:
        assert source.spec.datasets[0].timesteps == 6
        assert np.array_equal(read_all(source, timestep=4), a[4])
    with open_all(save(tmp_path, a), axes="xyt") as source:
        assert source.spec.datasets[0].timesteps == 9
        assert np.array_equal(read_all(source, timestep=4), a[..., 4].T)
    with open_all(save(tmp_path, a), axes="fyx") as source:
        assert [f.name for f in source.spec.datasets[0].fields][5] == "data axis0_5"
        assert np.array_equal(read_all(source, field=5), a[5])
    for letters in ("xy", "xxy", "uvw", "ttt"):
        with pytest.raises(InvalidOptions, match="axes"):
            open_all(save(tmp_path, a), axes=letters)


def test_times_that_lie_apart_are_refused(tmp_path: Path) -> None:
    a = ramp((2, 3, 7, 8, 9), "u1")
    with pytest.raises(UnsupportedLayout):
        open_all(save(tmp_path, a), axes="tzyxt")
    with pytest.raises(UnsupportedLayout):
        open_all(save(tmp_path, np.asfortranarray(a)))


def test_equal_files_are_a_time_series(tmp_path: Path) -> None:
    steps = [ramp((4, 5, 6), "f4") + 1000 * i for i in range(3)]
    with open_all(save(tmp_path, *steps)) as source:
        assert source.spec.datasets[0].timesteps == 3
        for t, step in enumerate(steps):
            assert np.array_equal(read_all(source, timestep=t), step)


def test_members_of_records_are_fields(tmp_path: Path) -> None:
    a = np.zeros((5, 6), [("speed", ">f4"), ("count", "u2"), ("v", "f8", (3,))])
    a["speed"] = ramp((5, 6), "f4")
    a["count"] = ramp((5, 6), "u2") + 7
    a["v"] = ramp((5, 6, 3), "f8")
    with open_all(save(tmp_path, a)) as source:
        fields = source.spec.datasets[0].fields
        assert [(f.name, f.components) for f in fields] == [("speed", 1), ("count", 1), ("v", 3)]
        for i, name in enumerate(("speed", "count", "v")):
            assert np.array_equal(read_all(source, i), a[name])


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.zeros((3, 4), complex), UnsupportedDtype),
        (np.array([{}], object), UnsupportedDtype),
        (np.zeros((3, 0, 4)), SourceEmpty),
        (np.float64(3), UnsupportedLayout),
        (np.zeros(3, "M8[s]"), UnsupportedDtype),
        (np.zeros((3, 4), "U5"), UnsupportedDtype),
    ],
)
def test_what_is_no_grid_of_numbers_is_refused(
    tmp_path: Path, array: Any, error: type[ConversionError]
) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(error):
        open_all([tmp_path / "a.npy"])


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    (path,) = save(tmp_path, np.zeros((10, 10)))
    whole = path.read_bytes()
    for damaged in (whole[:300], whole[:60], whole[:9], b"\x93NUMPY\x01\x00\x05\x00{{{{{"):
        path.write_bytes(damaged)
        with pytest.raises(CorruptSource, match=r"a0\.npy"):
            open_all([path])


def test_unlike_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnlikeSlices, match=r"a1\.npy"):
        open_all(save(tmp_path, np.zeros((3, 4)), np.zeros((4, 4))))
