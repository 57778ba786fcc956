"""Which names of files and folders are taken, and made into paths: pure rules."""

from __future__ import annotations

from pathlib import PurePosixPath

from scientistcloud.refusals import UnusableName

_LONGEST_PART_BYTES = 255
_LONGEST_BYTES = 2048
_DEEPEST = 64


def relative_path(name: str, folder: str = "") -> PurePosixPath:
    """The place of a file within its dataset.

    Parameters
    ----------
    name : str
        The file's name; it may hold folders with ``/`` (or, from Windows, ``\\``).
    folder : str
        A folder in front of it; empty for none.

    Raises
    ------
    UnusableName
        A part is empty, ``.`` or ``..``, begins with a dot, holds a control character or a
        surrogate, or is too long.
    """
    text = "/".join(part for part in (folder, name) if part).replace("\\", "/")
    if len(text.encode("utf-8", "surrogatepass")) > _LONGEST_BYTES:
        raise UnusableName("The name of a file is too long.")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or text.startswith("/") or len(parts) > _DEEPEST:
        raise UnusableName(f"{text[:100]!r} is no name of a file.")
    for part in parts:
        _require_usable(part)
    return PurePosixPath(*parts)


def _require_usable(part: str) -> None:
    try:
        size_bytes = len(part.encode())
    except UnicodeEncodeError:
        raise UnusableName("A name holds characters that are none.") from None
    if part == ".." or part.strip() != part or not part.strip("."):
        raise UnusableName(f"{part[:100]!r} is no name of a file.")
    if size_bytes > _LONGEST_PART_BYTES:
        raise UnusableName(f"{part[:60]!r}... is longer than 255 bytes.")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in part):
        raise UnusableName("A name holds control characters.")
