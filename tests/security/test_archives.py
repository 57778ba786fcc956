"""Hostile archives: nothing outside the scratch folder changes, and limits hold."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import random
import re
import resource
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import py7zr
import pytest

from scientistcloud.errors import ConversionError, CorruptSource, OutOfSpace, UnsafeArchive
from scientistcloud.readers.archives.unpack import UnpackLimits, unpack

SMALL = UnpackLimits(total_bytes=50 << 20, members=100, ratio=200, ratio_floor_bytes=10 << 20)


@pytest.fixture
def prison(tmp_path: Path) -> Iterator[Path]:
    """A scratch folder beside a file that no archive may reach or replace."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "scratch").mkdir()
    yield tmp_path
    assert (tmp_path / "secret.txt").read_text() == "secret"
    left = {p.name for p in tmp_path.iterdir()} - {"secret.txt", "scratch"}
    assert all(name.startswith("evil") for name in left)


def unpack_in(prison: Path, path: Path, limits: UnpackLimits = SMALL) -> Path:
    return unpack([path], prison / "scratch", limits, lambda: False)


def refused(prison: Path, path: Path, limits: UnpackLimits = SMALL) -> str:
    with pytest.raises(UnsafeArchive) as caught:
        unpack_in(prison, path, limits)
    assert list((prison / "scratch").iterdir()) == []
    assert path.name in caught.value.message
    assert caught.value.message.isprintable()
    return caught.value.message


def zip_of(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"evil")
    return path


def tar_of(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 4
            archive.addfile(info, io.BytesIO(b"evil"))
    return path


BAD_NAMES = [
    "../secret.txt",
    "a/../../secret.txt",
    "/etc/evil",
    "//server/evil",
    "..\\secret.txt",
    "a\\..\\..\\secret.txt",
    "C:\\evil.txt",
    "c:evil.txt",
    "..",
    "a/.. /b",
    "x\ny.tif",
    "x\x1b[2Jy.tif",
    "gpj.\u202eexe.tif",
    "n" * 300 + ".tif",
    "\u00e4" * 128,
    "d/" * 70 + "x",
]


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_dangerous_names(name: str, make: Callable[..., Path], prison: Path) -> None:
    message = refused(prison, make(prison / "evil", name))
    assert re.search(r"an absolute name|climbs out|control characters|too long", message)


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/evil", "a/../../secret.txt"])
def test_dangerous_names_in_7z(name: str, prison: Path) -> None:
    path = prison / "evil.7z"
    stand_in = "q" * len(name)
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.set_encoded_header_mode(False)
        archive.writestr(b"evil", stand_in)
    data = path.read_bytes().replace(stand_in.encode("utf-16le"), name.encode("utf-16le"))
    path.write_bytes(with_7z_checksums(data))
    assert re.search(r"an absolute name|climbs out", refused(prison, path))


def with_7z_checksums(data: bytes) -> bytes:
    offset, size = struct.unpack_from("<QQ", data, 12)
    header = data[32 + offset : 32 + offset + size]
    start = struct.pack("<QQL", offset, size, zlib.crc32(header))
    return data[:8] + struct.pack("<L", zlib.crc32(start)) + start + data[32:]


def test_nul_in_a_name(prison: Path) -> None:
    path = zip_of(prison / "evil.zip", "aQb.tif")
    path.write_bytes(path.read_bytes().replace(b"aQb.tif", b"a\0b.tif"))
    assert "control characters" in refused(prison, path)


@pytest.mark.parametrize(
    "names",
    [
        ("a.tif", "a.tif"),
        ("a.tif", "A.TIF"),
        ("\u00e9.tif", "e\u0301.tif"),
        ("a.tif", "./a.tif"),
        ("a.tif", "b//../a.tif"),
        ("a", "a/b"),
        ("a/b", "a"),
    ],
)
@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_collide(
    names: tuple[str, ...], make: Callable[..., Path], prison: Path
) -> None:
    refused(prison, make(prison / "evil", *names))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret.txt", "inside.txt"])
def test_links_and_devices_in_tar(kind: bytes, target: str, prison: Path) -> None:
    path = tar_of(prison / "evil.tar", "inside.txt")
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("link.tif")
        info.type, info.linkname = kind, target
        archive.addfile(info)
        info = tarfile.TarInfo("link.tif/x")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    assert "link" in refused(prison, path)


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_zip(mode: int, prison: Path) -> None:
    path = prison / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("data.tif")
        info.create_system, info.external_attr = 3, (mode | 0o777) << 16
        archive.writestr(info, "../../secret.txt")
    refused(prison, path)


def test_symlink_in_7z(prison: Path) -> None:
    folder = prison / "evil"
    folder.mkdir()
    (folder / "data.tif").symlink_to("../secret.txt")
    path = prison / "evil.7z"
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.write(folder / "data.tif", "data.tif")
    refused(prison, path)


def test_permissions_of_members_are_not_taken_over(prison: Path) -> None:
    path = prison / "evil.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("tool.tif")
        info.size, info.mode, info.uid = 4, 0o6777, 12345
        archive.addfile(info, io.BytesIO(b"evil"))
    status = (unpack_in(prison, path) / "tool.tif").stat()
    assert not status.st_mode & 0o7133
    assert status.st_uid == os.getuid()


def test_password(prison: Path) -> None:
    path = zip_of(prison / "evil.zip", "a.tif")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert "password" in refused(prison, path)
    for header_too in (False, True):
        path = prison / f"evil{header_too}.7z"
        with py7zr.SevenZipFile(path, "w", password="x", header_encryption=header_too) as archive:
            archive.writestr(b"evil", "a.tif")
        assert "password" in refused(prison, path)


def test_bomb_of_zeros(prison: Path) -> None:
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = prison / f"evil{method}.zip"
        with (
            zipfile.ZipFile(path, "w", method, compresslevel=1) as archive,
            archive.open("a.tif", "w", force_zip64=True) as member,
        ):
            for _ in range(60):
                member.write(bytes(1 << 20))
        refused(prison, path)


def test_bomb_that_lies_about_its_size(prison: Path) -> None:
    path = prison / "evil.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.tif", bytes(30 << 20))
    data = bytearray(path.read_bytes())
    for at, field in ((0, 22), (data.index(b"PK\1\2"), 24)):
        struct.pack_into("<L", data, at + field, 10)
    path.write_bytes(data)
    refused(prison, path)


