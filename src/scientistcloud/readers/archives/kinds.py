"""Which files are archives: by content first, then by name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePath

from scientistcloud.errors import CorruptSource
from scientistcloud.readers.base import Match
from scientistcloud.readers.files.compression import (
    MAGIC,
    BlockStream,
    compression_of,
    decompress,
    file_blocks,
)

_HEAD_BYTES = 4096
_SUFFIXES = {
    ".zip": "zip",
    ".7z": "7z",
    ".tar": "tar",
    ".tgz": "gz",
    ".tbz": "bz2",
    ".tbz2": "bz2",
    ".txz": "xz",
    ".tzst": "zst",
    ".gz": "gz",
    ".bz2": "bz2",
    ".xz": "xz",
    ".zst": "zst",
    ".rar": "rar",
}
_TAR_SUFFIXES = frozenset({".tgz", ".tbz", ".tbz2", ".txz", ".tzst"})
_ZIP_BASED = frozenset(
    {".npz", ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".jar", ".apk", ".kmz", ".epub"}
    | {".ora", ".kra", ".pt", ".pth", ".keras", ".3mf", ".whl"}
)
"""Formats of their own that happen to be ZIP inside."""
_DETACHED_HEADERS = frozenset({".nhdr", ".mhd"})


def match(path: Path, head: bytes) -> Match:
    """Whether the file `path`, which begins with `head`, is an archive that is to be unpacked.

    A name that promises an archive is enough for `Match.POSSIBLE`: `unpack` then says what is
    wrong with the file. The data file of a detached header (``.nhdr``, ``.mhd``) is left alone,
    compressed or not: its reader decodes it.
    """
    by_name, by_content = _SUFFIXES.get(path.suffix.lower()), kind_of(head)
    if path.suffix.lower() in _ZIP_BASED:
        return Match.NO
    if compression_of(head) and _is_named_by_header(path):
        return Match.NO
    if by_content in ("zip", "7z", "tar", "rar") or (by_content and by_content == by_name):
        return Match.CERTAIN
    return Match.POSSIBLE if by_name else Match.NO


def kind_of(head: bytes) -> str | None:
    if head.startswith((b"PK\3\4", b"PK\5\6", b"PK\7\x08")):
        return "zip"
    if head.startswith(b"7z\xbc\xaf\x27\x1c"):
        return "7z"
    if head.startswith(b"Rar!\x1a\x07"):
        return "rar"
    if _is_tar(head):
        return "tar"
    return compression_of(head)


def _is_tar(head: bytes) -> bool:
    """The magic word of POSIX and GNU, or (before 1988) a first header whose checksum fits."""
    if head[257:262] == b"ustar":
        return True
    stored = head[148:156].strip(b" \0")
    if len(head) < 512 or not head[0] or not stored or not all(48 <= c < 56 for c in stored):
        return False
    return int(stored, 8) == sum(head[:148]) + 8 * 32 + sum(head[156:512])


def _is_named_by_header(path: Path) -> bool:
    """Whether a detached header in the same folder names this file."""
    try:
        modified = path.parent.stat().st_mtime_ns
        return any(path.name.encode() in text for text in _headers(path.parent, modified))
    except OSError:
        return False


@lru_cache(maxsize=16)
def _headers(folder: Path, modified: int) -> tuple[bytes, ...]:
    """The detached headers in `folder`; `modified` tells one state of it from another."""
    headers = [p for p in folder.iterdir() if p.suffix.lower() in _DETACHED_HEADERS]
    return tuple(read_head(header) for header in headers[:100])


def read_head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def holds_tar(path: Path, kind: str) -> bool:
    try:
        return _is_tar(BlockStream(decompress(file_blocks(path), kind, path.name)).read(512))
    except CorruptSource:
        return path.suffix.lower() in _TAR_SUFFIXES or PurePath(path.stem).suffix.lower() == ".tar"


def is_container(path: Path, head: bytes) -> bool:
    kind = kind_of(head)
    return kind in ("zip", "7z", "tar", "rar") or (kind is not None and holds_tar(path, kind))


def promises_single(path: Path) -> bool:
    """Whether the name is that of a single compressed file, and not of an archive."""
    suffix = path.suffix.lower()
    tar = suffix in _TAR_SUFFIXES or PurePath(path.stem).suffix.lower() == ".tar"
    return _SUFFIXES.get(suffix) in MAGIC and not tar


def plain_name(path: Path) -> str:
    """The name without what says how it is packed; ``data`` where nothing else is left."""
    name = path.name
    if path.suffix.lower() in _SUFFIXES:
        name = path.stem
    if name.lower().endswith(".tar"):
        name = name[:-4]
    return name if name.strip(". ") and name != path.name else f"{path.name}-unpacked"
