"""The listing of an upload: what is found, in which order, and what is refused."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scientistcloud.errors import (
    ConversionError,
    SourceChanged,
    SourceEmpty,
    SourceNotFound,
    SpecialFile,
    UnsafeLink,
    UnsafeSource,
)
from scientistcloud.readers.files.listing import natural_key, open_regular, read_head, scan
from scientistcloud.readers.files.open_files import FilePool


@pytest.fixture
def up(tmp_path: Path) -> Path:
    folder = tmp_path / "up"
    folder.mkdir()
    return folder


def names(root: Path) -> list[str]:
    return [entry.name for entry in scan(root).files]


def test_natural_order_folder_by_folder(up: Path) -> None:
    for name in ("s10", "s2", "S1", "b/s1", "a/s11", "a/s9", "a10/x", "a2/x"):
        (up / name).parent.mkdir(exist_ok=True)
        (up / name).write_text("x")
    assert names(up) == ["S1", "s2", "s10", "a/s9", "a/s11", "a2/x", "a10/x", "b/s1"]


def test_junk_and_what_dashboards_write_are_passed_over(up: Path) -> None:
    kept = ["a.tif", ".zarray", "store/.zattrs", "my sessions.txt"]
    junk = [".DS_Store", "Thumbs.db", "._a.tif", "cache.float32.dat", ".hidden/b.tif",
            "__MACOSX/a.tif", "sessions/state.json", "sub/sessions/x"]  # fmt: skip
    for name in kept + junk:
        (up / name).parent.mkdir(exist_ok=True, parents=True)
        (up / name).write_text("x")
    listing = scan(up)
    assert sorted(entry.name for entry in listing.files) == sorted(kept)
    assert "sessions/" in listing.ignored
    assert ".DS_Store" in listing.ignored


def test_single_file(up: Path) -> None:
    (up / "a.tif").write_bytes(b"abc")
    (up / "b.tif").write_bytes(b"abc")
    listing = scan(up / "a.tif")
    assert [(e.name, e.size_bytes) for e in listing.files] == [("a.tif", 3)]
    assert listing.root == up


def test_empty_members_are_told_apart(up: Path) -> None:
    (up / "a").touch()
    (up / "b").write_text("x")
    listing = scan(up)
    assert (names(up), listing.empty) == (["b"], ("a",))


@pytest.mark.parametrize("content", [[], ["a.tif"], [".DS_Store"]])
def test_nothing_with_data(content: list[str], up: Path) -> None:
    for name in content:
        (up / name).touch()
    with pytest.raises(SourceEmpty):
        scan(up)


def test_missing(up: Path) -> None:
    with pytest.raises(SourceNotFound):
        scan(up / "none")
    (up / "file").write_text("x")
    with pytest.raises(SourceNotFound):
        scan(up / "file" / "none")


def test_links_inside_are_followed(up: Path) -> None:
    (up / "real").mkdir()
    (up / "real" / "a.tif").write_text("abc")
    (up / "b.tif").symlink_to("real/a.tif")
    (up / "more").symlink_to("real")
    listing = scan(up)
    assert [e.name for e in listing.files] == ["b.tif", "more/a.tif", "real/a.tif"]
    assert {e.path for e in listing.files} == {up / "real" / "a.tif"}


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "../up2/a", "missing", "loop"])
def test_links_that_lead_out_are_refused(target: str, up: Path) -> None:
    (up.parent / "secret").write_text("x")
    (up.parent / "up2").mkdir()
    (up.parent / "up2" / "a").write_text("x")
    (up / "sub").mkdir()
    (up / "a.tif").write_text("x")
    (up / "loop").symlink_to(target)
    with pytest.raises(UnsafeLink, match="loop"):
        scan(up)


def test_folders_that_contain_themselves(up: Path) -> None:
    (up / "sub").mkdir()
    (up / "sub" / "a").write_text("x")
    (up / "sub" / "up").symlink_to("..")
    assert names(up) == ["sub/a"]


def test_folders_too_deep(up: Path) -> None:
    deep = up.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "a").write_text("x")
    with pytest.raises(UnsafeSource):
        scan(up)


def test_pipes_and_sockets_are_refused_without_waiting(up: Path) -> None:
    os.mkfifo(up / "pipe")
    with pytest.raises(SpecialFile, match="pipe"):
        scan(up)
    with pytest.raises(SpecialFile, match="pipe"):
        scan(up / "pipe")
    (up / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(up / "sock"))
        with pytest.raises(SpecialFile, match="sock"):
            scan(up)


def test_what_is_swapped_after_the_listing_is_refused(up: Path) -> None:
    path = up / "a"
    path.write_text("x")
    (entry,) = scan(up).files
    path.unlink()
    with pytest.raises(SourceChanged):
        open_regular(entry.path)
    path.symlink_to("/etc/passwd")
    with pytest.raises(UnsafeLink):
        read_head(entry.path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SpecialFile):
        open_regular(entry.path)


def test_names_that_are_no_utf_8(up: Path) -> None:
    (up / os.fsdecode(b"a\xff.tif")).write_text("x")
    (entry,) = scan(up).files
    assert entry.name == "a\\udcff.tif"
    assert read_head(entry.path) == b"x"
    assert scan(up).fingerprint()


def test_fingerprint_tells_any_change(up: Path) -> None:
    (up / "a").write_text("abc")
    (up / "e").touch()
    first = scan(up).fingerprint()
    assert scan(up).fingerprint() == first
    (up / "sessions").mkdir()
    (up / "sessions" / "s").write_text("x")
    assert scan(up).fingerprint() == first
    seen = {first}
    changes = [
        lambda: (up / "a").write_text("abcd"),
        lambda: os.utime(up / "a", ns=(1, 1)),
        lambda: (up / "a").rename(up / "b"),
        lambda: (up / "c").write_text("x"),
        lambda: (up / "e").unlink(),
    ]
    for change in changes:
        change()
        seen.add(scan(up).fingerprint())
    assert len(seen) == len(changes) + 1


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=20, unique=True))
def test_numbers_sort_by_value(numbers: list[int]) -> None:
    unsorted = [f"scan{n}.tif" for n in numbers]
    assert sorted(unsorted, key=natural_key) == [f"scan{n}.tif" for n in sorted(numbers)]


@given(st.lists(st.text("aA01._-/²", min_size=1, max_size=8), min_size=2, max_size=8, unique=True))
def test_order_is_total(texts: list[str]) -> None:
    keys = [natural_key(text) for text in texts]
    assert len(set(keys)) == len(keys)
    assert all((a < b) is not (b < a) for a in keys for b in keys if a != b)


class TestFilePool:
    def test_few_files_are_open_at_a_time(self, up: Path) -> None:
        paths = [up / str(i) for i in range(20)]
        for path in paths:
            path.write_text(path.name)
        before = len(list(Path("/proc/self/fd").iterdir()))
        pool = FilePool(up, limit=4)
        for path in paths:
            assert pool.read(path, 0, len(path.name)) == path.name.encode()
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4
        pool.close()
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_file_in_use_stays_open(self, up: Path) -> None:
        (up / "a").write_text("abc")
        (up / "b").write_text("xyz")
        pool = FilePool(up, limit=1)
        with pool.use(up / "a") as (fd, size):
            assert pool.read(up / "b", 0, 3) == b"xyz"
            pool.close()
            assert (os.pread(fd, 3, 0), size) == (b"abc", 3)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.pread(fd, 1, 0)

    @pytest.mark.parametrize(("offset", "size"), [(2, 2), (-1, 1), (0, 9), (1 << 62, 1)])
    def test_parts_beyond_the_end_are_named(self, offset: int, size: int, up: Path) -> None:
        (up / "a").write_text("abc")
        pool = FilePool(up)
        with pytest.raises(ConversionError, match="a is cut short"):
            pool.read(up / "a", offset, size)
        pool.close()
