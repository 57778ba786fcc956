"""The CF conventions: times, axes, grids and meshes; real files against netCDF4 itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scientistcloud.errors import InvalidOptions, UnstructuredMesh
from tests.readers.contract import same
from tests.readers.netcdf.test_netcdf import create
from tests.readers.netcdf.test_packing import as_netcdf4_reads
from tests.readers.opening import assert_choices_round_trip, chosen, error_of, opened, whole


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


class TestTime:
    @pytest.mark.parametrize(
        ("units", "calendar", "expected"),
        [
            ("days since 2000-02-28", "standard", ("2000-02-28T00:00:00", "2000-02-29T00:00:00")),
            ("days since 2001-02-28", "noleap", ("2001-02-28T00:00:00", "2001-03-01T00:00:00")),
            ("days since 2001-02-30", "360_day", ("2001-02-30T00:00:00", "2001-03-01T00:00:00")),
            ("hours since 1900-01-01", "", ("1900-01-01T00:00:00", "1900-01-01T01:00:00")),
            ("fortnights since breakfast", "", (0.0, 1.0)),
        ],
    )
    def test_iso_in_the_calendar(
        self, root: Path, units: str, calendar: str, expected: tuple[Any, ...]
    ) -> None:
        with create(root / "a.nc", t=2, y=3, x=4) as file:
            time = file.createVariable("t", "i4", ("t",))
            time.units = units
            if calendar:
                time.calendar = calendar
            time[:] = [0, 1]
            file.createVariable("a", "f4", ("t", "y", "x"))[:] = 1
        with opened(root) as source:
            assert source.spec.datasets[0].times == expected

    def test_leading_dimension_without_a_sign_is_depth(self, root: Path) -> None:
        with create(root / "a.nc", z=4, y=5, x=6) as file:
            file.createVariable("a", "i2", ("z", "y", "x"))[:] = 1
        with opened(root) as source:
            assert source.spec.datasets[0].shape == (4, 5, 6)
            assert chosen(source, "time_dimension") == "auto"
        with opened(root, {"time_dimension": "z"}) as source:
            assert source.spec.datasets[0].timesteps == 4
        assert isinstance(error_of(root, {"time_dimension": "w"}), InvalidOptions)

    def test_unlimited_leading_dimension_is_time(self, root: Path) -> None:
        with create(root / "a.nc", record=None, y=5, x=6) as file:
            file.createVariable("a", "i2", ("record", "y", "x"))[:] = np.ones((4, 5, 6))
        with opened(root) as source:
            assert source.spec.datasets[0].timesteps == 4
        with opened(root, {"time_dimension": "none"}) as source:
            assert source.spec.datasets[0].shape == (4, 5, 6)


class TestGrids:
    def test_axes_and_their_directions(self, root: Path) -> None:
        with create(root / "a.nc", lev=3, lat=5, lon=4) as file:
            for name, values, units in (
                ("lev", [1000, 850, 500], "hPa"),
                ("lat", [90, 45, 0, -45, -90], "degrees_north"),
                ("lon", [0, 90, 180, 270], "degrees_east"),
            ):
                made = file.createVariable(name, "f4", (name,))
                made.units = units
                made[:] = values
            file["lev"].positive = "down"
            file.createVariable("t", "f4", ("lev", "lat", "lon"))[:] = 1
        with opened(root) as source:
            main = source.spec.datasets[0]
            lev, lat, lon = main.axes
            assert (lev.spacing, lev.origin, lev.units) == (None, None, "hPa")
            assert (lat.spacing, lat.origin) == (-45.0, 90.0)
            assert (lon.spacing, lon.origin, lon.units) == (90.0, 0.0, "degrees_east")
            about = main.metadata["coordinates"]
            assert about["lev"]["positive"] == "down"
            assert about["lev"]["values"] == [1000.0, 850.0, 500.0]
            assert about["lat"]["direction"] == "decreasing"

    def test_other_grids_are_further_datasets(self, root: Path) -> None:
        with create(root / "a.nc", time=2, y=5, x=6, profile=7) as file:
            file.createVariable("a", "f4", ("time", "y", "x"))[:] = 1
            file.createVariable("b", "f4", ("time", "y", "x"))[:] = 2
            file.createVariable("relief", "f4", ("y", "x"))[:] = 3
            file.createVariable("level", "f4", ("profile",))[:] = 4
            file.createVariable("drift", "f4", ("time",))[:] = 5
        with opened(root) as source:
            names = {d.name: [f.name for f in d.fields] for d in source.spec.datasets}
            assert names == {"": ["a", "b"], "relief": ["relief"], "level": ["level"]}
            assert any("drift" in note for note in source.spec.notes)
            assert source.spec.metadata["a.nc"]["values"]["drift"] == [5.0, 5.0]
        with opened(root, {"variable": "relief,b"}) as source:
            names = {d.name: [f.name for f in d.fields] for d in source.spec.datasets}
            assert names == {"": ["relief"], "b": ["b"]}
        assert "relief" in error_of(root, {"variable": "nothing"}).remedy

    def test_what_serves_others_is_no_field(self, root: Path) -> None:
        with create(root / "a.nc", y=5, x=6, corners=4, one=1) as file:
            for name in ("latitude", "lon"):
                made = file.createVariable(name, "f8", ("y", "x"))
                made[:] = np.arange(30).reshape(5, 6)
                file.createVariable(f"{name}_bnds", "f8", ("y", "x", "corners"))[:] = 0
            file["latitude"].bounds = "latitude_bnds"
            crs = file.createVariable("crs", "i4", ())
            crs.grid_mapping_name = "mercator"
            data = file.createVariable("a", "f4", ("one", "y", "x"))
            data.setncatts({"coordinates": "latitude lon", "grid_mapping": "crs"})
            data[:] = 1
            file.createVariable("latent_heat", "f4", ("y", "x"))[:] = 2
        with opened(root) as source:
            (main,) = source.spec.datasets
            assert [f.name for f in main.fields] == ["a", "latent_heat"]
            assert main.metadata["crs"]["grid_mapping_name"] == "mercator"
            assert main.metadata["curvilinear"]["latitude"]["maximum"] == 29.0

    def test_unlike_files(self, root: Path) -> None:
        for name, length in (("small", 4), ("large", 9)):
            with create(root / f"{name}.nc", y=length, x=6) as file:
                file.createVariable("a", "f4", ("y", "x"))[:] = length
        with opened(root) as source:
            assert [(d.name, d.shape) for d in source.spec.datasets] == [
                ("", (9, 6)),
                ("small", (4, 6)),
            ]
            assert float(whole(source, 1)[0, 0]) == 4
        with opened(root, {"file": "small.nc"}) as source:
            assert source.spec.datasets[0].shape == (4, 6)
        assert_choices_round_trip(root, {}, None)

    def test_packed_differently_in_each_file(self, root: Path) -> None:
        for i, scale in enumerate((0.5, 0.25)):
            with create(root / f"{i}.nc", time=1, y=3, x=4) as file:
                made = file.createVariable("a", "i2", ("time", "y", "x"))
                made[:] = 4
                made.scale_factor = scale
        with opened(root) as source:
            assert source.spec.datasets[0].timesteps == 2
            assert [float(whole(source, timestep=t)[0, 0]) for t in (0, 1)] == [2.0, 1.0]


class TestRefusals:
    def test_points_with_a_place_each(self, root: Path) -> None:
        with create(root / "a.nc", time=3, nCells=500) as file:
            for name in ("latCell", "lonCell"):
                file.createVariable(name, "f8", ("nCells",))[:] = 1
            file.createVariable("p", "f8", ("time", "nCells"))[:] = 1
        error = error_of(root)
        assert isinstance(error, UnstructuredMesh)
        assert "latCell" in error.message

    def test_mesh_beside_a_raster_is_left_out(self, root: Path) -> None:
        with create(root / "a.nc", nCells=500, y=3, x=4) as file:
            for name in ("latCell", "lonCell", "p"):
                file.createVariable(name, "f8", ("nCells",))[:] = 1
            file.createVariable("raster", "f8", ("y", "x"))[:] = 1
        with opened(root) as source:
            assert [f.name for f in source.spec.datasets[0].fields] == ["raster"]
            assert any("mesh" in note for note in source.spec.notes)

    def test_text_and_single_values(self, root: Path) -> None:
        with create(root / "a.nc", y=3) as file:
            file.createVariable("name", str, ("y",))
            file.createVariable("one", "f4", ())[:] = 1
        assert error_of(root).code == "UnsupportedLayout"

    def test_no_records_yet(self, root: Path) -> None:
        with create(root / "a.nc", time=None, y=3, x=3) as file:
            file.createVariable("a", "f4", ("time", "y", "x"))
        assert error_of(root).code == "UnsupportedLayout"


REAL: dict[str, dict[str, tuple[tuple[int, ...], int, str]]] = {
    "geocat_941110_P.cdf": {"Psl": ((73, 73), 1, "f4")},
    "geocat_bipolar_tos.nc": {"tos": ((220, 256), 1, "f4")},
    "geocat_colorado.nc": {"z": ((420, 481), 1, "i4")},
    "geocat_fice.nc": {"fice": ((49, 100), 120, "f4")},
    "geocat_meteo_1d.nc": {"tempisobar": ((8, 25), 1, "f4")},
    "geocat_rect3d.nc": dict.fromkeys(("rhumidity", "var3", "t"), ((17, 96, 192), 1, "f4")),
    "gt_ipcc_tasmin.nc": {"tasmin": ((278, 720), 3, "f4")},
    "iris_tmean_1910.nc": {"tmean": ((290, 180), 1, "f4")},
    "iris_total_co2.nc": {"tcco2": ((161, 320), 31, "f8")},
    "nc4p_cloud_top.nc": {"HT": ((300, 500), 1, "f4"), "DQF": ((300, 500), 1, "u1")},
    "ncc_64bit_offset.nc": {"bytev": ((6, 4, 31), 30, "i1")},
    "ras_rgb.nc": {f"Band{i}": ((718, 791), 1, "u1") for i in (1, 2, 3)},
    "xr_basin_mask.nc": {"basin": ((33, 180, 360), 1, "i1")},
}


@pytest.mark.filterwarnings("ignore:WARNING. valid_range not used")
@pytest.mark.parametrize("name", REAL)
def test_real_files(samples: Path, name: str) -> None:
    path = samples / "netcdf" / name
    with opened(path) as source:
        main = source.spec.datasets[0]
        assert [f.name for f in main.fields] == list(REAL[name])
        for i, field in enumerate(main.fields):
            shape, timesteps, dtype = REAL[name][field.name]
            assert (main.shape, main.timesteps, field.dtype) == (shape, timesteps, np.dtype(dtype))
            got = np.stack([whole(source, 0, i, t) for t in range(timesteps)])
            assert same(got.reshape(-1), as_netcdf4_reads(path, field.name).reshape(-1))


@pytest.mark.parametrize("name", ["iris_ugrid_triangles.nc", "geocat_mpas.nc"])
def test_real_meshes_are_refused(samples: Path, name: str) -> None:
    assert isinstance(error_of(samples / "netcdf" / name), UnstructuredMesh)
