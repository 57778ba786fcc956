"""EDF and ADSC images as fabio writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fabio
import numpy as np
import pytest
from fabio.adscimage import AdscImage
from fabio.edfimage import EdfImage

from scientistcloud.errors import ConversionError, CorruptSource, UnsupportedLayout
from tests.readers.contract import Case, SourceContract
from tests.readers.opening import error_of, numbers, opened


def save(path: Path, frames: list[np.ndarray], **header: Any) -> None:
    image = EdfImage(frames[0], header | {"frame": 0})
    for i, frame in enumerate(frames[1:], 1):
        image.append_frame(data=frame, header=header | {"frame": i})
    image.write(str(path))
    with fabio.open(str(path)) as file:
        assert file.nframes == len(frames)
        assert np.array_equal(file.get_frame(len(frames) - 1).data, frames[-1])


def plain(dtype: str) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = numbers((9, 13), dtype)
        save(folder / "a.edf", [values])
        return Case(folder, {"data": values})

    return make


def make_frames(folder: Path) -> Case:
    values = numbers((5, 9, 13), "u2")
    save(folder / "a.edf", list(values))
    return Case(folder, {"data": values})


def make_uneven(folder: Path) -> Case:
    values = numbers((4, 9, 13), "f4")
    parts = []
    for i, frame in enumerate(values):
        save(folder / "one.edf", [frame], note="x" * 700 * i)
        parts.append((folder / "one.edf").read_bytes())
    (folder / "one.edf").unlink()
    (folder / "a.edf").write_bytes(b"".join(parts))
    return Case(folder, {"data": values})


def make_series(folder: Path) -> Case:
    values = numbers((4, 9, 13), "i4")
    for i, frame in enumerate(values):
        save(folder / f"scan_{i:04d}.edf", [frame])
    return Case(folder, {"data": values})


def make_big_endian(folder: Path) -> Case:
    values = numbers((9, 13), "f4")
    head = "{\nHeaderID = EH:000001:000000:000000 ;\nByteOrder = HighByteFirst ;\n"
    head += "DataType = FloatValue ;\nDim_1 = 13 ;\nDim_2 = 9 ;\nSize = 468 ;\n"
    (folder / "a.edf").write_bytes(
        head.encode().ljust(510) + b"}\n" + values.astype(">f4").tobytes()
    )
    with fabio.open(str(folder / "a.edf")) as file:
        assert np.array_equal(file.data, values)
    return Case(folder, {"data": values})


def make_adsc(folder: Path) -> Case:
    values = numbers((9, 13), "u2")
    AdscImage(values, {"PIXEL_SIZE": "0.0816", "PHI": "12.5"}).write(str(folder / "a.img"))
    return Case(folder, {"data": values})


CASES: dict[str, Callable[[Path], Case]] = {
    **{d: plain(d) for d in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")},
    "frames": make_frames,
    "uneven": make_uneven,
    "series": make_series,
    "big-endian": make_big_endian,
    "adsc": make_adsc,
}


class TestEdf(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def test_pixels_and_motors_are_kept(tmp_path: Path) -> None:
    header = {"PSize_1": "5e-05", "PSize_2": "6e-05", "motor_pos": "1.5 2.5"}
    save(tmp_path / "a.edf", list(numbers((3, 9, 13), "u2")), **header)
    with opened(tmp_path) as source:
        axes = source.spec.datasets[0].axes
        assert [(a.name, a.spacing, a.units) for a in axes] == [
            ("frame", None, None),
            ("y", 6e-05, "m"),
            ("x", 5e-05, "m"),
        ]
        assert source.spec.metadata["header"]["motor_pos"] == "1.5 2.5"
        assert source.spec.metadata["frames"]["frame"] == ["0", "1", "2"]


def test_adsc_tells_millimetres(tmp_path: Path) -> None:
    make_adsc(tmp_path)
    with opened(tmp_path) as source:
        assert {(a.spacing, a.units) for a in source.spec.datasets[0].axes} == {(0.0816, "mm")}


def test_frames_of_unlike_size_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.edf", [numbers((9, 13), "u2"), numbers((8, 13), "u2")])
    assert isinstance(error_of(tmp_path), UnsupportedLayout)


@pytest.mark.parametrize("case", ["i2", "frames", "uneven", "adsc"])
def test_a_file_cut_short_is_refused(tmp_path: Path, case: str) -> None:
    CASES[case](tmp_path)
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    assert isinstance(error_of(tmp_path), CorruptSource)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Dim_1 = 13", b"Dim_1 = -3"),
        (b"Dim_1 = 13", b"Dim_1 = 1e"),
        (b"Dim_1 = 13 ;", b"Dim_1 = 999999999 ;"),
        (b"Dim_1 = 13 ;", b"Dim_1 = 0 ;"),
        (b"SignedShort", b"Complexxxxx"),
        (b"}\n", b"]\n"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    save(tmp_path / "a.edf", [numbers((9, 13), "i2")])
    data = (tmp_path / "a.edf").read_bytes()
    assert old in data
    (tmp_path / "a.edf").write_bytes(data.replace(old, new, 1))
    assert isinstance(error_of(tmp_path), ConversionError)


@pytest.mark.parametrize("filling", [b" ", b"\n", b"a = ", b";"])
def test_a_header_of_nothing_but_filling_is_refused(tmp_path: Path, filling: bytes) -> None:
    """Patterns that try every blank again would not come to an end."""
    (tmp_path / "a.edf").write_bytes(b"{\nEDF_" + filling * (900_000 // len(filling)) + b"}\n")
    assert isinstance(error_of(tmp_path), ConversionError)
