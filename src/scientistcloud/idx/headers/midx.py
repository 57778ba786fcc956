"""``.midx``: an XML text that joins several IDX datasets into one that is shown together."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scientistcloud.errors import CorruptSource, UnsafeSource, UnsupportedLayout
from scientistcloud.idx.headers.header import HEADER_LIMIT_BYTES
from scientistcloud.idx.headers.xml_text import parse_xml

_ROOT = re.compile(rb"<dataset\b[^>]*\btypename\s*=\s*['\"]IdxMultipleDataset['\"]")

_URL = re.compile(r"(<dataset\b[^>]*\burl\s*=\s*(['\"]))(.*?)\2", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Midx:
    """What a ``.midx`` says.

    Attributes
    ----------
    text : str
        The whole of it.
    parts : tuple of str
        The headers that it names, relative to its folder, without ``./``, each once.
    """

    text: str
    parts: tuple[str, ...]

    def moved(self, base: str) -> str:
        """The text for a place from which the parts lie below `base` (such as ``./visus``)."""

        def move(found: re.Match[str]) -> str:
            part = html.escape(_part(html.unescape(found[3])))
            return f"{found[1]}{base}/{part}{found[2]}"

        return _URL.sub(move, self.text)


def is_midx(head: bytes) -> bool:
    """Whether a file that begins with `head` is a ``.midx``."""
    return _ROOT.search(head) is not None


def load_midx(path: Path) -> Midx:
    """Read and check a ``.midx``.

    Raises
    ------
    CorruptSource
        It is no XML, or names no parts.
    UnsafeSource
        A part lies outside its folder.
    UnsupportedLayout
        A part lies on a server.
    """
    with path.open("rb") as file:
        data = file.read(HEADER_LIMIT_BYTES + 1)
    if len(data) > HEADER_LIMIT_BYTES:
        raise CorruptSource(f"'{path.name}' is too long for a .midx.")
    text = data.decode("utf-8", "replace")
    root = parse_xml(text)
    urls = [e.get("url") for e in root.iter("dataset") if e is not root]
    parts = tuple(dict.fromkeys(_part(url) for url in urls if url is not None))
    if not parts:
        raise CorruptSource(f"'{path.name}' names no datasets.")
    return Midx(text, parts)


def _part(url: str) -> str:
    text = url.removeprefix("file://").strip()
    if "://" in text:
        raise UnsupportedLayout(f"The .midx names a dataset on a server: {text[:60]!r}.")
    part = PurePosixPath(text)
    if part.is_absolute() or ".." in part.parts or re.search(r"[\\:\0$~]", text) or not part.name:
        raise UnsafeSource(f"The .midx names a dataset outside its folder: {text[:60]!r}.")
    return part.as_posix()
