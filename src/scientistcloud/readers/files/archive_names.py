"""Which names of archive members are safe to write, and which are nobody's data. Pure rules."""

from __future__ import annotations

import re
import unicodedata

from scientistcloud.errors import UnsafeArchive

NAME_BYTES = 255
DEPTH = 64
_JUNK_FOLDERS = frozenset({"__MACOSX", ".Trashes", ".Spotlight-V100", ".fseventsd"})
_JUNK_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini", "ehthumbs.db"})
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They make a name look like another one."""
_DRIVE = re.compile(r"^[A-Za-z]:")


def safe_parts(archive: str, name: str) -> tuple[str, ...]:
    """The folders and the file name of a member; empty for the archive's own root.

    Backslashes part folders as slashes do: archives made on Windows have them.

    Raises
    ------
    UnsafeArchive
        The name is absolute, climbs with ``..``, or holds characters that no data file needs.
    """
    plain = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\\", "/")
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in _REORDERING for c in plain):
        raise _refused(archive, plain, "a name with control characters")
    if plain.startswith("/") or _DRIVE.match(plain):
        raise _refused(archive, plain, "an absolute name")
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    if ".." in (part.strip() for part in parts):
        raise _refused(archive, plain, "a name that climbs out of the folder")
    if len(parts) > DEPTH or any(len(part.encode()) > NAME_BYTES for part in parts):
        raise _refused(archive, plain, "a name that is too long")
    return parts


def is_junk(parts: tuple[str, ...]) -> bool:
    """Whether an operating system, and no instrument, left this file."""
    return (
        any(part in _JUNK_FOLDERS for part in parts)
        or parts[-1].lower() in _JUNK_FILES
        or parts[-1].startswith("._")
    )


def folded(parts: tuple[str, ...]) -> str:
    """What two names have in common that some file system takes for one."""
    return unicodedata.normalize("NFC", "/".join(parts)).casefold()


def shown(name: str, limit: int = 80) -> str:
    """Text of a file as a message may hold it: short, and without control characters."""
    clean = "".join(c if c.isprintable() else "?" for c in name)
    return clean if len(clean) <= limit else f"{clean[: limit - 20]}...{clean[-15:]}"


def _refused(archive: str, name: str, what: str) -> UnsafeArchive:
    return UnsafeArchive(f"{archive} has a member with {what}: '{shown(name)}'.")
