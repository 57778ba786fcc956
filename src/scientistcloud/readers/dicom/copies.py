"""Files that an upload holds twice: one is used, the other named.

A copy has the instance UID and all samples of the other one. An instance UID alone makes no copy:
careless programs give one to all files.
"""

from __future__ import annotations

from collections.abc import Sequence

from scientistcloud.readers.dicom.file import DicomFile
from scientistcloud.readers.files.open_files import FilePool

_SHOWN = 5
_CHUNK_BYTES = 1 << 20


def without_copies(
    files: Sequence[DicomFile], pool: FilePool
) -> tuple[list[DicomFile], tuple[str, ...]]:
    """The files without copies, and a note that names those that are left out."""
    kept: list[DicomFile] = []
    by_instance: dict[str, list[DicomFile]] = {}
    copies: list[tuple[str, str]] = []
    for file in files:
        others = by_instance.setdefault(file.instance, []) if file.instance else []
        original = next((o for o in others if _is_copy(file, o, pool)), None)
        if original is None:
            others.append(file)
            kept.append(file)
        else:
            copies.append((file.frames[0].name, original.frames[0].name))
    if not copies:
        return kept, ()
    listed = ", ".join(f"{copy} (as {original})" for copy, original in copies[:_SHOWN])
    more = f" and {len(copies) - _SHOWN} more" if len(copies) > _SHOWN else ""
    return kept, (
        f"Left out, as copies: the same image (SOPInstanceUID and samples) is there twice: "
        f"{listed}{more}.",
    )


def _is_copy(file: DicomFile, other: DicomFile, pool: FilePool) -> bool:
    if file.series != other.series or file.pixels != other.pixels:
        return False
    pairs = zip(file.frames, other.frames, strict=False)
    if len(file.frames) != len(other.frames) or any(
        (a.position, a.orientation, a.scale) != (b.position, b.orientation, b.scale)
        for a, b in pairs
    ):
        return False
    return _same_samples(file, other, pool)


def _same_samples(file: DicomFile, other: DicomFile, pool: FilePool) -> bool:
    """Whether all bytes from the pixel data on are alike."""
    a, b = file.frames[0].path, other.frames[0].path
    size = pool.size(a) - file.pixels_at
    if size != pool.size(b) - other.pixels_at:
        return False
    for at in range(0, size, _CHUNK_BYTES):
        count = min(_CHUNK_BYTES, size - at)
        if pool.read(a, file.pixels_at + at, count) != pool.read(b, other.pixels_at + at, count):
            return False
    return True
