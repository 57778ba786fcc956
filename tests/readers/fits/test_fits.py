"""FITS files as astropy writes them, compared with what astropy reads of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from scientistcloud.errors import CorruptSource, MissingLibrary, UnsupportedLayout
from tests.readers.contract import Case, SourceContract
from tests.readers.opening import error_of, numbers, opened, whole


def native(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def save(path: Path, values: np.ndarray, **cards: Any) -> None:
    fits.PrimaryHDU(values, fits.Header(cards)).writeto(path)


def plain(dtype: str) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = numbers((5, 9, 13), dtype)
        save(folder / "a.fits", values)
        with fits.open(folder / "a.fits") as file:
            assert native(file[0].data).dtype == values.dtype
        return Case(folder, {"data": values})

    return make


def make_scaled(folder: Path) -> Case:
    stored = numbers((9, 13), "i2")
    hdu = fits.PrimaryHDU(stored)
    hdu.writeto(folder / "a.fits")
    with fits.open(folder / "a.fits", "update", do_not_scale_image_data=True) as file:
        file[0].header.update(BSCALE=0.25, BZERO=7.5, BLANK=int(stored[3, 4]))
    with fits.open(folder / "a.fits") as file:
        values = native(file[0].data)
    assert np.isnan(values[3, 4])
    return Case(folder, {"data": values.astype("f4")})


def make_fields(folder: Path) -> Case:
    science, quality = numbers((9, 13), "f4"), numbers((9, 13), "i4")
    units = [
        fits.PrimaryHDU(),
        fits.ImageHDU(science, name="SCI"),
        fits.ImageHDU(quality, name="DQ"),
        fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(9))]),
    ]
    fits.HDUList(units).writeto(folder / "a.fits")
    return Case(folder, {"SCI": science, "DQ": quality})


def make_time(folder: Path) -> Case:
    values = numbers((4, 5, 6, 7), "f4")
    save(folder / "a.fits", values, CTYPE4="TIME", CRPIX4=1.0, CRVAL4=10.0, CDELT4=2.0, CUNIT4="s")
    return Case(folder, {"data": values})


def make_stokes(folder: Path) -> Case:
    values = numbers((3, 5, 6, 7), "f4")
    save(folder / "a.fits", values, CTYPE4="STOKES")
    return Case(folder, {"data": np.ascontiguousarray(np.moveaxis(values, 0, -1))})


def make_stack(folder: Path) -> Case:
    values = numbers((4, 9, 13), "u2")
    for i, each in enumerate(values):
        save(folder / f"image_{i:03d}.fits", each)
    return Case(folder, {"data": values})


def tiled(method: str, dtype: str, **options: Any) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = numbers((5, 40, 50), "i2" if method == "HCOMPRESS_1" else dtype)
        values = (values.astype("f8") % 1000).astype(dtype) if dtype[0] != "f" else values
        hdu = fits.CompImageHDU(values, compression_type=method, **options)
        hdu.writeto(folder / "a.fits")
        with fits.open(folder / "a.fits") as file:
            return Case(folder, {"data": native(file[1].data)})

    return make


CASES: dict[str, Callable[[Path], Case]] = {
    **{d: plain(d) for d in ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")},
    "scaled": make_scaled,
    "fields": make_fields,
    "time": make_time,
    "stokes": make_stokes,
    "stack": make_stack,
    "rice": tiled("RICE_1", "i2", tile_shape=(2, 16, 50)),
    "rice unsigned": tiled("RICE_1", "u2"),
    "rice float": tiled("RICE_1", "f4", tile_shape=(1, 40, 50), quantize_level=4),
    "gzip": tiled("GZIP_2", "i4", tile_shape=(5, 8, 8)),
    "gzip float": tiled("GZIP_1", "f8", tile_shape=(5, 8, 8), quantize_level=0),
    "hcompress": tiled("HCOMPRESS_1", "i4", tile_shape=(1, 40, 50)),
}


class TestFits(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def test_axes_lie_where_the_world_coordinates_say(tmp_path: Path) -> None:
    cards = {
        "CTYPE1": "RA---TAN", "CRPIX1": 7.0, "CRVAL1": 83.6, "CDELT1": -0.001,
        "CTYPE2": "DEC--TAN", "CRPIX2": 5.0, "CRVAL2": 22.0, "CDELT2": 0.001,
        "CTYPE3": "FREQ", "CRPIX3": 2.0, "CRVAL3": 1.4e9, "CDELT3": 1e6, "CUNIT3": "Hz",
        "BUNIT": "Jy/beam", "OBJECT": "Crab", "HISTORY": "cleaned",
    }  # fmt: skip
    save(tmp_path / "cube.fits", numbers((4, 9, 13), "f4"), **cards)
    with opened(tmp_path) as source:
        dataset = source.spec.datasets[0]
        freq, dec, ra = dataset.axes
        assert (freq.name, freq.spacing, freq.origin, freq.units) == ("freq", 1e6, 1.399e9, "Hz")
        assert (dec.name, dec.spacing, dec.origin, dec.units) == ("dec", 0.001, None, "deg")
        assert (ra.name, ra.spacing, ra.origin) == ("ra", -0.001, None)
        assert dataset.fields[0].units == "Jy/beam"
        assert source.spec.metadata["header"]["OBJECT"] == "Crab"
        assert "cleaned" in source.spec.metadata["header"]["COMMENT"]


def test_times_are_those_of_the_axis(tmp_path: Path) -> None:
    make_time(tmp_path)
    with opened(tmp_path) as source:
        assert source.spec.datasets[0].times == (10.0, 12.0, 14.0, 16.0)


def test_blank_of_whole_numbers_is_the_fill_value(tmp_path: Path) -> None:
    save(tmp_path / "a.fits", numbers((9, 13), "i2"), BLANK=-999)
    with opened(tmp_path) as source:
        assert source.spec.datasets[0].fields[0].fill_value == -999


def test_images_of_unlike_size_are_datasets(tmp_path: Path) -> None:
    large, small = numbers((30, 40), "f4"), numbers((9, 13), "f4")
    units = [fits.PrimaryHDU(), fits.ImageHDU(small, name="B"), fits.ImageHDU(large, name="A")]
    fits.HDUList(units).writeto(tmp_path / "a.fits")
    with opened(tmp_path) as source:
        assert [d.shape for d in source.spec.datasets] == [(30, 40), (9, 13)]
        assert np.array_equal(whole(source, 1), small)


def test_tables_are_no_image(tmp_path: Path) -> None:
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(9))])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "a.fits")
    error = error_of(tmp_path)
    assert isinstance(error, UnsupportedLayout)
    assert "tables" in str(error)


@pytest.mark.parametrize("case", ["i2", "rice", "fields"])
def test_a_file_cut_short_is_refused(tmp_path: Path, case: str) -> None:
    CASES[case](tmp_path)
    data = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "a.fits").write_bytes(data[: len(data) - 4000])
    assert isinstance(error_of(tmp_path), CorruptSource)


@pytest.mark.parametrize(
    "card",
    [b"NAXIS1  =                   -4", b"NAXIS1  =         999999999999", b"NAXIS1  =  T"],
)
def test_impossible_lengths_are_refused(tmp_path: Path, card: bytes) -> None:
    save(tmp_path / "a.fits", numbers((9, 13), "i2"))
    data = (tmp_path / "a.fits").read_bytes()
    at = data.index(b"NAXIS1  =")
    (tmp_path / "a.fits").write_bytes(data[:at] + card.ljust(80) + data[at + 80 :])
    assert isinstance(error_of(tmp_path), CorruptSource)


def test_a_missing_library_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CASES["rice"](tmp_path)
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name.startswith("astropy"):
            raise ModuleNotFoundError(name=name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    error = error_of(tmp_path)
    assert isinstance(error, MissingLibrary)
    assert "scientistcloud[synchrotron]" in error.remedy
