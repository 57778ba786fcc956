"""GRIB messages as eccodes writes and reads them, real ones among them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import eccodes
import numpy as np
import pytest

from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    MissingLibrary,
    UnstructuredMesh,
    UnsupportedLayout,
)
from tests.readers.contract import Case, SourceContract
from tests.readers.opening import error_of, numbers, opened, whole

SAMPLES = Path(__file__).parents[4] / "shared/formats/grib"
"""cfgrib's test data (ecmwf/cfgrib, tests/sample-data)."""
_MISSING = 1e30


def message(values: np.ndarray, edition: int = 2, **keys: Any) -> tuple[bytes, np.ndarray]:
    """A message of `values` (from the north, from the west), and what eccodes reads of it."""
    handle = eccodes.codes_grib_new_from_samples(f"regular_ll_sfc_grib{edition}")
    rows, columns = values.shape
    grid = {
        "Ni": columns, "Nj": rows,
        "latitudeOfFirstGridPointInDegrees": 60, "latitudeOfLastGridPointInDegrees": 61 - rows,
        "longitudeOfFirstGridPointInDegrees": 10,
        "longitudeOfLastGridPointInDegrees": 9 + columns,
        "iDirectionIncrementInDegrees": 1, "jDirectionIncrementInDegrees": 1,
    }  # fmt: skip
    for key, value in {**grid, **keys}.items():
        eccodes.codes_set(handle, key, value)
    if np.isnan(values).any():
        eccodes.codes_set(handle, "bitmapPresent", 1)
        eccodes.codes_set(handle, "missingValue", _MISSING)
        values = np.where(np.isnan(values), _MISSING, values)
    eccodes.codes_set_values(handle, values.astype("f8").ravel())
    data = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    handle = eccodes.codes_new_from_message(data)
    eccodes.codes_set(handle, "missingValue", _MISSING)
    theirs = eccodes.codes_get_values(handle).reshape(rows, columns)
    eccodes.codes_release(handle)
    return data, np.where(theirs == _MISSING, np.nan, theirs)


def surface(edition: int, bits: int, dtype: str) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = 280 + 10 * numbers((9, 13), "f8")
        data, theirs = message(values, edition, bitsPerValue=bits)
        (folder / "a.grib").write_bytes(data)
        assert np.abs(theirs - values).max() < 1
        return Case(folder, {SHORT[edition]: theirs.astype(dtype)})

    return make


SHORT = {1: "2t", 2: "t"}


def make_levels(folder: Path) -> Case:
    """Three levels at two times, in two files and no order."""
    parts: dict[tuple[int, int], tuple[bytes, np.ndarray]] = {}
    for day in (20200101, 20200102):
        for level in (500, 850, 1000):
            keys = {"typeOfLevel": "isobaricInhPa", "level": level, "dataDate": day}
            parts[day, level] = message(
                numbers((9, 13), "f8"), bitsPerValue=12, **keys, shortName="t"
            )
    order = [(20200102, 850), (20200101, 1000), (20200102, 500), (20200101, 500)]
    (folder / "a.grib2").write_bytes(b"".join(parts[p][0] for p in order))
    rest = [p for p in parts if p not in order]
    (folder / "b.grib2").write_bytes(b"".join(parts[p][0] for p in rest))
    values = [[parts[d, l][1] for l in (500, 850, 1000)] for d in (20200101, 20200102)]
    return Case(folder, {"t": np.array(values, "f4")})


def make_members(folder: Path) -> Case:
    fields = {}
    data = b""
    for number in range(3):
        part, theirs = message(
            numbers((9, 13), "f8"), productDefinitionTemplateNumber=1, number=number,
            bitsPerValue=12, shortName="2t",
        )  # fmt: skip
        data += part
        fields[f"2t_member{number}"] = theirs.astype("f4")
    (folder / "a.grib").write_bytes(data)
    return Case(folder, fields)


def make_missing(folder: Path) -> Case:
    values = numbers((9, 13), "f8")
    values[2:5, 3:9] = np.nan
    data, theirs = message(values, bitsPerValue=10, shortName="2t")
    (folder / "a.grib").write_bytes(data)
    assert np.array_equal(np.isnan(theirs), np.isnan(values))
    return Case(folder, {"2t": theirs.astype("f4")})


def make_columns(folder: Path) -> Case:
    """Samples whose columns lie side by side."""
    values = numbers((9, 13), "f8")
    data, theirs = message(values, bitsPerValue=12, jPointsAreConsecutive=1, shortName="2t")
    (folder / "a.grib").write_bytes(data)
    return Case(folder, {"2t": np.ascontiguousarray(theirs.reshape(13, 9).T, "f4")})


CASES: dict[str, Callable[[Path], Case]] = {
    "edition 1": surface(1, 12, "f4"),
    "edition 2": surface(2, 12, "f4"),
    "24 bits": surface(2, 24, "f8"),
    "levels": make_levels,
    "members": make_members,
    "missing": make_missing,
    "columns": make_columns,
}


