"""Where the bytes of a block lie: names of files and the table at the head of a block file.

A block file holds `blocks_per_file` consecutive blocks of every field at one timestep: ten zero
words, a table of ten words for each block, then the blocks in any order. An ARCO dataset has one
file without a head for each block. All words are unsigned, 32 bits, big-endian.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

HEAD_BYTES = 40
ENTRY_BYTES = 40
_ENTRY = struct.Struct(">10I")
_DIRECTIVE = re.compile(r"%0([1-9])x")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a block is within its file.

    Attributes
    ----------
    offset : int
        In bytes from the start of the file; 0 where the block is missing.
    size : int
        Stored bytes; 0 where the block is missing.
    flags : int
        The codec, and `codecs.ROW_MAJOR`.
    """

    offset: int
    size: int
    flags: int

    @property
    def is_missing(self) -> bool:
        return self.offset == 0 or self.size == 0

    def pack(self) -> bytes:
        """The ten words of the table."""
        return _ENTRY.pack(
            0, 0, self.offset & 0xFFFFFFFF, self.offset >> 32, self.size, self.flags, 0, 0, 0, 0
        )

    @classmethod
    def unpack(cls, words: bytes) -> Entry:
        """The entry whose ten words these are."""
        _, _, low, high, size, flags, *_ = _ENTRY.unpack(words)
        return cls(low | high << 32, size, flags)


def table_bytes(blocks_per_file: int, fields: int) -> int:
    """Bytes before the first block of a block file."""
    return HEAD_BYTES + ENTRY_BYTES * blocks_per_file * fields


def entry_position(block: int, field: int, blocks_per_file: int) -> int:
    """Position in its file of the table entry of a block; `field` is the field's index."""
    return HEAD_BYTES + ENTRY_BYTES * (field * blocks_per_file + block % blocks_per_file)


def time_name(time_template: str, time: int) -> str:
    """What a `(time)` template makes of a timestep; the empty template makes nothing of it."""
    return time_template % time if time_template else ""


def block_file_name(filename_template: str, time_text: str, block: int) -> str:
    """The name of the block file that begins with block number `block`, relative to the header.

    The time stands right before the first ``%`` of the template; the digits of the number are
    taken from the right, each directive taking as many as it is wide.
    """
    head, percent, tail = filename_template.partition("%")
    names, number = [], block
    for match in reversed(list(_DIRECTIVE.finditer(percent + tail))):
        width = int(match.group(1))
        names.append(f"{number & ((1 << 4 * width) - 1):0{width}x}")
        number >>= 4 * width
    return head + time_text + _DIRECTIVE.sub(lambda _: names.pop(), percent + tail)


def arco_file_name(time: int, field_name: str, block: int) -> str:
    """The name of an ARCO block, relative to the folder named as the header without ``.idx``."""
    digits = f"{block:016x}"
    return f"{time}/{field_name}/" + "/".join(digits[i : i + 4] for i in range(0, 16, 4)) + ".bin"


def block_template(base: str, block_bits: int) -> str:
    """The template of file names below `base` for ``2 ** block_bits`` blocks."""
    deeper = max(0, -(-(block_bits - 16) // 8))
    return base + "/%02x" * deeper + "/%04x.bin"
