"""ENVI rasters as Spectral Python writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spectral.io import envi

from scientistcloud.errors import ConversionError, CorruptSource, MissingMember, UnsupportedDtype
from tests.readers.contract import Case, SourceContract
from tests.readers.opening import error_of, numbers, opened


def save(path: Path, values: np.ndarray, **options: Any) -> None:
    """Write `values` (lines, samples, bands)."""
    envi.save_image(
        str(path), values, force=True, **{"dtype": values.dtype, "ext": ".img", **options}
    )
    assert np.array_equal(np.asarray(envi.open(str(path)).load(dtype=values.dtype)), values)


def cube(interleave: str, dtype: str = "i2", **options: Any) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = numbers((9, 13, 6), dtype)
        save(
            folder / "a.hdr", values, interleave=interleave,
            metadata={"wavelength": [400 + 10 * i for i in range(6)], "wavelength units": "nm"},
            **options,
        )  # fmt: skip
        return Case(folder, {"data": np.ascontiguousarray(values.transpose(2, 0, 1))})

    return make


def fields(interleave: str) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = numbers((9, 13, 3), "f4")
        save(
            folder / "a.hdr",
            values,
            interleave=interleave,
            metadata={"band names": ["r", "g", "n"]},
        )
        return Case(folder, {n: np.ascontiguousarray(values[..., i]) for i, n in enumerate("rgn")})

    return make


def make_one_band(folder: Path) -> Case:
    values = numbers((9, 13, 1), "u1")
    save(folder / "a.hdr", values, ext="")
    return Case(folder, {"data": values[..., 0].copy()})


def make_offset(folder: Path) -> Case:
    case = fields("bsq")(folder)
    data = (folder / "a.img").read_bytes()
    (folder / "a.img").write_bytes(b"x" * 100 + data)
    header = (folder / "a.hdr").read_text()
    (folder / "a.hdr").write_text(header.replace("header offset = 0", "header offset = 100"))
    return case


CASES: dict[str, Callable[[Path], Case]] = {
    **{i: cube(i) for i in ("bsq", "bil", "bip")},
    **{d: cube("bil", d) for d in ("u1", "u2", "i4", "u4", "i8", "u8", "f4", "f8")},
    "big-endian": cube("bip", byteorder=1),
    **{f"fields {i}": fields(i) for i in ("bsq", "bil", "bip")},
    "one band": make_one_band,
    "offset": make_offset,
}


class TestEnvi(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def test_place_and_wavelengths_are_kept(tmp_path: Path) -> None:
    info = ["UTM", 1, 1, 500000, 4600000, 30, 20, 17, "North", "WGS-84", "units=Meters"]
    save(
        tmp_path / "a.hdr", numbers((9, 13, 6), "i2"),
        metadata={
            "wavelength": [400 + 10 * i for i in range(6)], "wavelength units": "nm",
            "map info": info, "data ignore value": -99,
        },
    )  # fmt: skip
    with opened(tmp_path) as source:
        dataset = source.spec.datasets[0]
        band, y, x = dataset.axes
        assert (band.name, band.spacing, band.origin, band.units) == ("wavelength", 10, 400, "nm")
        assert (y.spacing, y.origin, y.units) == (-20, 4600000 - 10, "m")
        assert (x.spacing, x.origin, x.units) == (30, 500000 + 15, "m")
        assert dataset.fields[0].fill_value == -99
        assert [p.name for p in source.spec.inputs] == ["a.hdr", "a.img"]
        assert "UTM" in source.spec.metadata["header"]["map info"]


def test_samples_that_were_not_uploaded_are_missed(tmp_path: Path) -> None:
    cube("bsq")(tmp_path)
    (tmp_path / "a.img").unlink()
    assert isinstance(error_of(tmp_path), MissingMember)


def test_a_link_out_of_the_upload_is_not_followed(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.mkdir()
    cube("bsq")(upload)
    (upload / "a.img").rename(tmp_path / "a.img")
    (upload / "a.img").symlink_to(tmp_path / "a.img")
    assert isinstance(error_of(upload), ConversionError)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    cube("bip")(tmp_path)
    (tmp_path / "a.img").write_bytes((tmp_path / "a.img").read_bytes()[:-1])
    assert isinstance(error_of(tmp_path), CorruptSource)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("samples = 13", "samples = -13", CorruptSource),
        ("samples = 13", "samples = 0", CorruptSource),
        ("lines = 9", "lines = 999999999999", CorruptSource),
        ("data type = 2", "data type = 6", UnsupportedDtype),
        ("data type = 2", "data type = 77", UnsupportedDtype),
        ("byte order = 0", "byte order = 7", CorruptSource),
        ("interleave = bsq", "interleave = xyz", ConversionError),
        ("bands = 6", "bands = 600", CorruptSource),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, old: str, new: str, kind: type[ConversionError]
) -> None:
    cube("bsq")(tmp_path)
    header = (tmp_path / "a.hdr").read_text()
    assert old in header
    (tmp_path / "a.hdr").write_text(header.replace(old, new))
    assert isinstance(error_of(tmp_path), kind)


@pytest.mark.parametrize("filling", [" ", "\n", "a = ", "{", "a = {\n"])
def test_a_header_of_nothing_but_filling_is_refused(tmp_path: Path, filling: str) -> None:
    """Patterns that try every blank again would not come to an end."""
    (tmp_path / "a.hdr").write_text("ENVI\n" + filling * (2_000_000 // len(filling)))
    (tmp_path / "a.img").write_bytes(bytes(100))
    assert isinstance(error_of(tmp_path), CorruptSource)
