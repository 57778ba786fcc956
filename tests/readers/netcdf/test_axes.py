"""Axes of NetCDF by what CF says of them, whatever their order in the file."""

from __future__ import annotations

from pathlib import Path

import netCDF4
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

UNITS = {"time": "hours since 2000-01-01", "lon": "degrees_east", "lat": "degrees_north"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


def write(
    path: Path, sizes: dict[str, int], *variables: tuple[str, str], **attributes: str
) -> None:
    """A file with coordinates of the known dimensions, and variables filled with their numbers."""
    with netCDF4.Dataset(path, "w") as file:
        for name, size in sizes.items():
            file.createDimension(name, size)
            if name in UNITS or name in attributes:
                made = file.createVariable(name, "f8", (name,))
                made.units = UNITS.get(name, "1")
                if name in attributes:
                    made.axis = attributes[name]
                made[:] = np.arange(size)
        for name, dims in variables:
            words = tuple(dims.split())
            shape = tuple(sizes[d] for d in words)
            values = np.arange(np.prod(shape), dtype="f4").reshape(shape)
            file.createVariable(name, "f4", words)[:] = values


def stored(path: Path, name: str) -> np.ndarray:
    with netCDF4.Dataset(path) as file:
        return np.asarray(file[name][...])


class TestTurned:
    @pytest.mark.parametrize(
        "dims",
        ["time lat lon", "time lon lat", "lon lat time", "lat time lon", "lon time lat"],
    )
    def test_lon_along_x_in_any_order(self, root: Path, dims: str) -> None:
        write(root / "a.nc", {"time": 2, "lat": 5, "lon": 8}, ("h", dims))
        order = [dims.split().index(d) for d in ("time", "lat", "lon")]
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert [a.name for a in spec.axes] == ["lat", "lon"]
            assert spec.timesteps == 2
            values = stored(root / "a.nc", "h").transpose(order)
            for t in range(2):
                assert same(whole(source, timestep=t), values[t])
        assert_choices_round_trip(root, {}, None)

    def test_by_the_attribute_axis(self, root: Path) -> None:
        sizes = {"a": 4, "b": 5, "d": 6}
        write(root / "a.nc", sizes, ("h", "a b d"), a="X", b="Z", d="Y")
        with opened(root) as source:
            assert [a.name for a in source.spec.datasets[0].axes] == ["b", "d", "a"]
            values = stored(root / "a.nc", "h").transpose(1, 2, 0)
            assert same(whole(source), values)

    def test_unknown_third_axis_is_the_slowest(self, root: Path) -> None:
        write(root / "a.nc", {"lat": 5, "lon": 8, "bins": 7}, ("h", "lat lon bins"))
        with opened(root) as source:
            assert [a.name for a in source.spec.datasets[0].axes] == ["bins", "lat", "lon"]
            assert same(whole(source), stored(root / "a.nc", "h").transpose(2, 0, 1))

    @pytest.mark.parametrize(("axes", "turned"), [({}, False), ({"x": "X", "y": "Y"}, True)])
    def test_letters_need_coordinates(self, root: Path, axes: dict[str, str], turned: bool) -> None:
        write(root / "a.nc", {"x": 5, "y": 8}, ("h", "x y"), **axes)
        with opened(root) as source:
            values = stored(root / "a.nc", "h")
            assert same(whole(source), values.T if turned else values)

    def test_variables_of_either_order_share_a_grid(self, root: Path) -> None:
        write(root / "a.nc", {"lat": 5, "lon": 8}, ("h", "lat lon"), ("g", "lon lat"))
        with opened(root) as source:
            assert [f.name for f in source.spec.datasets[0].fields] == ["h", "g"]
            assert same(whole(source, field=1), stored(root / "a.nc", "g").T)

    def test_names_that_say_nothing_stay_as_they_are(self, root: Path) -> None:
        write(root / "a.nc", {"u": 5, "v": 6, "w": 8}, ("h", "u v w"))
        with opened(root) as source:
            assert [a.name for a in source.spec.datasets[0].axes] == ["u", "v", "w"]
            assert not any(c.parameter == "axes" for c in source.spec.choices)


class TestOtherAxes:
    def test_wavelengths_of_a_volume_are_fields(self, root: Path) -> None:
        sizes = {"wavelength": 3, "z": 4, "y": 5, "x": 6}
        write(root / "a.nc", sizes, ("h", "wavelength z y x"), z="Z")
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert (spec.shape, spec.timesteps, len(spec.fields)) == ((4, 5, 6), 1, 3)
            for i in range(3):
                assert same(whole(source, field=i), stored(root / "a.nc", "h")[i])
        assert_choices_round_trip(root, {}, None)

    def test_wavelengths_of_an_image_are_depth(self, root: Path) -> None:
        write(root / "a.nc", {"wavelength": 30, "lat": 5, "lon": 6}, ("h", "wavelength lat lon"))
        with opened(root) as source:
            assert source.spec.datasets[0].shape == (30, 5, 6)

    def test_thousands_of_angles_beside_a_volume_are_refused(self, root: Path) -> None:
        write(
            root / "a.nc", {"angle": 300, "lev": 2, "lat": 2, "lon": 2}, ("h", "angle lev lat lon")
        )
        error = error_of(root)
        assert error.code == "AmbiguousFormat"
        with opened(root, {"axes": "tzyx"}) as source:
            assert source.spec.datasets[0].timesteps == 300

    def test_last_axis_of_three_is_colour(self, root: Path) -> None:
        write(root / "a.nc", {"lat": 5, "lon": 8, "k": 3}, ("h", "lat lon k"))
        with opened(root) as source:
            assert source.spec.datasets[0].fields[0].components == 3
            assert same(whole(source), stored(root / "a.nc", "h"))

    def test_last_axis_of_three_with_coordinates_is_no_colour(self, root: Path) -> None:
        write(root / "a.nc", {"u": 5, "v": 8, "k": 3}, ("h", "u v k"), k="")
        with opened(root) as source:
            assert source.spec.datasets[0].shape == (5, 8, 3)


class TestParameter:
    def test_turns_and_names(self, root: Path) -> None:
        write(root / "a.nc", {"u": 4, "v": 5, "w": 8}, ("h", "u v w"))
        with opened(root, {"axes": "xty"}) as source:
            spec = source.spec.datasets[0]
            assert (spec.shape, spec.timesteps) == ((8, 4), 5)
            assert same(whole(source, timestep=2), stored(root / "a.nc", "h")[:, 2].T)
            assert chosen(source, "axes") == "xty"

    @pytest.mark.parametrize("letters", ["xyy", "tt", "abc", "ttt"])
    def test_nonsense(self, root: Path, letters: str) -> None:
        write(root / "a.nc", {"u": 4, "v": 5, "w": 8}, ("h", "u v w"))
        assert error_of(root, {"axes": letters}).code == "InvalidOptions"


def test_random_orders_keep_every_sample(root: Path) -> None:
    """Property: whatever the order of the dimensions, each sample lies at its coordinates."""
    rng = np.random.default_rng(7)
    sizes = {"time": 3, "lev": 4, "lat": 5, "lon": 6}
    values = numbers((3, 4, 5, 6), "f4")
    for n in range(8):
        order = [list(sizes)[i] for i in rng.permutation(4)]
        path = root / "a.nc"
        with netCDF4.Dataset(path, "w") as file:
            for name, size in sizes.items():
                file.createDimension(name, size)
            made = file.createVariable("h", "f4", tuple(order))
            made[:] = values.transpose([list(sizes).index(d) for d in order])
        with opened(root) as source:
            assert source.spec.datasets[0].shape == (4, 5, 6), n
            for t in range(3):
                assert same(whole(source, timestep=t), values[t])


class TestWritten:
    @staticmethod
    def declare(path: Path, *names: str) -> netCDF4.Dataset:
        file = netCDF4.Dataset(path, "w")
        for name, size in (("y", 40), ("x", 30)):
            file.createDimension(name, size)
        for name in names:
            file.createVariable(name, "i2", ("y", "x"), chunksizes=(10, 30))
        return file

    def test_nothing(self, root: Path) -> None:
        self.declare(root / "a.nc", "a", "b").close()
        error = error_of(root)
        assert error.code == "UnsupportedLayout"
        assert "nothing was ever written" in error.message

    def test_one_of_two(self, root: Path) -> None:
        with self.declare(root / "a.nc", "a", "b") as file:
            file["b"][:] = 7
        with opened(root) as source:
            assert [f.name for f in source.spec.datasets[0].fields] == ["b"]
            assert any("'a'" in note for note in source.spec.notes)

    def test_in_part(self, root: Path) -> None:
        with self.declare(root / "a.nc", "a") as file:
            file["a"][:30] = 7
        with opened(root) as source:
            assert any("25 %" in n and "[30:40, 0:30]" in n for n in source.spec.notes)
            assert source.spec.datasets[0].fields[0].fill_value == -32767

    def test_wholly(self, root: Path) -> None:
        with self.declare(root / "a.nc", "a") as file:
            file["a"][:] = 7
        with opened(root) as source:
            assert not source.spec.notes
            assert source.spec.datasets[0].fields[0].fill_value is None


def test_scaling_of_minc_is_told(root: Path) -> None:
    with netCDF4.Dataset(root / "a.mnc.nc", "w", format="NETCDF3_CLASSIC") as file:
        for name, size in (("zspace", 3), ("yspace", 4), ("xspace", 5)):
            file.createDimension(name, size)
        image = file.createVariable("image", "i2", ("zspace", "yspace", "xspace"))
        image.setncatts({"image-max": "--->image-max", "image-min": "--->image-min"})
        image[:] = np.arange(60).reshape(3, 4, 5)
        for name in ("image-max", "image-min"):
            file.createVariable(name, "f8", ("zspace",))[:] = 1.0
    with opened(root) as source:
        assert source.spec.datasets[0].shape == (3, 4, 5)
        assert any("image-max" in note for note in source.spec.notes)
