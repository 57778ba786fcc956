"""DICOM images: series of slices, multi-frame files, colours, compressed or not.

Raw samples are read by position, compressed frames decoded one at a time. The rescale slope and
intercept are applied: whole numbers stay integers of the smallest type that holds every stored
value (int16 or int32), others become float32 (float64 for more than 16 bits). MONOCHROME1 stays as
it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scientistcloud.readers.base import Match, Selection, Source

_SUFFIXES = frozenset({".dcm", ".dicom", ".ima", ".dic"})
_FIRST_GROUPS = (b"\x02\0", b"\x08\0")


class DicomReader:
    """Recognises and opens DICOM files."""

    name = "dicom"

    def match(self, path: Path, head: bytes) -> Match:
        if head[128:132] == b"DICM":
            return Match.CERTAIN
        named = path.suffix.lower() in _SUFFIXES
        if head[:2] in _FIRST_GROUPS and _is_first_element(head):
            return Match.CERTAIN if named else Match.POSSIBLE
        return Match.POSSIBLE if named else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        # pydicom is large: it is loaded for DICOM files only.
        from scientistcloud.readers.dicom.source import open_files

        return open_files(files, selection)


READER = DicomReader()


def _is_first_element(head: bytes) -> bool:
    """Whether a file without preamble begins with an element as it would: low, and short."""
    if len(head) < 12 or int.from_bytes(head[2:4], "little") > 0x20:
        return False
    if head[4:6] in (b"UL", b"UI", b"CS", b"SH", b"LO", b"DA", b"TM", b"OB"):
        return True
    return int.from_bytes(head[4:8], "little") <= 128
