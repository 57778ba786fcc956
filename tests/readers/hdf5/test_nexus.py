"""NeXus: which array is plotted and what its axes are; the 4D_NEXUS parameters; real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  (the filters of the real files)
import numpy as np
import pytest

from scientistcloud.errors import (
    InvalidOptions,
    MissingMember,
    UnsupportedDtype,
    UnsupportedLayout,
)
from tests.readers.contract import Case, SourceContract, same
from tests.readers.opening import (
    assert_choices_round_trip,
    chosen,
    error_of,
    numbers,
    opened,
    whole,
)

SIGNAL = numbers((4, 5, 6), "u2")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


def group(parent: h5py.Group, name: str, kind: str) -> h5py.Group:
    made = parent.create_group(name)
    made.attrs["NX_class"] = kind
    return made


def modern(path: Path) -> None:
    """By the rules of 2014 and later: ``default``, ``signal`` and ``axes`` attributes."""
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = group(file, "entry", "NXentry")
        entry.attrs["default"] = "plot"
        detector = group(group(entry, "instrument", "NXinstrument"), "detector", "NXdetector")
        detector["raw"] = SIGNAL
        detector["huge"] = np.zeros((100, 100, 10))
        other = group(entry, "other", "NXdata")
        other["data"] = np.zeros((30, 30))
        other.attrs["signal"] = "data"
        plot = group(entry, "plot", "NXdata")
        plot.attrs["signal"] = "counts"
        plot.attrs["axes"] = ["angle", ".", "x"]
        plot["counts"] = h5py.SoftLink("/entry/instrument/detector/raw")
        plot["angle"] = np.array([0.0, 0.5, 1.0, 1.5])
        plot["angle"].attrs["units"] = "deg"
        plot["x"] = np.arange(7) * 0.1
        plot["counts_errors"] = np.sqrt(SIGNAL.astype("f4"))


def old(path: Path) -> None:
    """By the rules of 2009: ``signal=1`` and ``axes`` of the array, separated by colons."""
    with h5py.File(path, "w") as file:
        plot = group(group(file, "entry", "NXentry"), "plot", "NXdata")
        plot["counts"] = SIGNAL
        plot["counts"].attrs["signal"] = np.array([1])
        plot["counts"].attrs["axes"] = "angle:y:x"
        plot["angle"] = np.array([0.0, 0.5, 1.0, 1.5])
        plot["angle"].attrs["units"] = "deg"
        plot["x"] = np.arange(6) * 0.1 + 0.05


def oldest(path: Path) -> None:
    """By the first rules: each axis has ``axis=n``."""
    with h5py.File(path, "w") as file:
        plot = group(group(file, "entry", "NXentry"), "plot", "NXdata")
        plot["counts"] = SIGNAL
        plot["counts"].attrs["signal"] = "1"
        plot["angle"] = np.array([0.0, 0.5, 1.0, 1.5])
        plot["angle"].attrs.update({"units": "deg", "axis": 1, "primary": 1})
        plot["x"] = np.arange(6) * 0.1 + 0.05
        plot["x"].attrs["axis"] = "3"


class TestNexus(SourceContract):
    boxes = 8

    @pytest.fixture(params=[modern, old, oldest], ids=lambda f: f.__name__)
    def case(self, request: pytest.FixtureRequest, root: Path) -> Case:
        request.param(root / "a.nxs")
        fields = {"counts": SIGNAL}
        if request.param is modern:
            fields["counts_errors"] = np.sqrt(SIGNAL.astype("f4"))
        return Case(root, fields, sensor="4D_NEXUS")

    def test_choices_can_be_passed_back(self, case: Case) -> None:
        assert_choices_round_trip(case.root, case.parameters, case.sensor)


@pytest.mark.parametrize("write", [modern, old, oldest])
def test_axes(root: Path, write: Callable[[Path], None]) -> None:
    write(root / "a.nxs")
    with opened(root) as source:
        assert source.spec.format == "NeXus"
        first, _, third = source.spec.datasets[0].axes
        assert (first.name, first.spacing, first.origin, first.units) == ("angle", 0.5, 0.0, "deg")
        # Seven edges of six bins, or six centres, are the same axis.
        assert third.name == "x"
        assert third.spacing == pytest.approx(0.1)
        assert third.origin == pytest.approx(0.05)


def test_default_is_told_and_can_be_overruled(root: Path) -> None:
    modern(root / "a.nxs")
    with opened(root) as source:
        choice = source.spec.choices[0]
        assert "/entry/plot" in choice.rule
        assert "/entry/other/data" in choice.alternatives
    with opened(root, {"dataset": "/entry/other"}) as source:
        assert source.spec.datasets[0].shape == (30, 30)


def test_a_plotted_line_does_not_hide_the_images(root: Path) -> None:
    images = numbers((3, 8, 9), "u1")
    with h5py.File(root / "a.nxs", "w") as file:
        entry = group(file, "entry", "NXentry")
        scan = group(entry, "scan", "NXdata")
        scan.attrs["signal"] = "counts"
        scan["counts"] = np.arange(1000.0)
        group(entry, "detector", "NXdetector")["images"] = images
    with opened(root) as source:
        assert same(whole(source), images)


def test_missing_signal_is_named_even_beside_other_images(root: Path) -> None:
    with h5py.File(root / "a.nxs", "w") as file:
        file.attrs["default"] = "entry"
        entry = group(file, "entry", "NXentry")
        entry.attrs["default"] = "plot"
        plot = group(entry, "plot", "NXdata")
        plot.attrs["signal"] = "data"
        plot["data"] = h5py.ExternalLink("frames.h5", "/data")
        plot["mask"] = np.ones((9, 9))
    error = error_of(root)
    assert isinstance(error, MissingMember)
    assert "frames.h5" in error.message


def test_colour(root: Path) -> None:
    values = numbers((7, 8, 3), "u1")
    with h5py.File(root / "a.nxs", "w") as file:
        plot = group(group(file, "entry", "NXentry"), "plot", "NXdata")
        plot.attrs["signal"] = "photo"
        plot["photo"] = values
        plot["photo"].attrs["interpretation"] = "rgb-image"
    with opened(root) as source:
        assert source.spec.datasets[0].shape == (7, 8)
        assert same(whole(source), values)


class TestNexus4D:
    """The parameters of the sensor are paths, separated by commas."""

    @pytest.fixture
    def volumes(self, root: Path) -> dict[str, np.ndarray]:
        arrays = {k: numbers((3, 4, 5, 6), "f4") for k in ("one", "two")}
        with h5py.File(root / "a.nxs", "w") as file:
            entry = group(file, "entry", "NXentry")
            for name, values in arrays.items():
                entry[f"{name}/data"] = values
                entry[f"{name}/x"] = np.linspace(0, 1, 4)
                entry[f"{name}/y"] = np.linspace(0, 2, 3)
                entry[f"{name}/before"] = np.ones((3, 4))
                entry[f"{name}/after"] = np.ones((3, 4))
        return arrays

    def test_each_volume_is_a_dataset(self, root: Path, volumes: dict[str, np.ndarray]) -> None:
        parameters = {
            "volume": "/entry/one/data, /entry/two/data",
            "Xs": "/entry/one/x,/entry/two/x",
            "Ys": "entry/one/y,entry/two/y",
            "presample": "/entry/one/before,/entry/two/before",
            "postsample": "/entry/one/after,/entry/two/after",
        }
        with opened(root, parameters, "4D_NEXUS") as source:
            first, second = source.spec.datasets
            assert (first.name, second.name) == ("", "entry_two")
            assert first.timesteps == 3
            assert first.shape == (4, 5, 6)
            for i, name in enumerate(volumes):
                got = np.stack([whole(source, i, 0, t) for t in range(3)])
                assert same(got, volumes[name])
            roles = first.metadata["4d_nexus"]
            assert roles["volume"] == "/entry/one/data"
            assert [x["path"] for x in roles["Xs"]] == ["/entry/one/x", "/entry/two/x"]
            assert roles["presample"][0]["shape"] == [3, 4]

    def test_found_by_itself(self, root: Path, volumes: dict[str, np.ndarray]) -> None:
        with opened(root, sensor="4D_NEXUS") as source:
            assert chosen(source, "dataset") == "/entry/one/data"
            assert same(whole(source, 0, 0, 2), volumes["one"][2])

    @pytest.mark.parametrize("role", ["volume", "Xs", "postsample"])
    def test_wrong_path(self, root: Path, volumes: dict[str, np.ndarray], role: str) -> None:
        error = error_of(root, {role: "/entry/three/data"})
        assert isinstance(error, InvalidOptions)
        assert role in error.message
        assert "/entry/one/data" in error.remedy

    def test_not_text(self, root: Path, volumes: dict[str, np.ndarray]) -> None:
        assert isinstance(error_of(root, {"volume": 7}), InvalidOptions)


REAL: dict[str, tuple[str, tuple[int, ...], int]] = {
    "nx_agbehenate.hdf5": ("/entry/data/data", (195, 487), 1),
    "nx_sas.hdf5": ("/entry/data/frames", (10, 195, 487), 1),
    "nx_sls_image.hdf5": ("/entry1/counter0/data", (50, 50), 1),
    "nx_sans_napi.hdf": ("/entry1/data1/counts", (128, 128), 1),
    "nx_simple3d.h5": ("/entry/data/test", (2, 3, 4), 1),
    "nx_example.nxs": ("/entry/data/signal", (101, 101), 1),
    "pl_bitshuffle.h5": ("/entry/data/data", (2167, 2070), 1),
    "rs_dls_example.nxs": ("/alias_signal/nexustest/data", (10, 10, 15), 1),
    "rs_4dstem.h5": ("/datacube_root/datacube/data", (3, 4, 5), 2),
    "httomo_dark.h5": ("/1-NoProcessPlugin-tomo/data", (20, 10, 192), 1),
    "savu_i18.nxs": ("/entry1/instrument/xspress3/MCAs", (2, 10, 4096), 2),
    "savu_xrd.nxs": ("/entry1/xrd_entry/instrument/detector/data", (2, 100, 1000), 4),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files(samples: Path, tmp_path: Path, name: str) -> None:
    path, shape, timesteps = REAL[name]
    (tmp_path / "upload").mkdir()
    (tmp_path / "upload" / name).write_bytes((samples / "hdf5" / name).read_bytes())
    with h5py.File(samples / "hdf5" / name, locking=False) as file:
        values = file[path][()].reshape(timesteps, *shape)
    with opened(tmp_path / "upload") as source:
        spec = source.spec.datasets[0]
        assert (spec.shape, spec.timesteps) == (shape, timesteps)
        for timestep in range(timesteps):
            assert same(whole(source, timestep=timestep), values[timestep])


def test_real_soleil_channels(samples: Path, tmp_path: Path) -> None:
    name = "nx_soleil_2.nxs"
    (tmp_path / "upload").mkdir()
    (tmp_path / "upload" / name).write_bytes((samples / "hdf5" / name).read_bytes())
    with opened(tmp_path / "upload") as source:
        fields = source.spec.datasets[0].fields
        assert [f.name for f in fields] == [f"data_{i}" for i in range(1, 6)]
        assert fields[1].units == "µm"


def test_real_virtual_set(samples: Path) -> None:
    with opened(samples / "hdf5" / "h5_vds4_set") as source:
        values = whole(source)
        assert values.shape == (9, 4, 4)
        for i in range(3):
            with h5py.File(samples / "hdf5" / "h5_vds4_set" / f"4_{i}.h5", locking=False) as part:
                assert same(values[3 * i : 3 * i + 3], part["source_dset"][()])


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("nx_i16_538039.nxs", MissingMember, "538039-pilatus100k-files/538039.hdf"),
        ("hdf4_smither_ccd.hdf", UnsupportedLayout, "HDF4"),
        ("jh_strings.hdf5", UnsupportedDtype, "no array of numbers"),
        ("nx_protein_4n8z.h5", UnsupportedDtype, "no array of numbers"),
    ],
)
def test_real_refusals(samples: Path, name: str, error: type[Exception], words: str) -> None:
    found = error_of(samples / "hdf5" / name)
    assert type(found) is error
    assert words in found.message


def test_real_compound(samples: Path) -> None:
    path = samples / "hdf5" / "jh_compound.hdf5"
    with opened(path) as source, h5py.File(path, locking=False) as file:
        values = file["2d_chunked_compound"][()]
        names = [f.name for f in source.spec.datasets[0].fields]
        assert names[:2] == ["2d_chunked_compound.real", "2d_chunked_compound.img"]
        assert same(whole(source, 0, 1), values["img"])
