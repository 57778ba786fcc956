"""Small files that unpack to, or claim, far more than any host has."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
import tifffile

from tests.security.victim import MIB, Victim

REFUSED = {"ResourceLimit", "OutOfMemory", "CorruptSource", "UnsupportedLayout", "UnsafeArchive"}
ZEROS = zlib.compress(bytes(1 << 20), 9)


@cache
def zeros(size: int) -> bytes:
    """A zlib stream of so many zero bytes."""
    packer = zlib.compressobj(1)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def png(width: int, height: int, data: bytes, depth: int = 8, extra: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def tiff(width: int, height: int, data: bytes, rows: int, compression: int) -> bytes:
    """A little-endian TIFF with one strip."""
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, compression), (262, 3, 1),
        (273, 4, 122), (277, 3, 1), (278, 4, rows), (279, 4, len(data)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0) + data


def in_bounds(victim: Victim) -> dict[str, object]:
    """Convert it; whatever comes, the child stayed within its limits or said so."""
    last = victim.convert()
    if "done" in last:
        # What a library takes and gives back within a moment is bounded by ``RLIMIT_DATA`` alone.
        assert last["done"]["peak_rss_bytes"] < victim.limits["memory_bytes"] * 1.5 + 256 * MIB
    else:
        assert last["failed"]["code"] in REFUSED, last
    return last


@pytest.mark.parametrize(
    ("width", "height", "rows"),
    [(8, 8, 8), (1 << 15, 1 << 15, 1 << 15), ((1 << 31) - 1, (1 << 31) - 1, 1), (1 << 30, 4, 4)],
)
@pytest.mark.parametrize("compression", [8, 5, 50000, 34712])
def test_tiff(width: int, height: int, rows: int, compression: int, victim: Victim) -> None:
    """A strip that unpacks to 512 MiB, whatever size it claims, or garbage in other codecs."""
    data = zeros(512 * MIB)
    (victim.upload / "a.tif").write_bytes(tiff(width, height, data, rows, compression))
    last = in_bounds(victim)
    assert "failed" in last or (width, compression) == (8, 8), last


def test_tiff_of_a_thousand_pages_in_one_place(victim: Victim) -> None:
    """All directories lead to the same strip; and the last one to the first."""
    strip = zlib.compress(bytes(1 << 24), 9)
    offset = 8
    data = bytearray(b"II*\0" + struct.pack("<I", 8))
    for number in range(1000):
        page = tiff(4096, 4096, b"", 4096, 8)[8:-4]
        page = page.replace(
            struct.pack("<HHII", 279, 4, 1, 0), struct.pack("<HHII", 279, 4, 1, len(strip))
        )
        at = offset + 1000 * (len(page) + 4)
        page = page.replace(
            struct.pack("<HHII", 273, 4, 1, 122), struct.pack("<HHII", 273, 4, 1, at)
        )
        following = 8 if number == 999 else 8 + (number + 1) * (len(page) + 4)
        data += page + struct.pack("<I", following)
    (victim.upload / "a.tif").write_bytes(bytes(data) + strip)
    assert victim.refusal()[0] in REFUSED


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(8, 8, 512 * MIB), (30_000, 30_000, 512 * MIB), (1 << 30, 1 << 30, MIB), (1, 1 << 30, MIB)],
)
def test_png(width: int, height: int, size: int, victim: Victim) -> None:
    (victim.upload / "a.png").write_bytes(png(width, height, zeros(size)))
    last = in_bounds(victim)
    assert "failed" in last or width == 8, last


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_png_text_that_unpacks_to_much(kind: bytes, victim: Victim) -> None:
    content = b"name\0\0" + zeros(512 * MIB)
    extra = struct.pack(">I", len(content)) + kind + content
    extra += struct.pack(">I", zlib.crc32(kind + content))
    image = png(8, 8, zlib.compress(bytes(72)), extra=extra)
    (victim.upload / "a.png").write_bytes(image)
    in_bounds(victim)


@pytest.mark.parametrize("suffix", ["jp2", "jpg", "bmp", "dcm", "webp", "jxl"])
def test_headers_that_claim_the_largest_image(suffix: str, victim: Victim) -> None:
    size = 60_000
    headers = {
        "jp2": b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 \0\0\0\x2djp2h\0\0\0\x16ihdr"
        + struct.pack(">IIH", 1 << 31, 1 << 31, 1) + b"\7\7\0\0" + bytes(64),
        "jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x0b\x08"
        + struct.pack(">HH", size, size) + b"\1\1\x11\0" + bytes(64),
        "bmp": b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 118, 0, 54, 40, size, size, 1, 8, *[0] * 6) + bytes(64),
        "dcm": bytes(128) + b"DICM" + bytes(64),
        "webp": b"RIFF\x64\0\0\0WEBPVP8L\x20\0\0\0\x2f\xff\xff\xff\xff" + bytes(80),
        "jxl": b"\xff\x0a" + b"\xff" * 64,
    }  # fmt: skip
    (victim.upload / f"a.{suffix}").write_bytes(headers[suffix])
    code, message = victim.refusal()
    assert code in REFUSED | {"UnrecognizedFormat"}, (code, message)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip"},
        {"compression": "lzf"},
        hdf5plugin.Bitshuffle(),
        hdf5plugin.Blosc(),
        hdf5plugin.Zstd(),
    ],
    ids=["gzip", "lzf", "bitshuffle", "blosc", "zstd"],
)
def test_hdf5_chunk(options: dict[str, object], victim: Victim) -> None:
    """One chunk that claims 3 GB, more than the memory limit."""
    with h5py.File(victim.upload / "a.h5", "w") as file:
        shape = (3, 1 << 15, 1 << 15)
        created = file.create_dataset("data", shape, "u1", chunks=shape, **options)
        created.id.write_direct_chunk((0, 0, 0), ZEROS, 0)
    code, message = victim.refusal()
    assert code == "ResourceLimit", (code, message)


@pytest.mark.parametrize("stream", [ZEROS, zeros(512 * MIB), b"\xff" * 100], ids=["1M", "1G", "no"])
def test_hdf5_chunk_that_unpacks_to_more_than_it_claims(stream: bytes, victim: Victim) -> None:
    with h5py.File(victim.upload / "a.h5", "w") as file:
        created = file.create_dataset("data", (64, 64), "u1", chunks=(64, 64), compression="gzip")
        created.id.write_direct_chunk((0, 0), stream, 0)
    in_bounds(victim)


def test_hdf5_that_claims_an_exabyte(victim: Victim) -> None:
    with h5py.File(victim.upload / "a.h5", "w") as file:
        file.create_dataset("data", (1 << 20, 1 << 20, 1 << 20), "u1", chunks=(1, 64, 64))
    assert victim.refusal()[0] in {"ResourceLimit", "UnsupportedLayout"}


def npy(shape: tuple[int, ...], data: bytes) -> bytes:
    stream = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + data


def npz(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy((2048, 1 << 20), bytes(300 * MIB)))


def gzipped(path: Path) -> None:
    header = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 8 8 8\nencoding: raw\n\n"
    path.write_bytes(gzip.compress(header + bytes(300 * MIB), 1))


def nrrd(path: Path) -> None:
    header = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 8 8 8\nencoding: gzip\n\n"
    path.write_bytes(header + gzip.compress(bytes(300 * MIB), 1))


def nifti(path: Path) -> None:
    header = bytearray(352)
    header[0:4] = struct.pack("<i", 348)
    header[40:56] = struct.pack("<8h", 3, 32767, 32767, 32767, 1, 1, 1, 1)
    header[70:74] = struct.pack("<hh", 2, 8)
    header[108:112] = struct.pack("<f", 352)
    header[344:348] = b"n+1\0"
    path.write_bytes(gzip.compress(bytes(header) + bytes(64 * MIB), 1))


def pickled(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def deep_pickle(path: Path) -> None:
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", 60_000) + b"(" * 60_000)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.npz", npz),
        ("a.nrrd.gz", gzipped),
        ("a.nrrd", nrrd),
        ("a.nii.gz", nifti),
        ("a.npy", pickled),
        ("a.npy", deep_pickle),
    ],
    ids=["npz", "gz", "nrrd", "nifti", "pickle", "brackets"],
)
def test_arrays(name: str, make: Callable[[Path], None], victim: Victim) -> None:
    make(victim.upload / name)
    last = victim.convert()
    if "done" in last:
        assert last["done"]["peak_rss_bytes"] < victim.limits["memory_bytes"]
    else:
        assert last["failed"]["code"] in REFUSED | {"UnsupportedDtype"}, last


def test_a_good_tiff_is_converted(victim: Victim) -> None:
    """The attacks fail for what they are, not because nothing works here."""
    tifffile.imwrite(victim.upload / "a.tif", np.ones((64, 64), "u1"), compression="deflate")
    assert "done" in victim.convert()
