"""SEG-Y as segyio writes and reads it, real files among them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import segyio

from scientistcloud.errors import ConversionError, CorruptSource, UnsupportedLayout
from tests.readers.contract import Case, SourceContract
from tests.readers.opening import error_of, numbers, opened, whole

SAMPLES = Path(__file__).parents[4] / "shared/formats/sgy"
"""segyio's test data (equinor/segyio, test-data)."""


def save(
    path: Path, values: np.ndarray, code: int, *, sorting: int = 2, endian: str = "big"
) -> None:
    """A cube of (inlines, crosslines, samples); sorting 1 has the inlines run fastest."""
    spec = segyio.spec()
    spec.format, spec.sorting, spec.endian = code, sorting, endian
    spec.samples = np.arange(values.shape[2]) * 4.0
    spec.ilines = np.arange(values.shape[0]) * 2 + 10
    spec.xlines = np.arange(values.shape[1]) + 100
    with segyio.create(str(path), spec) as file:
        file.text[0] = segyio.tools.create_text_header({1: "survey of nowhere"})
        file.bin.update(hdt=4000, hns=values.shape[2])
        order = [(i, x) for i in range(values.shape[0]) for x in range(values.shape[1])]
        if sorting == 1:
            order.sort(key=lambda p: p[::-1])
        for n, (i, x) in enumerate(order):
            file.header[n] = {
                segyio.su.iline: int(spec.ilines[i]), segyio.su.xline: int(spec.xlines[x]),
                segyio.su.delrt: 8, segyio.su.scalco: -10, segyio.su.cdpx: 1000 + n,
            }  # fmt: skip
            file.trace[n] = values[i, x]


def cube(code: int, dtype: str, **options: object) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = numbers((5, 6, 20), dtype)
        save(folder / "a.sgy", values, code, **options)  # type: ignore[arg-type]
        endian = str(options.get("endian", "big"))
        with segyio.open(str(folder / "a.sgy"), endian=endian) as file:
            theirs = segyio.tools.cube(file)
        if options.get("sorting") == 1:  # the slower lines come first, there as here
            values = values.transpose(1, 0, 2)
        assert code == 1 or np.array_equal(theirs, values)
        return Case(folder, {"data": np.ascontiguousarray(theirs, dtype)})

    return make


def make_line(folder: Path) -> Case:
    values = numbers((1, 30, 20), "f4")
    save(folder / "a.segy", values, 5)
    return Case(folder, {"data": values[0]})


CASES: dict[str, Callable[[Path], Case]] = {
    "IBM": cube(1, "f4"),
    "i4": cube(2, "i4"),
    "i2": cube(3, "i2"),
    "f4": cube(5, "f4"),
    "i1": cube(8, "i1"),
    "little-endian": cube(5, "f4", endian="little"),
    "crosslines first": cube(5, "f4", sorting=1),
    "line": make_line,
}


class TestSegy(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def real(name: str) -> Path:
    if not (SAMPLES / name).exists():
        pytest.skip("the sample is not here")
    return SAMPLES / name


@pytest.mark.parametrize(
    ("name", "dtype", "endian"),
    [
        ("small.sgy", "f4", "big"),
        ("left-small.sgy", "f4", "big"),
        ("f3.sgy", "i2", "big"),
        ("Format2msb.sgy", "i4", "big"),
        ("Format5lsb.sgy", "f4", "little"),
    ],
)
def test_real_surveys_are_what_segyio_reads(name: str, dtype: str, endian: str) -> None:
    path = real(name)
    with segyio.open(str(path), endian=endian, strict=False) as file:
        traces = file.trace.raw[:]
        lines = {tuple(file.attributes(b)[:]) for b in (189, 193)}
        interval = file.bin[segyio.BinField.Interval]
    with opened(path) as source:
        dataset = source.spec.datasets[0]
        values = whole(source)
        assert values.dtype == np.dtype(dtype)
        assert len(dataset.shape) == 3
        assert np.array_equal(values.reshape(traces.shape), traces)
        assert {len(set(line)) for line in lines} == set(dataset.shape[:2])
        assert (dataset.axes[2].spacing, dataset.axes[2].units) == (interval / 1000, "ms")


def test_lines_times_and_places_are_kept(tmp_path: Path) -> None:
    CASES["f4"](tmp_path)
    with opened(tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert [(a.name, a.spacing, a.origin, a.units) for a in dataset.axes] == [
            ("inline", 2.0, 10.0, None),
            ("crossline", 1.0, 100.0, None),
            ("twt", 4.0, 8.0, "ms"),
        ]
        assert "survey of nowhere" in dataset.metadata["description"]
        assert dataset.metadata["last_trace"]["x"] == pytest.approx(102.9)


def test_a_grid_with_a_gap_is_refused(tmp_path: Path) -> None:
    CASES["f4"](tmp_path)
    data = (tmp_path / "a.sgy").read_bytes()
    trace = 240 + 20 * 4
    at = 3600 + 7 * trace
    (tmp_path / "a.sgy").write_bytes(data[:at] + data[at + trace :])
    error = error_of(tmp_path)
    assert isinstance(error, UnsupportedLayout)
    assert "grid" in error.message


@pytest.mark.parametrize("keep", [100, 3600, 3700, -1])
def test_a_file_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    CASES["f4"](tmp_path)
    (tmp_path / "a.sgy").write_bytes((tmp_path / "a.sgy").read_bytes()[:keep])
    assert isinstance(error_of(tmp_path), CorruptSource)


def test_a_file_of_text_alone_is_refused() -> None:
    assert isinstance(error_of(real("text.sgy")), ConversionError)


def test_traces_of_unlike_length_are_refused(tmp_path: Path) -> None:
    CASES["f4"](tmp_path)
    data = bytearray((tmp_path / "a.sgy").read_bytes())
    data[3600 + 114 : 3600 + 116] = (19).to_bytes(2, "big")
    (tmp_path / "a.sgy").write_bytes(data)
    assert isinstance(error_of(tmp_path), UnsupportedLayout)
