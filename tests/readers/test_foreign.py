"""Files that are taken for what they are not, and formats that are refused by name."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from scientistcloud.readers.files.foreign_formats import foreign_format
from tests.readers.opening import error_of, opened, whole

INDEXES = {
    "wgrib": b"1:0:d=2020010100:TMP:2 m above ground:anl:\n",
    "cfgrib": b"\x80\x04\x95\x10 not an IDX header",
    "adios": b"ADIOS-BP v2.9.0 Index Table",
    "mnist": b"\0\0\x08\x03\0\0\0\x01",
    "words": b"version 6 of something",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


class TestIndexes:
    """``.idx`` is what many call their indexes."""

    @pytest.mark.parametrize("index", INDEXES.values(), ids=list(INDEXES))
    @pytest.mark.parametrize("format_name", ["h5", "tif", "raw"])
    def test_never_make_an_upload_unreadable(
        self, root: Path, index: bytes, format_name: str
    ) -> None:
        values = np.arange(600, dtype="u2").reshape(20, 30)
        parameters = {"dims": "30x20", "dtype": "uint16"} if format_name == "raw" else {}
        if format_name == "h5":
            with h5py.File(root / "a.h5", "w") as file:
                file["a"] = values
        elif format_name == "tif":
            tifffile.imwrite(root / "a.tif", values)
        else:
            (root / "a.raw").write_bytes(values.tobytes())
        (root / f"a.{format_name}.idx").write_bytes(index)
        with opened(root, parameters) as source:
            assert (whole(source) == values).all()
            assert any(f"a.{format_name}.idx" in note for note in source.spec.notes)

    def test_alone_is_no_format(self, root: Path) -> None:
        (root / "a.idx").write_bytes(INDEXES["wgrib"])
        assert error_of(root).code == "UnrecognizedFormat"

    def test_damaged_header_is_still_an_idx(self, root: Path) -> None:
        (root / "a.idx").write_bytes(b"rsion)\n6\n(box)\n0 9 0 9\n(fields)\nDATA uint8\n")
        assert error_of(root).code == "CorruptSource"


FOREIGN = {
    "a.bufr": (b"BUFR\0\0\0\4", "BUFR"),
    "a.img": (b"EHFA_HEADER_TAG\0", "ERDAS"),
    "a.mat": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "MATLAB 5"),
    "a.czi": (b"ZISRAWFILE\0", "CZI"),
    "a.vtk": (b"# vtk DataFile Version 3.0\n", "VTK"),
    "a.bin": (b"LASF\0\0", "LAS"),
    "md.0": (b"ADIOS-BP v2.9", "ADIOS2"),
}


class TestForeign:
    @pytest.mark.parametrize("name", FOREIGN)
    def test_is_refused_by_name(self, root: Path, name: str) -> None:
        content, called = FOREIGN[name]
        (root / name).write_bytes(content.ljust(600, b"\1"))
        error = error_of(root)
        assert error.code == "UnrecognizedFormat"
        assert called in error.message
        assert error.remedy

    def test_beside_data_is_noted(self, root: Path) -> None:
        values = np.arange(600, dtype="u2").reshape(20, 30)
        tifffile.imwrite(root / "a.tif", values)
        (root / "b.bufr").write_bytes(b"BUFR\0\0\0\4")
        with opened(root) as source:
            assert (whole(source) == values).all()
            assert any("b.bufr" in note for note in source.spec.notes)

    def test_raw_data_may_begin_like_anything(self, root: Path) -> None:
        """Who says ``format=raw`` and the size knows what it is."""
        content = b"GRIB".ljust(600, b"\7")
        (root / "a.raw").write_bytes(content)
        told = {"format": "raw", "dims": "30x20", "dtype": "uint8"}
        with opened(root, told) as source:
            assert whole(source).tobytes() == content

    @pytest.mark.parametrize("name", ["a.tif", "a.dat", "a.png"])
    def test_short_marks_need_their_suffix(self, name: str) -> None:
        assert foreign_format(name, b"BM and more") is None


def test_what_a_header_names_is_not_unread(root: Path) -> None:
    values = np.arange(600, dtype="<u2").reshape(20, 30)
    (root / "a.dat").write_bytes(values.tobytes())
    (root / "b.dat").write_bytes(b"something else")
    (root / "a.nhdr").write_text(
        "NRRD0004\ntype: ushort\ndimension: 2\nsizes: 30 20\nencoding: raw\nendian: little\n"
        "data file: a.dat\n"
    )
    with opened(root) as source:
        assert (whole(source) == values).all()
        told = " ".join(source.spec.notes)
        assert "b.dat" in told
        assert "a.dat" not in told
