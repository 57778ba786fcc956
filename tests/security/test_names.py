"""Names of files that are no names: control characters, terminal escapes, bytes, the longest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import ConversionError
from tests.security.victim import Victim

NAMES = [
    b"line\nbreak.tif",
    b"\x1b[2J\x1b]0;owned\x07.tif",
    b"bell\x07\x08\x7f.tif",
    b"latin \xe9\xff.tif",
    b"x" * 251 + b".tif",
    "right \u202eFIT.to left.tif".encode(),
    b"tif..tif",
    b" leading and trailing .tif",
    b"$(rm -rf ~); `id` && %s%n {0}.tif",
    b"-rf.tif",
    b"con.tif",
    b"<script>alert(1)<:script>.tif",
]


def write(victim: Victim, name: bytes, data: bytes | None = None) -> None:
    path = victim.upload / os.fsdecode(name)
    if data is None:
        tifffile.imwrite(path, np.arange(64, dtype="u2").reshape(8, 8))
    else:
        path.write_bytes(data)


def assert_printable_log(victim: Victim) -> None:
    [log] = (victim.converted / ".staging").glob("*/conversion.log")
    text = log.read_text(encoding="utf-8")
    assert all(line.isprintable() for line in text.split("\n")), text


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_an_image_with_a_strange_name(name: bytes, victim: Victim) -> None:
    write(victim, name)
    assert "done" in victim.convert()
    assert_printable_log(victim)
    json.loads((victim.converted / "dataset" / "metadata.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_damaged_image_with_a_strange_name(name: bytes, victim: Victim) -> None:
    """The message that names it is printable, so no terminal does what it says."""
    write(victim, name, b"II*\0" + b"\xff" * 60)
    assert victim.refusal()[0] in {"CorruptSource", "UnrecognizedFormat"}


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_the_log_of_a_failure_is_printable(name: bytes, victim: Victim) -> None:
    write(victim, name, b"II*\0" + b"\xff" * 60)
    write(victim, b"other.h5", b"\x89HDF\r\n\x1a\n" + bytes(100))
    victim.convert()
    assert_printable_log(victim)


def test_a_tree_that_is_too_deep(victim: Victim) -> None:
    folder = victim.upload
    for _ in range(60):
        folder = folder / "d"
    folder.mkdir(parents=True)
    (folder / "a.raw").write_bytes(b"x")
    assert victim.refusal()[0] == "UnsafeSource"


def test_very_many_files_are_listed_in_bounded_time_and_memory(victim: Victim) -> None:
    victim.limits["memory_bytes"] = 200 << 20
    victim.limits["cpu_seconds"] = 10.0
    for number in range(10_000):
        os.close(os.open(victim.upload / f"{number}.txt", os.O_CREAT | os.O_WRONLY))
        if number < 2000:
            (victim.upload / f"{number}.txt").write_bytes(b"no data")
    assert victim.refusal()[0] in {"UnrecognizedFormat", "AmbiguousFormat"}


def test_a_source_that_is_not_there_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ConversionError) as caught:
        open_source(tmp_path / "no", None, {}, tmp_path)
    assert str(tmp_path) not in caught.value.message
