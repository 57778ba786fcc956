"""The built files that are shipped are those of the sources beside them, and small."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

WEB = Path(__file__).parents[2] / "src/scientistcloud/web"
SOURCE, BUILT = WEB / "source", WEB / "built"
MOST_BYTES = 300_000


def test_the_built_files_are_of_these_sources() -> None:
    names = [each for part in ("src", "public") for each in (SOURCE / part).rglob("*")]
    names += [SOURCE / name for name in ("index.html", "package-lock.json", "vite.config.ts")]
    now = {
        each.relative_to(SOURCE).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest()
        for each in names
        if each.is_file()
    }
    lines = (BUILT / "sources.sha256").read_text().splitlines()
    then = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    assert now == then, "build the page again: ./run page"


def test_the_scripts_are_small() -> None:
    scripts = [each.read_bytes() for each in (BUILT / "assets").glob("*.js")]
    assert scripts
    assert sum(len(gzip.compress(each)) for each in scripts) < MOST_BYTES


def test_the_page_asks_no_other_host() -> None:
    text = (BUILT / "index.html").read_text()
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)
    for each in (BUILT / "assets").glob("*.js"):
        calls = re.findall(r"(?:fetch|import|src=)\(?[\"'`]https?://[^\"'`]+", each.read_text())
        assert not calls
