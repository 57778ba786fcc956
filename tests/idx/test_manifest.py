"""The manifest finds every damage to itself, and takes records from anywhere in any order."""

from __future__ import annotations

import multiprocessing
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from isal.isal_zlib import crc32

from scientistcloud.errors import CorruptSource
from scientistcloud.idx.files.manifest import (
    FileSum,
    Manifest,
    ManifestWriter,
    amend_manifest,
    sum_file,
)

FILES = {
    "visus.idx": FileSum(10, 0x12345678),
    "visus/a b/0000.bin": FileSum(1 << 40, 0, "rest"),
    "größe.json": FileSum(0, 0xFFFFFFFF),
}


def write(path: Path, timesteps: int = 2, fields: int = 3, blocks: int = 50) -> None:
    with ManifestWriter.create(path, timesteps, fields, blocks) as writer:
        for t in range(timesteps):
            for f in range(fields):
                for b in range(0, blocks, 2):
                    writer.record(t, f, b, t * 1000 + f * 100 + b + 1, b)
        writer.finish(FILES)


def test_what_was_recorded_is_read(tmp_path: Path) -> None:
    write(tmp_path / "manifest")
    with Manifest.open(tmp_path / "manifest") as manifest:
        assert (manifest.timesteps, manifest.fields, manifest.blocks) == (2, 3, 50)
        assert manifest.files == FILES
        assert manifest.slots_intact()
        slots = manifest.slots(1, 2)
        assert slots["size"].tolist() == [0 if b % 2 else 1201 + b for b in range(50)]
        assert slots["crc32"].tolist() == [0 if b % 2 else b for b in range(50)]
        assert manifest.slots(1, 2, 4, 2)["size"].tolist() == [1205, 0]


def test_an_unfinished_manifest_is_none(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    with ManifestWriter.create(path, 1, 1, 4) as writer:
        writer.record(0, 0, 0, 5, 6)
    with pytest.raises(CorruptSource):
        Manifest.open(path)


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "manifest").touch()
    with pytest.raises(FileExistsError):
        ManifestWriter.create(tmp_path / "manifest", 1, 1, 1)


def test_every_flipped_bit_and_every_cut_is_found(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    write(path, 1, 1, 9)
    good = path.read_bytes()
    for position in range(len(good) * 8):
        bad = bytearray(good)
        bad[position // 8] ^= 1 << position % 8
        path.write_bytes(bad)
        assert not is_sound(path), f"bit {position} of {len(good) * 8}"
    for size in range(len(good)):
        path.write_bytes(good[:size])
        assert not is_sound(path), f"cut to {size} bytes"
    path.write_bytes(good)
    assert is_sound(path)


def is_sound(path: Path) -> bool:
    try:
        with Manifest.open(path) as manifest:
            return manifest.slots_intact()
    except CorruptSource:
        return False


def test_threads_record_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    blocks = list(range(2000))
    random.Random(1).shuffle(blocks)
    with ManifestWriter.create(path, 1, 1, len(blocks)) as writer:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda b: writer.record(0, 0, b, b + 1, b ^ 0xABCD), blocks))
        writer.finish({})
    with Manifest.open(path) as manifest:
        assert manifest.slots(0, 0)["crc32"].tolist() == [b ^ 0xABCD for b in range(2000)]


def record_half(path: Path, half: int) -> None:
    with ManifestWriter.attach(path, 1, 1, 100) as writer:
        for block in range(half * 50, half * 50 + 50):
            writer.record(0, 0, block, block + 1, block)


def test_processes_record_into_one_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    with ManifestWriter.create(path, 1, 1, 100) as writer:
        context = multiprocessing.get_context("spawn")
        children = [context.Process(target=record_half, args=(path, half)) for half in (0, 1)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
            assert child.exitcode == 0
        writer.finish({})
    with Manifest.open(path) as manifest:
        assert manifest.slots(0, 0)["size"].tolist() == list(range(1, 101))


def test_files_can_be_added_later(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    write(path)
    amend_manifest(path, {"metadata.json": FileSum(3, 4), "visus.idx": FileSum(1, 2)})
    with Manifest.open(path) as manifest:
        assert manifest.slots_intact()
        assert manifest.files == FILES | {
            "metadata.json": FileSum(3, 4),
            "visus.idx": FileSum(1, 2),
        }


def test_blocks_that_are_not_stored_take_no_disk(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    with ManifestWriter.create(path, 4, 4, 1 << 18) as writer:
        writer.record(3, 3, 5, 1, 1)
        writer.finish({})
    status = path.stat()
    assert status.st_size > 32 << 20
    assert status.st_blocks * 512 < 1 << 20


def test_the_sum_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    data = os.urandom((1 << 20) + 17)
    (tmp_path / "x").write_bytes(data)
    assert sum_file(tmp_path / "x") == FileSum(len(data), crc32(data))
