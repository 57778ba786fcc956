"""Symbolic links in every place of an upload, and what is no file at all."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.security.victim import Victim

OUT = ["/etc/passwd", "../other/secret.raw", "{root}/upload/other/secret.raw", "/proc/self/environ"]


def image(path: Path) -> None:
    tifffile.imwrite(path, np.arange(64, dtype="u2").reshape(8, 8))


@pytest.mark.parametrize("target", [*OUT, "/etc", "../other", "..", "/", "/dev/zero", "nowhere"])
@pytest.mark.parametrize("place", ["b.tif", "b.raw", "folder/b.tif", "a.zarr/0/0.0", "b.idx"])
def test_a_link_that_leads_out(target: str, place: str, victim: Victim) -> None:
    image(victim.upload / "a.tif")
    link = victim.upload / place
    link.parent.mkdir(parents=True, exist_ok=True)
    target = target.format(root=victim.root)
    if not target.startswith("/") and target != "nowhere":
        target = "../" * (len(link.relative_to(victim.upload).parts) - 1) + target
    link.symlink_to(target)
    assert victim.refusal()[0] == "UnsafeLink"


def test_a_chain_of_links_that_leads_out(victim: Victim) -> None:
    (victim.upload / "a.tif").symlink_to("b.tif")
    (victim.upload / "b.tif").symlink_to("c")
    (victim.upload / "c").symlink_to(victim.secret)
    assert victim.refusal()[0] == "UnsafeLink"


def test_links_in_a_circle(victim: Victim) -> None:
    image(victim.upload / "a.tif")
    (victim.upload / "b.tif").symlink_to("c.tif")
    (victim.upload / "c.tif").symlink_to("b.tif")
    assert victim.refusal()[0] == "UnsafeLink"


def test_a_folder_linked_into_itself_is_read_once(victim: Victim) -> None:
    image(victim.upload / "a.tif")
    (victim.upload / "again").symlink_to(".")
    assert victim.convert()["done"]["datasets"][0]["dims"][:2] == [8, 8]


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(path.parent)
        bound.bind(path.name)
        os.chdir(here)


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        a_socket,
        lambda path: os.mknod(path, 0o20666, os.makedev(1, 5)),
        lambda path: os.mknod(path, 0o60666, os.makedev(7, 0)),
    ],
    ids=["pipe", "socket", "device", "disk"],
)
@pytest.mark.parametrize("name", ["b.tif", "folder/b.raw", "a.zarr/.zarray"])
def test_what_is_no_file(make: Callable[[Path], None], name: str, victim: Victim) -> None:
    image(victim.upload / "a.tif")
    (victim.upload / name).parent.mkdir(exist_ok=True)
    try:
        make(victim.upload / name)
    except PermissionError:
        pytest.skip("only root makes devices")
    assert victim.refusal()[0] == "SpecialFile"


def test_a_hard_link_is_only_another_name(victim: Victim) -> None:
    image(victim.upload / "a.tif")
    (victim.upload / "b.tif").hardlink_to(victim.upload / "a.tif")
    before = (victim.upload / "a.tif").read_bytes()
    assert "done" in victim.convert()
    assert (victim.upload / "a.tif").read_bytes() == before
