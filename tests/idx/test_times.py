"""Times of timesteps, from the record beside the blocks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scientistcloud.idx.files.layout import plan_layout
from scientistcloud.idx.headers.header import IdxHeader
from scientistcloud.idx.times import read_times, times_of


def test_dates_are_datetimes() -> None:
    found = times_of({"times": ["2000-02-29T22:00:00", "2000-03-01T06:00:00.250000"]}, 2)
    assert found is not None
    assert found.values.dtype == np.dtype("M8[ns]")
    assert str(found.values[1]) == "2000-03-01T06:00:00.250000000"


def test_dates_out_of_reach_of_nanoseconds() -> None:
    found = times_of({"times": ["0001-01-01T00:00:00", "9000-01-01T00:00:00", "unknown"]}, 3)
    assert found is not None
    assert found.values.dtype == np.dtype("M8[us]")
    assert found.values[0] == np.datetime64("0001-01-01")
    assert np.isnat(found.values[2])


def test_dates_of_other_calendars_stay_texts() -> None:
    found = times_of({"times": ["2000-02-30T00:00:00", "2000-03-01T00:00:00"]}, 2)
    assert found is not None
    assert list(found.values) == ["2000-02-30T00:00:00", "2000-03-01T00:00:00"]


def test_zones_become_utc() -> None:
    found = times_of({"times": ["2000-03-01T00:00:00+02:00", "2000-03-01T00:00:00Z"]}, 2)
    assert found is not None
    assert [str(v)[:19] for v in found.values] == ["2000-02-29T22:00:00", "2000-03-01T00:00:00"]


def test_numbers_have_their_unit() -> None:
    found = times_of({"times": [0, 2.5, None], "time_units": "s"}, 3)
    assert found is not None
    assert found.units == "s"
    assert np.array_equal(found.values, [0, 2.5, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    "entry",
    [{}, {"times": []}, {"times": [1.0]}, {"times": "ab"}, {"times": [1, "a"]}, {"times": [{}, 1]}],
)
def test_times_that_do_not_fit_are_none(entry: dict[str, object]) -> None:
    assert times_of(entry, 2) is None


def header(generation: str) -> IdxHeader:
    layout = plan_layout((4, 6), [("data", np.dtype("u1"), 1)], timesteps=2)
    return layout.header(f"./visus/{generation}")


def record(path: Path, generation: str, start: float, name: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = [start, start + 1]
    datasets = [{"name": "", "times": times}, {"name": "side", "times": [t + 50 for t in times]}]
    path.write_text(json.dumps({"generation": generation, "datasets": datasets}))


def test_the_record_of_the_generation_is_taken(tmp_path: Path) -> None:
    record(tmp_path / "metadata.json", "b" * 16, 10)
    record(tmp_path / "visus" / ("a" * 16) / "metadata.json", "a" * 16, 20)
    main, side = tmp_path / "visus.idx", tmp_path / "side" / "visus.idx"
    for path, generation, expected in (
        (main, "a" * 16, 20), (main, "b" * 16, 10), (main, "c" * 16, None),
        (side, "a" * 16, 70), (side, "b" * 16, 60),
    ):  # fmt: skip
        found = read_times(path, header(generation))
        assert (None if found is None else found.values[0]) == expected


def test_a_record_that_is_damaged_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_bytes(b"{")
    plain = replace(header("a" * 16), filename_template="./visus/%04x.bin")
    assert read_times(tmp_path / "visus.idx", plain) is None
    (tmp_path / "metadata.json").write_bytes(b"[1]")
    assert read_times(tmp_path / "visus.idx", plain) is None
