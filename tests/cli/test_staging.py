"""Bringing files in: complete, with their times, and nothing but plain files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scientistcloud.cli.files.staging import StagedFile, find_files, stage_files
from scientistcloud.errors import InvalidOptions, SpecialFile, Stopped, UnsafeLink


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "b").mkdir(parents=True)
    for name, content in (("a.bin", b"a" * 100), ("b/c.bin", b"c" * 20_000_000), ("b/d", b"")):
        (folder / name).write_bytes(content)
        os.utime(folder / name, ns=(10**18, 10**18 + 7))
    return folder


def stage(files: list[StagedFile], folder: Path, *, link: bool = False) -> tuple[str, int]:
    counted: list[int] = []
    how = stage_files(files, folder, link=link, progress=counted.append, stop=lambda: False)
    return how, sum(counted)


def test_all_files_are_found_by_name(source: Path) -> None:
    found = find_files(source)
    assert [str(each.name) for each in found] == ["a.bin", "b/c.bin", "b/d"]
    assert [each.size_bytes for each in found] == [100, 20_000_000, 0]


def test_files_are_copied_whole_with_their_times(source: Path, tmp_path: Path) -> None:
    _, counted = stage(find_files(source), tmp_path / "staged")
    assert counted == 20_000_100
    for name in ("a.bin", "b/c.bin", "b/d"):
        copy, original = tmp_path / "staged" / name, source / name
        assert copy.read_bytes() == original.read_bytes()
        assert copy.stat().st_mtime_ns == original.stat().st_mtime_ns
        assert not copy.samefile(original)


@pytest.fixture
def sharing_disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system that can share blocks between files."""
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(400 << 20)
    try:
        subprocess.run(["mkfs.btrfs", "-q", image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system with reflinks can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_blocks_are_shared_where_the_file_system_can(source: Path, sharing_disk: Path) -> None:
    here, _ = stage(find_files(source), sharing_disk / "first")
    assert here == "copy"  # from another file system
    how, counted = stage(find_files(sharing_disk / "first"), sharing_disk / "second")
    assert (how, counted) == ("reflink", 20_000_100)
    copy = sharing_disk / "second" / "b" / "c.bin"
    assert copy.read_bytes() == (source / "b" / "c.bin").read_bytes()
    with copy.open("r+b") as file:
        file.write(b"changed")
    assert (sharing_disk / "first" / "b" / "c.bin").read_bytes()[:7] == b"ccccccc"


def test_hard_links_that_cannot_be_made_are_refused(source: Path) -> None:
    with pytest.raises(InvalidOptions, match="cannot be hard-linked"):
        stage(find_files(source), Path("/dev/shm") / f"staged-{os.getpid()}", link=True)


def test_links_and_devices_are_refused(source: Path) -> None:
    (source / "b" / "pipe").symlink_to("c.bin")
    with pytest.raises(UnsafeLink, match="b/pipe"):
        find_files(source)
    (source / "b" / "pipe").unlink()
    os.mkfifo(source / "b" / "pipe")
    with pytest.raises(SpecialFile, match="b/pipe"):
        find_files(source)


def test_it_stops_within_a_piece(source: Path, tmp_path: Path) -> None:
    counted: list[int] = []
    with pytest.raises(Stopped):
        stage_files(
            find_files(source),
            tmp_path / "staged",
            link=False,
            progress=counted.append,
            stop=lambda: sum(counted) > 1000,
        )
    assert sum(counted) < 20_000_000
