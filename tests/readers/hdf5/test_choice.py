"""Which arrays of HDF5 files are converted, and which are refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from scientistcloud.errors import (
    InvalidOptions,
    UnsupportedDtype,
    UnsupportedLayout,
)
from tests.readers.contract import same
from tests.readers.hdf5.test_hdf5 import write
from tests.readers.opening import (
    assert_choices_round_trip,
    chosen,
    error_of,
    numbers,
    opened,
    whole,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


class TestChoice:
    def test_largest_with_two_axes(self, root: Path) -> None:
        image = numbers((20, 30), "u1")
        write(root / "a.h5", {"x/image": image, "small": np.zeros((3, 3)), "line": np.zeros(5000)})
        with opened(root, sensor="HDF5") as source:
            assert same(whole(source), image)
            choice = source.spec.choices[0]
            assert (choice.parameter, choice.chosen) == ("dataset", "/x/image")
            assert "largest" in choice.rule
            assert set(choice.alternatives) == {"/small", "/line"}

    def test_parameter_picks_by_path_and_by_end_of_it(self, root: Path) -> None:
        small = numbers((3, 4), "i2")
        write(root / "a.h5", {"big": np.zeros((50, 50)), "x/y/small": small})
        for name in ("/x/y/small", "x/y/small", "small"):
            with opened(root, {"dataset": name}) as source:
                assert same(whole(source), small)

    def test_parameter_with_equal_shapes_makes_fields(self, root: Path) -> None:
        arrays = {f"{k}/data": numbers((3, 4), "i2") for k in "abc"} | {"d": numbers((5, 6), "u1")}
        write(root / "a.h5", arrays)
        with opened(root, {"dataset": "a/data, c/data, d"}) as source:
            main, other = source.spec.datasets
            assert [f.name for f in main.fields] == ["a/data", "c/data"]
            assert same(whole(source, 0, 1), arrays["c/data"])
            assert same(whole(source, 1), arrays["d"])
            assert other.name == "d"

    def test_unknown_name_lists_what_is_there(self, root: Path) -> None:
        write(root / "a.h5", {"there": np.zeros((4, 4))})
        error = error_of(root, {"dataset": "nowhere"})
        assert isinstance(error, InvalidOptions)
        assert "/there" in error.remedy

    def test_time_axis_and_split_axis(self, root: Path) -> None:
        values = numbers((4, 5, 3), "u1")
        write(root / "a.h5", {"a": values})
        with opened(root, {"time_axis": 2}) as source:
            assert source.spec.datasets[0].timesteps == 3
            assert same(whole(source, timestep=1), values[..., 1])
        with opened(root, {"split_axis": "axis2"}) as source:
            assert [d.name for d in source.spec.datasets] == ["", "a_axis2_1", "a_axis2_2"]
            assert same(whole(source, 2), values[..., 2])
        for bad in ("axis9", -1, "x"):
            assert isinstance(error_of(root, {"time_axis": bad}), InvalidOptions)

    def test_four_axes_say_what_became_time(self, root: Path) -> None:
        write(root / "a.h5", {"a": np.ones((2, 3, 4, 5))})
        with opened(root) as source:
            choice = next(c for c in source.spec.choices if c.parameter == "time_axis")
            assert choice.chosen == "axis0"
            assert choice.alternatives == ("axis1", "axis2", "axis3")

    @pytest.mark.parametrize("name", ["time", "T"])
    def test_an_axis_called_time_is_time_wherever_it_stands(self, root: Path, name: str) -> None:
        values = numbers((2, 3, 4, 5), "u1")
        with h5py.File(root / "a.h5", "w") as file:
            file["a"] = values
            for axis, label in zip(file["a"].dims, ("z", name, "y", "x"), strict=True):
                axis.label = label
        with opened(root) as source:
            (dataset,) = source.spec.datasets
            assert (dataset.timesteps, dataset.shape) == (3, (2, 4, 5))
            assert same(whole(source, timestep=1), values[:, 1])
            rule = next(c.rule for c in source.spec.choices if c.parameter == "time_axis")
            assert rule == "the file calls this axis time"
        with opened(root, {"time_axis": "z"}) as source:
            assert same(whole(source, timestep=1), values[1])
        with opened(root, {"time_axis": "none"}) as source:
            assert source.spec.datasets[0].shape == (3, 4, 5)
        assert_choices_round_trip(root, {}, None)

    def test_a_stack_over_time_of_three_axes_is_a_series(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            file["a"] = numbers((3, 4, 5), "u1")
            file["a"].dims[0].label = "time"
        with opened(root) as source:
            assert source.spec.datasets[0].shape == (4, 5)
        with opened(root, {"time_axis": "none"}) as source:
            assert source.spec.datasets[0].shape == (3, 4, 5)

    def test_unlike_files_are_datasets_of_their_own(self, root: Path) -> None:
        dark = numbers((5, 6), "u2")
        scan = numbers((9, 5, 6), "u2")
        write(root / "dark.h5", {"data": dark})
        write(root / "scan.h5", {"data": scan})
        with opened(root) as source:
            assert [d.name for d in source.spec.datasets] == ["", "dark"]
            assert same(whole(source), scan)
            assert same(whole(source, 1), dark)
        with opened(root, {"file": "dark.h5"}) as source:
            assert same(whole(source), dark)
        assert_choices_round_trip(root, {}, None)


class TestNumbered:
    """Arrays whose paths differ in numbers alone."""

    def test_imaris(self, root: Path) -> None:
        """Resolutions of other shapes are left alone; time is in the order of numbers."""
        values = numbers((11, 2, 4, 5, 6), "u2")
        with h5py.File(root / "a.ims", "w") as file:
            for t in range(11):
                for c in range(2):
                    path = f"TimePoint {t}/Channel {c}/Data"
                    file[f"DataSet/ResolutionLevel 0/{path}"] = values[t, c]
                    file[f"DataSet/ResolutionLevel 1/{path}"] = values[t, c, ::2, ::2, ::2]
        with opened(root) as source:
            (main,) = source.spec.datasets
            assert main.timesteps == 11
            assert main.times == tuple(float(t) for t in range(11))
            assert [f.name[-14:] for f in main.fields] == ["Channel 0/Data", "Channel 1/Data"]
            for t in range(11):
                for c in range(2):
                    assert same(whole(source, 0, c, t), values[t, c])
        assert_choices_round_trip(root, {}, None)

    def test_words_that_are_no_time_make_fields(self, root: Path) -> None:
        values = numbers((3, 4, 5), "u2")
        write(root / "a.h5", {f"channel_{i}": values[i] for i in range(3)})
        with opened(root) as source:
            main = source.spec.datasets[0]
            assert [f.name for f in main.fields] == ["channel_0", "channel_1", "channel_2"]
            assert main.timesteps == 1

    def test_too_many_for_fields_are_timesteps(self, root: Path) -> None:
        values = numbers((70, 4, 5), "u2")
        write(root / "a.h5", {f"scan{i}": values[i] for i in range(70)})
        with opened(root) as source:
            main = source.spec.datasets[0]
            assert (len(main.fields), main.timesteps) == (1, 70)
            assert same(whole(source, timestep=10), values[10])

    def test_series_of_files_of_series(self, root: Path) -> None:
        values = numbers((2, 3, 4, 5), "u2")
        for i in range(2):
            write(root / f"{i}.h5", {f"t{j}/a": values[i, j] for j in range(3)})
        with opened(root) as source:
            assert source.spec.datasets[0].timesteps == 6
            assert same(whole(source, timestep=4), values[1, 1])

    def test_gaps_between_channels_leave_the_largest(self, root: Path) -> None:
        values = numbers((3, 4, 5), "u2")
        names = ("t0/c0", "t0/c1", "t1/c0")
        write(root / "a.h5", {f"{n}/a": v for n, v in zip(names, values, strict=True)})
        with opened(root) as source:
            assert chosen(source, "dataset") == "/t0/c0/a"
            assert source.spec.datasets[0].timesteps == 1


class TestRefusals:
    def test_complex_says_what_else_there_is(self, root: Path) -> None:
        write(root / "a.h5", {"wave": np.zeros((20, 20), "c16"), "other": np.zeros((4, 4))})
        error = error_of(root)
        assert isinstance(error, UnsupportedDtype)
        assert "complex128" in error.message
        assert "/other" in error.remedy

    def test_long_double(self, root: Path) -> None:
        write(root / "a.h5", {"a": np.zeros((20, 20), np.longdouble)})
        assert isinstance(error_of(root), UnsupportedDtype)

    def test_text_only(self, root: Path) -> None:
        write(root / "a.h5", {"a": np.array([b"x", b"y"]), "single": 3.0})
        error = error_of(root)
        assert isinstance(error, UnsupportedDtype)
        assert "no array of numbers" in error.message

    def test_no_arrays(self, root: Path) -> None:
        write(root / "a.h5", {})
        assert isinstance(error_of(root), UnsupportedLayout)

    def test_declared_but_never_written(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            file.create_dataset("a", (10**6, 10**6, 10**6), "f8", chunks=(64, 64, 64))
        error = error_of(root)
        assert isinstance(error, UnsupportedLayout)
        assert "ever written" in error.message

    def test_hdf4_by_name(self, root: Path) -> None:
        (root / "a.hdf").write_bytes(b"\x0e\x03\x13\x01" + bytes(1000))
        error = error_of(root)
        assert isinstance(error, UnsupportedLayout)
        assert "HDF4" in error.message

    def test_unknown_filter_by_number(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk((4, 4))
            plist.set_filter(305, h5py.h5z.FLAG_OPTIONAL, ())
            space = h5py.h5s.create_simple((8, 8))
            made = h5py.h5d.create(file.id, b"a", h5py.h5t.STD_U8LE, space, plist)
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ones((8, 8), "u1"))
        error = error_of(root)
        assert isinstance(error, UnsupportedLayout)
        assert "305" in error.message


def test_matlab_text_is_no_image(root: Path) -> None:
    image = numbers((4, 5), "u1")
    write(root / "a.mat", {"image": image, "text": np.ones((60, 60), "u2")}, chunks=None)
    with h5py.File(root / "a.mat", "a") as file:
        file["image"].attrs["MATLAB_class"] = np.bytes_(b"uint8")
        file["text"].attrs["MATLAB_class"] = np.bytes_(b"char")
    with opened(root) as source:
        assert same(whole(source), image.T)
        assert any("MATLAB" in note for note in source.spec.notes)


def test_names_that_are_no_text(root: Path) -> None:
    """Names of HDF5 are bytes: what is no UTF-8 is shown escaped, and still found."""
    with h5py.File(root / "a.h5", "w") as file:
        file[b"caf\xe9 #1/d\xffta"] = np.ones((4, 5), [("wert µ", "f4"), ("b c", "i2")])
    with opened(root) as source:
        fields = source.spec.datasets[0].fields
        assert [f.name for f in fields] == ["wert µ", "b c"]
        assert same(whole(source, 0, 1), np.ones((4, 5), "i2"))
        json.dumps(source.spec.metadata).encode()
        for choice in source.spec.choices:
            choice.chosen.encode()
