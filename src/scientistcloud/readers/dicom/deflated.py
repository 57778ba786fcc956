"""DICOM files that are deflated as a whole: a limit, because pydicom inflates them in memory."""

from __future__ import annotations

from typing import BinaryIO

from scientistcloud.errors import UnsupportedLayout
from scientistcloud.readers.files.compression import BLOCK_BYTES, Inflater, decode_stream

MAX_INFLATED_BYTES = 64 << 20
_SYNTAX = b"1.2.840.10008.1.2.1.99"


def check_deflated(file: BinaryIO, name: str) -> None:
    """Refuse a deflated file that swells beyond reason: pydicom inflates it as a whole."""
    head = file.read(4096)
    file.seek(0)
    if head[128:132] != b"DICM" or _SYNTAX not in head:
        return
    start = 132
    while head[start : start + 2] == b"\2\0":
        is_long = head[start + 4 : start + 6] in (b"OB", b"UN")
        at, size = (start + 8, 4) if is_long else (start + 6, 2)
        start = at + size + int.from_bytes(head[at : at + size], "little")
    file.seek(start)
    blocks = iter(lambda: file.read(BLOCK_BYTES), b"")
    total = 0
    for block in decode_stream(blocks, lambda: Inflater(-15), several=True, marked_end=False):
        total += len(block)
        if total > MAX_INFLATED_BYTES:
            raise UnsupportedLayout(
                f"{name} is deflated as a whole and inflates to more than "
                f"{MAX_INFLATED_BYTES >> 20} MiB.",
                remedy="Export the images without compression.",
            )
    file.seek(0)
