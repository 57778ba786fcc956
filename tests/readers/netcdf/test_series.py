"""Files of one grid: a series over time, members side by side, files without a record."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from scientistcloud.conversion.inspect import open_source


def write(path: Path, times: list[float], value: float) -> None:
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", None)
        file.createDimension("lat", 6)
        file.createDimension("lon", 8)
        time = file.createVariable("time", "f8", ("time",))
        time.units = "days since 2000-01-01"
        time[:] = times
        field = file.createVariable("tas", "f4", ("time", "lat", "lon"))
        if times:
            field[:] = np.full((len(times), 6, 8), value)


def shapes(folder: Path, scratch: Path) -> tuple[list[tuple[str, int]], str]:
    with open_source(folder, None, {}, scratch) as source:
        found = [(dataset.name, dataset.timesteps) for dataset in source.spec.datasets]
        return found, " ".join(source.spec.notes)


@pytest.fixture
def up(tmp_path: Path) -> Path:
    (tmp_path / "up").mkdir()
    return tmp_path / "up"


def test_members_with_the_same_times_are_datasets(up: Path, tmp_path: Path) -> None:
    for member in (60, 61):
        write(up / f"tas.run.{member}.nc", [0, 1, 2], member)
    assert shapes(up, tmp_path)[0] == [("", 3), ("tas.run.61", 3)]


def test_files_that_go_on_are_a_series(up: Path, tmp_path: Path) -> None:
    write(up / "tas.2000.nc", [0, 1, 2], 1)
    write(up / "tas.2001.nc", [366, 367], 2)
    assert shapes(up, tmp_path)[0] == [("", 5)]


def test_a_file_without_a_record_is_named_and_left_out(up: Path, tmp_path: Path) -> None:
    write(up / "out_1.nc", [0, 1], 1)
    write(up / "out_2.nc", [], 1)
    write(up / "out_3.nc", [2, 3], 1)
    found, notes = shapes(up, tmp_path)
    assert found == [("", 4)]
    assert "out_2.nc" in notes
