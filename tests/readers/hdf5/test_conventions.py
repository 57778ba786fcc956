"""What conventions tell of HDF5 axes, text that is no data, and what was never written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.readers.contract import same
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


def letters(text: str) -> np.ndarray:
    return np.array([c.encode() for c in text], "S1")


class TestText:
    JSON = json.dumps({"Detector": {"name": "BF", "dwell": [1, 2, 3]}}, indent=1).encode()
    LOG = b"".join(
        b"2026-01-%02d moved the stage to %d um, all is well\n" % (i, i) for i in range(30)
    )

    @pytest.mark.parametrize("content", [JSON, LOG, b"<scan><name>bone</name></scan>"])
    @pytest.mark.parametrize("form", ["row", "columns", "page"])
    def test_is_never_data(self, root: Path, content: bytes, form: str) -> None:
        blob = np.frombuffer(content.ljust(60_000, b"\0"), "u1")
        blob = {"row": blob, "columns": np.stack([blob, blob], 1), "page": blob.reshape(200, 300)}[
            form
        ]
        image = numbers((16, 16), "f4")
        with h5py.File(root / "a.h5", "w") as file:
            file["g/blob"] = blob
            file["g/image"] = image
        with opened(root) as source:
            assert same(whole(source), image)
        with opened(root, {"dataset": "/g/blob"}) as source:  # who wants it gets it
            assert source.spec.datasets[0].fields[0].name == "blob"

    def test_nothing_but_text(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            file["log"] = np.frombuffer(self.LOG, "u1")
        assert error_of(root).code == "UnsupportedDtype"

    @pytest.mark.parametrize(
        "image",
        [
            np.full((200, 300), 100, "u1"),
            np.tile(np.array([32, 100], "u1"), (200, 150)),
            np.arange(60_000, dtype="u4").reshape(200, 300).astype("u1"),
            (np.arange(60_000) % 95 + 32).astype("u1").reshape(200, 300),
            np.random.default_rng(3).integers(32, 127, (200, 300), "u1"),
            np.zeros((200, 300), "u1"),
        ],
    )
    def test_images_of_bytes_are_data(self, root: Path, image: np.ndarray) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            file["image"] = image
        with opened(root) as source:
            assert same(whole(source), image)


class TestAxistags:
    @staticmethod
    def write(root: Path, values: np.ndarray, keys: str, **more: Any) -> None:
        tags = {"axes": [{"key": k, "typeFlags": 2, "resolution": 0.5, **more} for k in keys]}
        with h5py.File(root / "a.h5", "w") as file:
            file["exported_data"] = values
            file["exported_data"].attrs["axistags"] = json.dumps(tags)

    def test_roles(self, root: Path) -> None:
        values = numbers((2, 4, 6, 8, 3), "f4")
        self.write(root, values, "tzyxc")
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert (spec.shape, spec.timesteps, len(spec.fields)) == ((4, 6, 8), 2, 3)
            assert [a.spacing for a in spec.axes] == [0.5] * 3
            assert same(whole(source, field=2, timestep=1), values[1, ..., 2])
        assert_choices_round_trip(root, {}, None)

    def test_any_order(self, root: Path) -> None:
        values = numbers((3, 4, 5), "u2")
        self.write(root, values, "xyz")
        with opened(root) as source:
            assert same(whole(source), values.transpose())

    @pytest.mark.parametrize("keys", ["zy", "zzx"])
    def test_that_do_not_fit_tell_nothing(self, root: Path, keys: str) -> None:
        values = numbers((3, 4, 5), "u2")
        self.write(root, values, keys)
        with opened(root) as source:
            assert same(whole(source), values)

    def test_that_are_no_json(self, root: Path) -> None:
        values = numbers((3, 4, 5), "u2")
        with h5py.File(root / "a.h5", "w") as file:
            file["a"] = values
            file["a"].attrs["axistags"] = "{zyx"
        with opened(root) as source:
            assert same(whole(source), values)


class TestMatlab:
    @staticmethod
    def write(root: Path, shown: np.ndarray) -> None:
        """As MATLAB does: the array that it shows, with the axes reversed."""
        with h5py.File(root / "a.mat", "w", userblock_size=512) as file:
            file["v"] = np.ascontiguousarray(shown.transpose())
            file["v"].attrs["MATLAB_class"] = np.bytes_(str(shown.dtype))

    def test_image(self, root: Path) -> None:
        shown = numbers((6, 9), "u2")
        self.write(root, shown)
        with opened(root) as source:
            assert same(whole(source), shown)

    @pytest.mark.parametrize("pages", [2, 4, 7])
    def test_volume(self, root: Path, pages: int) -> None:
        shown = numbers((6, 9, pages), "u2")
        self.write(root, shown)
        with opened(root) as source:
            assert same(whole(source), np.moveaxis(shown, -1, 0))

    def test_truecolor(self, root: Path) -> None:
        shown = numbers((6, 9, 3), "u1")
        self.write(root, shown)
        with opened(root) as source:
            assert source.spec.datasets[0].fields[0].components == 3
            assert same(whole(source), shown)

    def test_series(self, root: Path) -> None:
        shown = numbers((6, 9, 4, 5), "f4")
        self.write(root, shown)
        with opened(root) as source:
            assert source.spec.datasets[0].timesteps == 5
            assert same(whole(source, timestep=3), np.moveaxis(shown[..., 3], -1, 0))

    def test_other_files_are_not_turned(self, root: Path) -> None:
        values = numbers((6, 9), "u2")
        with h5py.File(root / "a.mat", "w") as file:
            file["v"] = values
        with opened(root) as source:
            assert same(whole(source), values)


class TestImaris:
    @staticmethod
    def write(
        root: Path, values: np.ndarray, padded: tuple[int, ...], *, named: bool = True
    ) -> None:
        """Values of time, channel, z, y, x."""
        with h5py.File(root / "a.ims", "w") as file:
            file.attrs["ImarisVersion"] = letters("5.5.0")
            image = file.create_group("DataSetInfo/Image").attrs
            for name, size, extent in zip("ZYX", values.shape[2:], (10, 7, 9), strict=True):
                image[name] = letters(str(size))
                at = "XYZ".index(name)
                image[f"ExtMin{at}"], image[f"ExtMax{at}"] = letters("1"), letters(str(1 + extent))
            image["Unit"] = letters("um")
            for t, c in np.ndindex(values.shape[:2]):
                if named:
                    file.require_group(f"DataSetInfo/Channel {c}").attrs["Name"] = letters(
                        f"dye {c}"
                    )
                group = file.require_group(f"DataSet/ResolutionLevel 0/TimePoint {t}/Channel {c}")
                data = group.create_dataset("Data", padded, values.dtype, chunks=(8, 8, 8))
                data[tuple(slice(0, n) for n in values.shape[2:])] = values[t, c]

    def test_padding_is_no_data(self, root: Path) -> None:
        values = numbers((2, 2, 5, 14, 18), "u2")
        self.write(root, values, (8, 16, 24))
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert (spec.shape, spec.timesteps) == ((5, 14, 18), 2)
            assert [f.name for f in spec.fields] == ["dye 0", "dye 1"]
            assert [a.spacing for a in spec.axes] == [2.0, 0.5, 0.5]
            assert [a.origin for a in spec.axes] == [2.0, 1.25, 1.25]
            assert same(whole(source, field=1, timestep=1), values[1, 1])

    def test_whole_chunks_of_padding_are_not_missed(self, root: Path) -> None:
        self.write(root, numbers((1, 1, 5, 8, 8), "u2"), (8, 16, 16))
        with opened(root) as source:
            assert not any("never stored" in note for note in source.spec.notes)

    def test_without_padding(self, root: Path) -> None:
        values = numbers((1, 1, 8, 8, 16), "u2")
        self.write(root, values, (8, 8, 16), named=False)
        with opened(root) as source:
            assert same(whole(source), values[0, 0])

    def test_sizes_that_cannot_be_are_not_believed(self, root: Path) -> None:
        values = numbers((1, 1, 8, 8, 16), "u2")
        self.write(root, values, (8, 8, 16))
        with h5py.File(root / "a.ims", "a") as file:
            file["DataSetInfo/Image"].attrs["X"] = letters("99")
        with opened(root) as source:
            assert same(whole(source), values[0, 0])


class TestOpenPmd:
    @staticmethod
    def write(
        root: Path, values: np.ndarray, labels: list[str], order: str = "C", **more: Any
    ) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            file.attrs["openPMD"] = np.bytes_("1.1.0")
            mesh = file.create_dataset("data/0/meshes/rho", data=values)
            mesh.attrs["axisLabels"] = np.array([label.encode() for label in labels])
            mesh.attrs["dataOrder"] = np.bytes_(order)
            mesh.attrs["gridSpacing"] = np.arange(1.0, len(labels) + 1)
            mesh.attrs["gridGlobalOffset"] = np.full(len(labels), 10.0)
            mesh.attrs["gridUnitSI"] = 1e-6
            for name, value in more.items():
                mesh.attrs[name] = value

    def test_labels_tell(self, root: Path) -> None:
        values = numbers((4, 5, 6), "f4")
        self.write(root, values, ["x", "y", "z"])
        with opened(root) as source:
            axes = source.spec.datasets[0].axes
            assert [a.name for a in axes] == ["z", "y", "x"]
            assert [a.spacing for a in axes] == pytest.approx([3e-6, 2e-6, 1e-6])
            assert [a.units for a in axes] == ["m"] * 3
            assert same(whole(source), values.transpose())

    def test_fortran_order(self, root: Path) -> None:
        values = numbers((4, 5, 6), "f4")
        self.write(root, values, ["x", "y", "z"], "F")
        with opened(root) as source:
            assert [a.name for a in source.spec.datasets[0].axes] == ["z", "y", "x"]
            assert same(whole(source), values)

    def test_modes_are_fields(self, root: Path) -> None:
        values = numbers((3, 5, 6), "f4")
        self.write(root, values, ["r", "z"], geometry=np.bytes_("thetaMode"))
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert (spec.shape, len(spec.fields)) == ((5, 6), 3)
            assert same(whole(source, field=1), values[1])

    def test_labels_of_other_files_are_not_asked(self, root: Path) -> None:
        values = numbers((4, 5, 6), "f4")
        self.write(root, values, ["x", "y", "z"])
        with h5py.File(root / "a.h5", "a") as file:
            del file.attrs["openPMD"]
        with opened(root) as source:
            assert same(whole(source), values)


class TestBigDataViewer:
    XML = (
        "<SpimData><SequenceDescription><ImageLoader format='bdv.hdf5'><hdf5>{file}</hdf5>"
        "</ImageLoader><ViewSetups>{setups}</ViewSetups></SequenceDescription></SpimData>"
    )
    SETUP = (
        "<ViewSetup><id>{0}</id><name>{1}</name><voxelSize><unit>um</unit>"
        "<size>0.4 0.5 2.0</size></voxelSize></ViewSetup>"
    )

    def write(self, root: Path, file: str = "d.h5", start: str = "") -> None:
        setups = "".join(self.SETUP.format(i, n) for i, n in enumerate(("GFP", "RFP")))
        (root / "d.xml").write_text(start + self.XML.format(file=file, setups=setups))
        with h5py.File(root / "d.h5", "w") as made:
            for t, s in np.ndindex(3, 2):
                made[f"t{t:05d}/s{s:02d}/0/cells"] = np.full((4, 5, 6), 10 * s + t, "i2")

    def test_names_and_voxels(self, root: Path) -> None:
        self.write(root)
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert [f.name for f in spec.fields] == ["GFP", "RFP"]
            assert [a.spacing for a in spec.axes] == [2.0, 0.5, 0.4]
            assert spec.axes[0].units == "um"
            assert (whole(source, field=1, timestep=2) == 12).all()
            assert "d.xml" in {p.name for p in source.spec.inputs}

    @pytest.mark.parametrize(
        ("file", "start"),
        [("other.h5", ""), ("d.h5", "<!DOCTYPE SpimData>"), ("d.h5", "<broken>")],
    )
    def test_what_does_not_belong_tells_nothing(self, root: Path, file: str, start: str) -> None:
        self.write(root, file, start)
        with opened(root) as source:
            assert source.spec.datasets[0].axes[0].spacing is None
            assert source.spec.datasets[0].timesteps == 3


class TestWritten:
    def test_partly(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            data = file.create_dataset("d", (40, 30, 30), "i2", chunks=(1, 30, 30), fillvalue=-1)
            data[:30] = 5
        with opened(root) as source:
            (note,) = source.spec.notes
            assert "25 %" in note
            assert "[30:40, 0:30, 0:30]" in note
            assert source.spec.datasets[0].fields[0].fill_value == -1

    def test_wholly(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            data = file.create_dataset("d", (40, 30), "i2", chunks=(10, 30), fillvalue=-1)
            data[:] = -1
        with opened(root) as source:
            assert not source.spec.notes
            assert source.spec.datasets[0].fields[0].fill_value is None


class TestTable:
    """The rules of `arrays.axis_rules`, as an HDF5 file meets them."""

    @staticmethod
    def write(root: Path, values: np.ndarray, labels: str = "") -> None:
        with h5py.File(root / "a.h5", "w") as file:
            file["a"] = values
            for axis, label in zip(file["a"].dims, labels.split(), strict=False):
                axis.label = label

    def test_last_of_three_is_colour(self, root: Path) -> None:
        values = numbers((6, 8, 3), "u1")
        self.write(root, values)
        with opened(root) as source:
            assert source.spec.datasets[0].fields[0].components == 3
            assert same(whole(source), values)
        with opened(root, {"axes": "zyx"}) as source:
            assert same(whole(source), values)
            assert source.spec.datasets[0].shape == (6, 8, 3)
        assert error_of(root, {"axes": "tzyx"}).code == "InvalidOptions"

    def test_energies_of_an_image_are_depth(self, root: Path) -> None:
        self.write(root, numbers((300, 5, 6), "u1"), "energy y x")
        with opened(root) as source:
            assert source.spec.datasets[0].shape == (300, 5, 6)

    def test_lifetimes_of_a_volume_are_fields(self, root: Path) -> None:
        values = numbers((4, 5, 6, 10), "u1")
        self.write(root, values, "z y x lifetime")
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert (spec.shape, spec.timesteps, len(spec.fields)) == ((4, 5, 6), 1, 10)
            assert same(whole(source, field=7), values[..., 7])
        assert_choices_round_trip(root, {}, None)

    def test_long_axes_are_the_grid(self, root: Path) -> None:
        values = numbers((70, 80, 2, 3), "u2")
        self.write(root, values)
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert (spec.shape, spec.timesteps, len(spec.fields)) == ((70, 80), 1, 6)
            assert same(whole(source, field=5), values[:, :, 1, 2])
        assert_choices_round_trip(root, {}, None)

    def test_short_leading_axes_are_time(self, root: Path) -> None:
        values = numbers((7, 8, 2, 3), "u2")
        self.write(root, values)
        with opened(root) as source:
            assert source.spec.datasets[0].timesteps == 7
            assert chosen(source, "axes") == "tzyx"


class TestSeriesOfArrays:
    def test_siblings_are_fields(self, root: Path) -> None:
        values = numbers((3, 2, 4, 5), "f4")
        with h5py.File(root / "a.h5", "w") as file:
            for t in range(3):
                file[f"step_{t}/rho"], file[f"step_{t}/vx"] = values[t]
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert ([f.name for f in spec.fields], spec.timesteps) == (["rho", "vx"], 3)
            assert same(whole(source, field=1, timestep=2), values[2, 1])
        with opened(root, {"dataset": "/step_#/vx"}) as source:
            assert [f.name for f in source.spec.datasets[0].fields] == ["vx"]
        assert_choices_round_trip(root, {}, None)

    def test_siblings_that_lack_a_step_are_none(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            for t in range(3):
                file[f"step_{t}/rho"] = np.ones((4, 5), "f4")
            file["step_0/mask"] = np.ones((4, 5), "u1")
        with opened(root) as source:
            assert [f.name for f in source.spec.datasets[0].fields] == ["rho"]

    def test_iterations_of_openpmd(self, root: Path) -> None:
        values = numbers((3, 4, 5), "f4")
        with h5py.File(root / "a.h5", "w") as file:
            file.attrs["openPMD"] = np.bytes_("1.1.0")
            for i in range(3):
                file[f"data/{100 * i}/meshes/rho"] = values[i]
                about = file[f"data/{100 * i}"].attrs
                about["time"], about["timeUnitSI"] = 5.0 * i, 1e-3
        with opened(root) as source:
            assert source.spec.datasets[0].times == (0.0, 0.005, 0.01)
            assert same(whole(source, timestep=2), values[2])

    def test_numbers_of_other_groups_are_no_time(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            for i in range(3):
                file[f"scan/{i}/image"] = np.full((4, 5), i, "u1")
        with opened(root) as source:
            assert source.spec.datasets[0].timesteps == 1


class TestMinc:
    def test_axes_and_scaling(self, root: Path) -> None:
        values = numbers((4, 5, 6), "i2")
        with h5py.File(root / "a.mnc", "w") as file:
            image = file.create_dataset("minc-2.0/image/0/image", data=values)
            image.attrs["dimorder"] = np.bytes_("xspace,zspace,yspace")
            file["minc-2.0/image/0/image-min"] = np.zeros(4)
            file["minc-2.0/image/0/image-max"] = np.arange(4.0)
            for name, step in (("xspace", 0.5), ("yspace", -1.0), ("zspace", 2.0)):
                file[f"minc-2.0/dimensions/{name}"] = 0
                file[f"minc-2.0/dimensions/{name}"].attrs["step"] = step
                file[f"minc-2.0/dimensions/{name}"].attrs["start"] = 10.0
        with opened(root) as source:
            axes = source.spec.datasets[0].axes
            assert [(a.name, a.spacing) for a in axes] == [
                ("zspace", 2.0), ("yspace", -1.0), ("xspace", 0.5)
            ]  # fmt: skip
            assert same(whole(source), values.transpose(1, 2, 0))
            assert any("image-max" in note for note in source.spec.notes)


class TestVelox:
    @pytest.mark.parametrize("frames", [1, 3, 5])
    def test_frames_come_last(self, root: Path, frames: int) -> None:
        values = numbers((20, 30, frames), "u2")
        with h5py.File(root / "a.emd", "w") as file:
            file["Data/Image/0a1b/Data"] = values
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert (spec.shape, spec.timesteps, len(spec.fields)) == ((20, 30), frames, 1)
            assert same(whole(source, timestep=frames - 1), values[..., -1])
