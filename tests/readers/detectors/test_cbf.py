"""CBF images as fabio writes them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabio.cbfimage import CbfImage

from scientistcloud.errors import ConversionError, CorruptSource, MissingLibrary
from tests.readers.contract import Case, SourceContract
from tests.readers.opening import error_of, numbers, opened, whole


def save(path: Path, values: np.ndarray) -> None:
    header = {
        "_array_data.header_contents": "# Pixel_size 172e-6 m x 172e-6 m\r\n# Exposure_time 0.1 s"
    }
    CbfImage(values, header).write(str(path))


def make_image(folder: Path) -> Case:
    values = numbers((40, 60), "i4") >> 12
    save(folder / "a.cbf", values)
    return Case(folder, {"data": values})


def make_small(folder: Path) -> Case:
    values = numbers((40, 60), "i4") % 100 - 1
    save(folder / "a.cbf", values.astype("i4"))
    return Case(folder, {"data": values.astype("i4")})


def make_series(folder: Path) -> Case:
    values = (numbers((4, 9, 13), "i4") >> 8).astype("i4")
    for i, each in enumerate(values):
        save(folder / f"scan_{i:05d}.cbf", each)
    return Case(folder, {"data": values})


CASES: dict[str, Callable[[Path], Case]] = {
    "image": make_image,
    "small": make_small,
    "series": make_series,
}


class TestCbf(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def test_pixels_and_header_are_kept(tmp_path: Path) -> None:
    make_image(tmp_path)
    with opened(tmp_path) as source:
        axes = source.spec.datasets[0].axes
        assert [(a.name, a.spacing, a.units) for a in axes] == [
            ("y", 172e-6, "m"),
            ("x", 172e-6, "m"),
        ]
        assert "Exposure_time 0.1 s" in source.spec.metadata["header"]


def test_a_damaged_image_is_told_from_its_checksum(tmp_path: Path) -> None:
    make_small(tmp_path)
    data = bytearray((tmp_path / "a.cbf").read_bytes())
    data[data.index(b"\x0c\x1a\x04\xd5") + 100] ^= 1
    (tmp_path / "a.cbf").write_bytes(data)
    with opened(tmp_path) as source, pytest.raises(CorruptSource, match="checksum"):
        whole(source)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Fastest-Dimension: 60", b"Fastest-Dimension: 0"),
        (b"Fastest-Dimension: 60", b"Fastest-Dimension: 999999999"),
        (b"Second-Dimension: 40", b"Second-Dimension: -4"),
        (b"x-CBF_BYTE_OFFSET", b"x-CBF_CANONICALLL"),
        (b"signed 32-bit integer", b"complex"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    make_small(tmp_path)
    data = (tmp_path / "a.cbf").read_bytes()
    assert old in data
    (tmp_path / "a.cbf").write_bytes(data.replace(old, new))
    assert isinstance(error_of(tmp_path), ConversionError)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    make_small(tmp_path)
    data = (tmp_path / "a.cbf").read_bytes()
    (tmp_path / "a.cbf").write_bytes(data[: len(data) // 2])
    assert isinstance(error_of(tmp_path), CorruptSource)


def test_a_missing_library_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(tmp_path)
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name.startswith("fabio"):
            raise ModuleNotFoundError(name=name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    error = error_of(tmp_path)
    assert isinstance(error, MissingLibrary)
    assert "scientistcloud[synchrotron]" in error.remedy


@pytest.mark.parametrize("filling", [b" ", b"\n", b"a:", b"# Pixel_size "])
def test_a_header_of_nothing_but_filling_is_refused(tmp_path: Path, filling: bytes) -> None:
    """Patterns that try every blank again would not come to an end."""
    content = b"###CBF: x\n" + filling * (900_000 // len(filling)) + b"\x0c\x1a\x04\xd5" + bytes(9)
    (tmp_path / "a.cbf").write_bytes(content)
    assert isinstance(error_of(tmp_path), ConversionError)