def test_bomb_of_overlapping_members(prison: Path) -> None:
    path = zip_of(prison / "evil.zip", "a.tif", "b.tif")
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\1\2")
    struct.pack_into("<L", data, second + 42, 0)  # both members begin at byte 0
    path.write_bytes(data)
    assert "overlap" in refused(prison, path)


def test_bomb_of_archives_in_archives(prison: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.tif", bytes(8 << 20))
    path = prison / "evil.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(16):
            archive.writestr(f"{i}.zip", inner.getvalue())
    refused(prison, path)


def test_bomb_of_a_sparse_tar(prison: Path) -> None:
    path = prison / "evil.tar"
    sparse = prison / "evil-sparse.bin"
    with sparse.open("wb") as file:
        file.truncate(3 << 40)
    subprocess.run(
        ["tar", "--format=gnu", "-cSf", path, "-C", prison, sparse.name], check=True, timeout=60
    )
    assert path.stat().st_size < 1 << 20
    refused(prison, path)


def test_bomb_of_gzip_in_gzip(prison: Path) -> None:
    path = prison / "evil.tif.gz"
    path.write_bytes(gzip.compress(gzip.compress(bytes(60 << 20), 9), 9))
    (only,) = unpack_in(prison, path).iterdir()
    assert only.stat().st_size < 1 << 20


def test_bomb_of_many_members(prison: Path) -> None:
    names = [f"{i}.tif" for i in range(101)]
    for make in (zip_of, tar_of):
        assert "100" in refused(prison, make(prison / "evil", *names))


def test_tar_header_of_unreasonable_size(prison: Path) -> None:
    path = prison / "evil.tar.gz"
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 30 << 20
    path.write_bytes(gzip.compress(info.tobuf() + b"a" * info.size + tarfile.TarInfo("x").tobuf()))
    refused(prison, path)


BOUNDED = """
import resource, sys
from pathlib import Path
from scientistcloud.errors import ConversionError
from scientistcloud.readers.archives.unpack import UnpackLimits, unpack
import py7zr
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    limits = UnpackLimits(total_bytes=300 << 20)
    unpack([Path(sys.argv[1])], Path(sys.argv[2]), limits, lambda: False)
except ConversionError as error:
    print(error.code)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""


@pytest.mark.parametrize("kind", ["zip-deflate", "zip-bzip2", "zip-lzma", "7z", "7z-bzip2", "xz"])
def test_memory_does_not_grow_with_what_is_inside(kind: str, prison: Path) -> None:
    path = prison / f"evil.{kind.split('-')[0]}"
    write_zeros(path, kind, 200)
    run = subprocess.run(
        [sys.executable, "-c", BOUNDED, path, prison / "scratch"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert int(run.stdout.split()[-1]) < 40_000, run.stdout


def write_zeros(path: Path, kind: str, mebibytes: int) -> None:
    if kind == "xz":
        with lzma.open(path, "wb", preset=1) as file:
            for _ in range(mebibytes):
                file.write(bytes(1 << 20))
    elif kind.startswith("7z"):
        filters = [{"id": py7zr.FILTER_BZIP2}] if "bzip2" in kind else None
        with py7zr.SevenZipFile(path, "w", filters=filters) as archive:
            archive.writestr(bytes(mebibytes << 20), "a.tif")
    else:
        methods = {"zip-deflate": 8, "zip-bzip2": 12, "zip-lzma": 14}
        with (
            zipfile.ZipFile(path, "w", methods[kind], compresslevel=1) as archive,
            archive.open("a.tif", "w") as member,
        ):
            for _ in range(mebibytes):
                member.write(bytes(1 << 20))


@pytest.fixture
def small_disk(prison: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    mount = prison / "scratch" / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", mount], capture_output=True, timeout=20
    )
    if done.returncode:
        pytest.skip("no small file system can be mounted here")
    yield mount
    subprocess.run(["umount", mount], check=True, timeout=20)


@pytest.mark.parametrize("filled", [0, 60])
def test_full_disk_is_no_fault_of_the_archive(filled: int, small_disk: Path, prison: Path) -> None:
    path = prison / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.tif", random.Random(4).randbytes((70 << 20) - (filled << 20)))
    (small_disk / "other").write_bytes(bytes(filled << 20))
    roomy = UnpackLimits(total_bytes=1 << 30)
    with pytest.raises(OutOfSpace, match=r"evil\.zip"):
        unpack([path], small_disk, roomy, lambda: False)
    assert [p.name for p in small_disk.iterdir()] == ["other"]


def originals(folder: Path) -> Iterator[tuple[str, bytes]]:
    noise = random.Random(1).randbytes(3000)
    zip_path = folder / "evil-o.zip"
    with zipfile.ZipFile(zip_path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d/a.tif", noise)
        archive.writestr("d/b.tif", bytes(5000))
    yield "evil.zip", zip_path.read_bytes()
    with py7zr.SevenZipFile(folder / "evil-o.7z", "w") as archive:
        archive.writestr(noise, "d/a.tif")
        archive.writestr(bytes(5000), "d/b.tif")
    yield "evil.7z", (folder / "evil-o.7z").read_bytes()
    tar = tar_of(folder / "evil-o.tar", "d/a.tif", "d/b.tif").read_bytes()
    yield "evil.tar", tar
    yield "evil.tar.gz", gzip.compress(tar + noise)
    yield "evil.nii.gz", gzip.compress(noise)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_archives_end_in_data_or_a_named_error(seed: int, prison: Path) -> None:
    rng = random.Random(seed)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for name, data in originals(prison):
        for _ in range(25):
            mutant = bytearray(data)
            for _ in range(rng.choice((1, 1, 3, 20))):
                mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
            if rng.random() < 0.3:
                del mutant[rng.randrange(len(mutant)) :]
            path = prison / name
            path.write_bytes(mutant)
            try:
                unpack_in(prison, path)
            except ConversionError as error:
                assert name in error.message  # noqa: PT017
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == (soft, hard)


def test_zip_directory_is_counted_before_it_is_held(prison: Path) -> None:
    path = prison / "evil.zip"
    entry = struct.pack("<4s4B4H3L5H2L", b"PK\1\2", *[0] * 9, 0, 0, 1, *[0] * 6) + b"a"
    count = 300_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry) * count, 0, 0)
    path.write_bytes(b"PK\3\4" + entry * count + end)
    refused(prison, path)


def test_garbage_behind_the_magic(prison: Path) -> None:
    for magic in (b"PK\3\4", b"7z\xbc\xaf\x27\x1c\0\4", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0"):
        path = prison / "evil.bin"
        path.write_bytes(magic + random.Random(2).randbytes(500))
        with pytest.raises(CorruptSource, match="evil"):
            unpack_in(prison, path)