class TestGrib(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def test_levels_times_and_places_are_axes(tmp_path: Path) -> None:
    make_levels(tmp_path)
    with opened(tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert dataset.times == ("2020-01-01T12:00:00", "2020-01-02T12:00:00")
        level, latitude, longitude = dataset.axes
        assert (level.name, level.spacing, level.units) == ("pressure", None, "hPa")
        assert dataset.metadata["levels"] == [500.0, 850.0, 1000.0]
        assert (latitude.name, latitude.spacing, latitude.origin) == ("latitude", -1.0, 60.0)
        assert (longitude.name, longitude.spacing, longitude.origin) == ("longitude", 1.0, 10.0)
        assert dataset.fields[0].units == "K"
        assert dataset.fields[0].attributes["name"] == "Temperature"


def test_a_missing_level_is_nan_and_noted(tmp_path: Path) -> None:
    make_levels(tmp_path)
    data = (tmp_path / "a.grib2").read_bytes()
    first = int.from_bytes(data[8:16], "big")
    (tmp_path / "a.grib2").write_bytes(data[first:])
    with opened(tmp_path) as source:
        assert any("1 of 6" in note for note in source.spec.notes)
        assert np.isnan(whole(source, timestep=1)[1]).all()
        assert not np.isnan(whole(source, timestep=0)).any()


def test_two_messages_of_one_place_are_refused(tmp_path: Path) -> None:
    data, _ = message(numbers((9, 13), "f8"))
    (tmp_path / "a.grib").write_bytes(data + data)
    assert isinstance(error_of(tmp_path), UnsupportedLayout)


@pytest.mark.parametrize("edition", [1, 2])
@pytest.mark.parametrize("keep", [12, 60, -5, -1])
def test_a_file_cut_short_is_refused(tmp_path: Path, edition: int, keep: int) -> None:
    CASES[f"edition {edition}"](tmp_path)
    (tmp_path / "a.grib").write_bytes((tmp_path / "a.grib").read_bytes()[:keep])
    assert isinstance(error_of(tmp_path), ConversionError)


def test_other_data_behind_the_messages_are_refused(tmp_path: Path) -> None:
    data, _ = message(numbers((9, 13), "f8"))
    (tmp_path / "a.grib").write_bytes(data + bytes(3 << 20) + data)
    assert isinstance(error_of(tmp_path), CorruptSource)


def real(name: str) -> Path:
    if not (SAMPLES / name).exists():
        pytest.skip("the sample is not here")
    return SAMPLES / name


def theirs_of(path: Path) -> list[tuple[Mapping[str, Any], np.ndarray]]:
    found = []
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            eccodes.codes_set(handle, "missingValue", _MISSING)
            keys = {k: eccodes.codes_get(handle, k) for k in ("Ni", "Nj", "validityDate")}
            values = eccodes.codes_get_values(handle)
            found.append((keys, np.where(values == _MISSING, np.nan, values)))
            eccodes.codes_release(handle)
    return found


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("regular_ll_sfc.grib", [(1, 1, 37, 72)]),
        ("era5-single-level-scalar-time.grib", [(1, 1, 121, 201)]),
        ("lambert_grid.grib", [(1, 1, 475, 475)]),
        ("fields_with_missing_values.grib", [(1, 2, 91, 180)]),
        ("hpa_and_pa.grib", [(1, 1, 3, 37, 72)]),
        # members that were started on different days
        ("forecast_monthly_ukmo.grib", None),
    ],
)
def test_real_messages(name: str, shapes: list[tuple[int, ...]] | None) -> None:
    """Every plane of eccodes is one of ours, and the other way round; fields, times, grid."""
    path = real(name)
    theirs, mine = theirs_of(path), []
    with opened(path) as source:
        found = [(len(d.fields), d.timesteps, *d.shape) for d in source.spec.datasets]
        for number, dataset in enumerate(source.spec.datasets):
            for field, spec in enumerate(dataset.fields):
                for step in range(dataset.timesteps):
                    planes = whole(source, number, field, step).reshape(-1, *dataset.shape[-2:])
                    mine += [(spec.dtype, plane) for plane in planes]
    assert shapes is None or found == shapes
    assert len(mine) == len(theirs)
    wanted = [v for _, v in theirs]
    for dtype, plane in mine:
        at = next(
            i
            for i, v in enumerate(wanted)
            if np.array_equal(v.astype(dtype), plane.ravel(), equal_nan=True)
        )
        del wanted[at]
    assert not wanted


def test_reduced_grids_are_refused_with_a_way_out() -> None:
    error = error_of(real("reduced_gg.grib"))
    assert isinstance(error, UnstructuredMesh)
    assert "cdo" in error.remedy


def test_a_missing_library_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CASES["edition 2"](tmp_path)
    actual = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name.startswith("eccodes"):
            raise ModuleNotFoundError(name=name)
        return actual(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    error = error_of(tmp_path)
    assert isinstance(error, MissingLibrary)
    assert "scientistcloud[climate]" in error.remedy
