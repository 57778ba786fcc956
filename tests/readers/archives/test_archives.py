"""Every kind of archive gives back the files that its own tool packed."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import inflate64
import numpy as np
import py7zr
import pytest
from backports import zstd

from scientistcloud.errors import (
    CorruptSource,
    SourceEmpty,
    Stopped,
    UnrecognizedFormat,
    UnsafeArchive,
)
from scientistcloud.readers.archives.unpack import UnpackLimits, match, unpack
from scientistcloud.readers.base import Match

NOISE = np.random.default_rng(4).integers(0, 256, 600_000, "u1").tobytes()
FILES = {
    "scan/a.raw": NOISE,
    "scan/b.raw": bytes(2_200_000),
    "scan/deep/c.txt": b"hello",
    "scan/empty.bin": b"",
}


def never() -> bool:
    return False


def unpacked(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def run(tmp_path: Path, *archives: Path, limits: UnpackLimits | None = None) -> Path:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return unpack(archives, scratch, limits or UnpackLimits(), never)


def make_zip(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_tar(path: Path, files: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def zstd_compress(data: bytes) -> bytes:
    # As the command line program does, unlike the library's default.
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


def make_7z(path: Path, files: Mapping[str, bytes], filters: object = None) -> Path:
    with py7zr.SevenZipFile(path, "w", filters=filters) as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return path


def compress_tar(suffix: str, compress: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        plain = make_tar(folder / "plain.tar", FILES)
        path = folder / f"scan.{suffix}"
        path.write_bytes(compress(plain.read_bytes()))
        plain.unlink()
        return path

    return make


MAKERS: dict[str, Callable[[Path], Path]] = {
    "zip": lambda d: make_zip(d / "scan.zip", FILES),
    "zip-stored": lambda d: make_zip(d / "scan.zip", FILES, zipfile.ZIP_STORED),
    "zip-bzip2": lambda d: make_zip(d / "scan.zip", FILES, zipfile.ZIP_BZIP2),
    "zip-lzma": lambda d: make_zip(d / "scan.zip", FILES, zipfile.ZIP_LZMA),
    "7z": lambda d: make_7z(d / "scan.7z", FILES),
    "7z-copy": lambda d: make_7z(d / "scan.7z", FILES, [{"id": py7zr.FILTER_COPY}]),
    "7z-bzip2": lambda d: make_7z(d / "scan.7z", FILES, [{"id": py7zr.FILTER_BZIP2}]),
    "7z-deflate": lambda d: make_7z(d / "scan.7z", FILES, [{"id": py7zr.FILTER_DEFLATE}]),
    "7z-bcj": lambda d: make_7z(
        d / "scan.7z", FILES, [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2, "preset": 1}]
    ),
    "tar-pax": lambda d: make_tar(d / "scan.tar", FILES),
    "tar-gnu": lambda d: make_tar(d / "scan.tar", FILES, tarfile.GNU_FORMAT),
    "tar-ustar": lambda d: make_tar(d / "scan.tar", FILES, tarfile.USTAR_FORMAT),
    "tar.gz": compress_tar("tar.gz", gzip.compress),
    "tgz": compress_tar("tgz", gzip.compress),
    "tar.bz2": compress_tar("tar.bz2", bz2.compress),
    "tar.xz": compress_tar("tar.xz", lzma.compress),
    "tar.zst": compress_tar("tar.zst", zstd_compress),
}


def deflate64(data: bytes) -> bytes:
    deflater = inflate64.Deflater()
    return bytes(deflater.deflate(data) + deflater.flush())


@pytest.mark.parametrize(
    ("method", "compress"), [(9, deflate64), (93, zstd.compress), (95, lzma.compress)]
)
def test_methods_that_zipfile_does_not_know(
    method: int, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    data = NOISE + bytes(3_000_000)
    path = make_zip(tmp_path / "scan.zip", {"a.raw": compress(data)}, zipfile.ZIP_STORED)
    archive = bytearray(path.read_bytes())
    for at, central in ((0, 0), (archive.rindex(b"PK\1\2"), 2)):
        struct.pack_into("<H", archive, at + 8 + central, method)
        struct.pack_into("<L", archive, at + 14 + central, zlib.crc32(data))
        struct.pack_into("<L", archive, at + 22 + central, len(data))
    path.write_bytes(archive)
    assert unpacked(run(tmp_path, path)) == {"a.raw": data}
    struct.pack_into("<L", archive, 14, 0)
    struct.pack_into("<L", archive, archive.rindex(b"PK\1\2") + 16, 0)
    path.write_bytes(archive)
    with pytest.raises(CorruptSource, match=r"scan\.zip/a\.raw"):
        run(tmp_path, path)


@pytest.mark.parametrize("kind", MAKERS)
def test_gives_back_what_was_packed(kind: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path)
    assert match(path, path.read_bytes()[:4096]) is Match.CERTAIN
    folder = run(tmp_path, path)
    assert folder.name == "scan"
    expected = {name.removeprefix("scan/"): data for name, data in FILES.items()}
    assert unpacked(folder) == expected


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstd.compress),
    ],
)
def test_single_compressed_file_loses_only_its_suffix(
    suffix: str, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"brain.nii{suffix}"
    # Two streams one behind the other are one file: bgzip and parallel packers write them.
    path.write_bytes(compress(NOISE) + compress(bytes(2_000_000)))
    assert unpacked(run(tmp_path, path)) == {"brain.nii": NOISE + bytes(2_000_000)}


def test_several_single_files_stay_side_by_side(tmp_path: Path) -> None:
    paths = []
    for i in range(3):
        paths.append(tmp_path / f"slice{i}.tif.gz")
        paths[-1].write_bytes(gzip.compress(bytes([i])))
    folder = run(tmp_path, *paths)
    assert unpacked(folder) == {f"slice{i}.tif": bytes([i]) for i in range(3)}


def test_several_archives_get_a_folder_each(tmp_path: Path) -> None:
    one = make_zip(tmp_path / "one.zip", {"x.raw": b"1"})
    two = make_tar(tmp_path / "two.tar", {"x.raw": b"2"})
    assert unpacked(run(tmp_path, one, two)) == {"one/x.raw": b"1", "two/x.raw": b"2"}


def test_archive_inside_an_archive_is_unpacked_in_place(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "stack.zip", {"1.tif": b"I", "2.tif": b"II"})
    packed = gzip.compress(b"brain")
    files = {"up/stack.zip": inner.read_bytes(), "up/b.nii.gz": packed, "up/README": b"read"}
    folder = run(tmp_path, make_zip(tmp_path / "outer.zip", files))
    assert unpacked(folder) == {
        "stack/1.tif": b"I",
        "stack/2.tif": b"II",
        "b.nii": b"brain",
        "README": b"read",
    }


def test_a_third_level_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "l3.zip", {"1.tif": b"I"})
    for level in ("l2.zip", "l1.zip"):
        path = make_zip(tmp_path / level, {path.name: path.read_bytes()})
    with pytest.raises(UnsafeArchive, match=r"l1\.zip/l2\.zip/l3\.zip"):
        run(tmp_path, path)


def test_leftovers_of_operating_systems_are_ignored(tmp_path: Path) -> None:
    junk = {
        "__MACOSX/data/._a.tif": b"fork",
        "data/.DS_Store": b"x",
        "data/Thumbs.db": b"x",
        "data/._a.tif": b"x",
        "desktop.ini": b"x",
    }
    for path in (
        make_zip(tmp_path / "mac.zip", {**junk, "data/a.tif": b"A"}),
        make_7z(tmp_path / "mac.7z", {**junk, "data/a.tif": b"A"}),
        make_tar(tmp_path / "mac.tar", {**junk, "data/a.tif": b"A"}),
    ):
        folder = run(tmp_path, path)
        assert folder.name == "data"
        assert unpacked(folder) == {"a.tif": b"A"}


def test_zipped_zarr_stays_as_it_is(tmp_path: Path) -> None:
    # A chunk that happens to look like a ZIP archive is still a chunk.
    chunk = make_zip(tmp_path / "x.zip", {"x": b"x"}).read_bytes()
    files = {".zgroup": b"{}", "0/.zarray": b"{}", "0/0.0": chunk, "0/0.1": gzip.compress(b"c")}
    path = make_zip(tmp_path / "image.zarr.zip", files)
    assert unpacked(run(tmp_path, path)) == files


def test_data_of_a_detached_header_stay_compressed(tmp_path: Path) -> None:
    header = b"NRRD0004\ntype: uchar\nencoding: gzip\ndata file: ct.raw.gz\n"
    data = gzip.compress(b"ct")
    assert unpacked(
        run(tmp_path, make_zip(tmp_path / "x.zip", {"ct.nhdr": header, "ct.raw.gz": data}))
    ) == {
        "ct.nhdr": header,
        "ct.raw.gz": data,
    }
    (tmp_path / "ct.nhdr").write_bytes(header)
    assert match(tmp_path / "ct.raw.gz", data) is Match.NO
    assert match(tmp_path / "other.raw.gz", data) is Match.CERTAIN


@pytest.mark.parametrize("name", ["arrays.npz", "report.docx"])
def test_formats_that_are_zip_inside_are_no_archives(name: str, tmp_path: Path) -> None:
    path = make_zip(tmp_path / name, {"a.npy": b"x"})
    assert match(path, path.read_bytes()[:4096]) is Match.NO


def test_name_without_content_is_only_a_possibility(tmp_path: Path) -> None:
    path = tmp_path / "scan.zip"
    path.write_bytes(b"not at all a zip")
    assert match(path, path.read_bytes()) is Match.POSSIBLE
    with pytest.raises(CorruptSource, match=r"scan\.zip"):
        run(tmp_path, path)


def test_file_that_a_browser_decompressed_keeps_its_data(tmp_path: Path) -> None:
    path = tmp_path / "brain.nii.gz"
    path.write_bytes(NOISE)
    assert unpacked(run(tmp_path, path)) == {"brain.nii": NOISE}
    path = tmp_path / "brain.tar.gz"
    path.write_bytes(NOISE)
    with pytest.raises(CorruptSource, match=r"brain\.tar\.gz"):
        run(tmp_path, path)


def test_archive_without_data_is_empty(tmp_path: Path) -> None:
    with pytest.raises(SourceEmpty, match=r"none\.zip"):
        run(tmp_path, make_zip(tmp_path / "none.zip", {"empty.tif": b"", ".DS_Store": b"x"}))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_rar_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "old.rar"
    path.write_bytes(b"Rar!\x1a\x07\x01\x00" + bytes(100))
    with pytest.raises(UnrecognizedFormat, match=r"old\.rar") as caught:
        run(tmp_path, path)
    assert ".zip" in caught.value.remedy


@pytest.mark.parametrize("kind", MAKERS)
def test_truncated_archive_is_damaged(kind: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path)
    whole = path.read_bytes()
    for fraction in (0.2, 0.5, 0.9, 0.99):
        path.write_bytes(whole[: int(len(whole) * fraction)])
        with pytest.raises(CorruptSource, match="scan"):
            run(tmp_path, path)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("kind", [k for k in MAKERS if not k.startswith("tar-")])
def test_flipped_bit_in_the_data_is_damaged(kind: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(CorruptSource, match="scan"):
        run(tmp_path, path)


def test_damaged_tar_header_does_not_shorten_the_archive(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "scan.tar", {"1.tif": b"I", "2.tif": b"II", "3.tif": b"III"})
    data = bytearray(path.read_bytes())
    data[1024] ^= 0xFF  # the second member's name: the sum of its header no longer fits
    path.write_bytes(data)
    with pytest.raises(CorruptSource, match=r"scan\.tar"):
        run(tmp_path, path)


def test_stop_is_heard(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "scan.zip", FILES)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 4

    (tmp_path / "scratch").mkdir()
    with pytest.raises(Stopped):
        unpack([path], tmp_path / "scratch", UnpackLimits(), stop)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("hamamatsu.zip", 3),
        ("made_dicom.7z", 10),
        ("made_leica.tar.gz", 3),
        ("made_nested.zip", 4),
        ("ras_ak_compdcs.zip", 1),
        ("ras_files.zip", 4),
        ("spam_wheat.tiff.zip", 1),
        ("ts_pngs_in_folder.zip", 3),
        ("7z_copy.7z", 2),
    ],
)
def test_samples(name: str, count: int, samples: Path, tmp_path: Path) -> None:
    path = samples / "archive" / name
    files = unpacked(run(tmp_path, path))
    assert len(files) == count
    if name.endswith(".zip") and name != "made_nested.zip":
        with zipfile.ZipFile(path) as archive:
            theirs = [
                hashlib.sha256(archive.read(i)).digest()
                for i in archive.infolist()
                if not i.is_dir()
            ]
        assert sorted(hashlib.sha256(d).digest() for d in files.values()) == sorted(theirs)
