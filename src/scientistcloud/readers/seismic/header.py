"""Headers of SEG-Y: text, binary header, and what the header of each trace says.

Source: SEG-Y revision 2.1 of the SEG technical standards committee; bytes are counted from 1 there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource, UnsupportedDtype, UnsupportedLayout
from scientistcloud.grid import Box
from scientistcloud.readers.arrays.attributes import text
from scientistcloud.readers.arrays.raw_array import RawArray
from scientistcloud.readers.files.open_files import FilePool

TEXT_BYTES, BINARY_BYTES, TRACE_HEADER_BYTES = 3200, 400, 240
HEAD_BYTES = TEXT_BYTES + BINARY_BYTES
IBM_FLOAT = 1
FORMATS = {
    IBM_FLOAT: "u4", 2: "i4", 3: "i2", 5: "f4", 6: "f8", 8: "i1", 9: "i8", 10: "u4", 11: "u2",
    12: "u8", 16: "u1",
}  # fmt: skip
_MOST_TRACES = 1 << 26
_EBCDIC_C, _ASCII_C = 0xC3, 0x43

Order = Literal["<", ">"]


@dataclass(frozen=True, slots=True)
class SegyHeader:
    """The header of a file; `interval` in microseconds (or millimetres of depth)."""

    order: Order
    code: int
    samples: int
    interval: int
    offset: int
    traces: int
    description: str

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + FORMATS[self.code])

    @property
    def trace_bytes(self) -> int:
        return TRACE_HEADER_BYTES + self.samples * self.dtype.itemsize


def looks_like_segy(head: bytes) -> bool:
    """Whether `head` has lines that begin with C, and a binary header that makes sense."""
    return (
        len(head) >= HEAD_BYTES
        and head[0] in (_EBCDIC_C, _ASCII_C)
        and head[80] == head[0]
        and byte_order(head) is not None
    )


def byte_order(head: bytes) -> Order | None:
    """The order in which the code of the format and the number of samples make sense."""
    orders: tuple[Order, Order] = (">", "<")
    for order in orders:
        if _short(head, 3225, order) in FORMATS and _short(head, 3221, order) > 0:
            return order
    return None


def _short(head: bytes, byte: int, order: Order) -> int:
    return int(np.frombuffer(head, f"{order}u2", 1, byte - 1)[0])


def read_header(path: Path, pool: FilePool) -> SegyHeader:
    """The header of the file.

    Raises
    ------
    CorruptSource, UnsupportedDtype, UnsupportedLayout
        It makes no sense, or the traces do not fit into the file.
    """
    name, size = pool.name(path), pool.size(path)
    if size < HEAD_BYTES:
        raise CorruptSource(f"{name} is cut short: it has no whole SEG-Y header.")
    head = pool.read(path, 0, HEAD_BYTES)
    order = byte_order(head)
    if order is None:
        code = _short(head, 3225, ">")
        raise UnsupportedDtype(f"{name} holds samples of the unknown format {code}, or none.")
    extra = int(np.frombuffer(head, f"{order}i2", 1, 3504)[0])
    if not 0 <= extra < 1024:
        raise UnsupportedLayout(
            f"{name} does not tell how many further headers it has.",
            remedy="Write it again without extended textual headers.",
        )
    offset = HEAD_BYTES + extra * TEXT_BYTES
    header = SegyHeader(
        order, _short(head, 3225, order), _short(head, 3221, order), _short(head, 3217, order),
        offset, 0, _text(head[:TEXT_BYTES]),
    )  # fmt: skip
    traces, rest = divmod(size - offset, header.trace_bytes)
    if traces < 1 or rest:
        raise CorruptSource(
            f"{name} is cut short, or its traces are of unlike length: {size - offset:,} bytes are "
            f"no multiple of {header.trace_bytes:,}."
        )
    if traces > _MOST_TRACES:
        raise UnsupportedLayout(f"{name} holds {traces:,} traces, more than {_MOST_TRACES:,}.")
    return SegyHeader(
        header.order, header.code, header.samples, header.interval, offset, traces,
        header.description,
    )  # fmt: skip


def _text(data: bytes) -> str:
    plain = data.decode("cp037" if data[0] == _EBCDIC_C else "latin-1")
    lines = [plain[i : i + 80].rstrip() for i in range(0, len(plain), 80)]
    return text("\n".join(lines))


def trace_words(
    path: Path, header: SegyHeader, pool: FilePool, byte: int, kind: str = "i4"
) -> NDArray[Any]:
    """What the headers of all traces have at `byte` (from 1), as int64."""
    dtype = np.dtype(header.order + kind)
    words = RawArray(path, header.offset + byte - 1, dtype, (header.traces,), (header.trace_bytes,))
    values = np.empty(header.traces, dtype.newbyteorder("="))
    words.read(pool, 0, Box((0,), (header.traces,)), values)
    return values.astype("i8")
