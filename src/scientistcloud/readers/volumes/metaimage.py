"""MetaImage (``.mha``, and ``.mhd`` with its data beside it): read by position.

Uncompressed data are read where they lie; zlib streams and ASCII are decoded once into a scratch
file. Source: MetaIO (itk.org/Wiki/MetaIO/Documentation) and its metaTypes.h.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scientistcloud.errors import CorruptSource, UnsupportedDtype, UnsupportedLayout
from scientistcloud.readers.arrays.attributes import json_attributes
from scientistcloud.readers.arrays.raw_grid import (
    StoredAxis,
    Volume,
    make_volume,
    spread_over_files,
)
from scientistcloud.readers.arrays.sample_text import from_ascii
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Axis, Choice, Match, Matrix, Selection, Source
from scientistcloud.readers.files.archive_names import shown
from scientistcloud.readers.files.compression import MAGIC, decompress, file_blocks
from scientistcloud.readers.files.data_file_names import numbered_names
from scientistcloud.readers.files.listing import read_head
from scientistcloud.readers.files.open_files import handed_over
from scientistcloud.readers.files.scratch_pool import ScratchPool

_MAX_HEADER_BYTES = 1 << 20
_SUFFIXES = frozenset({".mha", ".mhd"})
_TYPES = {
    "CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4",
    "LONG": "i4", "ULONG": "u4", "LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4",
    "DOUBLE": "f8",
}  # fmt: skip
"""metaTypes.h: a LONG has four bytes everywhere."""
_LINE = re.compile(rb"\s*([A-Za-z]\w*)\s*=[ \t]*([^\r\n]*)")


@dataclass(frozen=True)
class MetaHeader:
    """A header, checked; axes fastest first, as in the file."""

    name: str
    length: int
    sizes: tuple[int, ...]
    channels: int
    dtype: np.dtype[np.generic]
    skip: int
    is_packed: bool
    is_text: bool
    data: str
    axes: tuple[Axis, ...]
    matrix: Matrix
    fields: dict[str, str]
    notes: tuple[str, ...]

    @property
    def data_bytes(self) -> int:
        count = self.channels * self.dtype.itemsize
        for size in self.sizes:
            count *= size
        return count


class MetaImageReader:
    """Recognises and opens MetaImage files."""

    name = "metaimage"

    def match(self, path: Path, head: bytes) -> Match:
        if _LINE.match(head) and (b"NDims" in head or b"DimSize" in head) and b"Element" in head:
            return Match.CERTAIN
        return Match.POSSIBLE if path.suffix.lower() in _SUFFIXES else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        with handed_over(ScratchPool(selection)) as pool:
            volumes = [_volume(path, pool) for path in files]
            return open_volumes(volumes, "MetaImage", selection.parameters, pool)


READER = MetaImageReader()


def parse_header(head: bytes, name: str) -> MetaHeader:
    """Read the header at the begin of `head`; `name` is for messages.

    Raises
    ------
    CorruptSource, UnsupportedDtype
    """
    fields, length = _fields(head, name)
    sizes = tuple(int(n) for n in _numbers(fields, "DimSize", name))
    rank = _numbers(fields, "NDims", name) or [len(sizes)]
    if not sizes or len(sizes) != rank[0] or min(sizes) < 1:
        raise CorruptSource(f"{name} has sizes that cannot be: {shown(fields.get('DimSize', ''))}.")
    kind = fields.get("ElementType", "").upper().removeprefix("MET_").removesuffix("_ARRAY")
    if kind not in _TYPES:
        raise UnsupportedDtype(
            f"{name} holds samples of the type '{shown(kind)}', which is not known."
        )
    dtype = np.dtype(_TYPES[kind])
    msb = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB"))
    notes: tuple[str, ...] = ()
    if msb is None and dtype.itemsize > 1:
        notes = (f"{name} does not tell its byte order; little-endian was assumed.",)
    channels = int((_numbers(fields, "ElementNumberOfChannels", name) or [1])[0])
    skip = int((_numbers(fields, "HeaderSize", name) or [0])[0])
    if not 1 <= channels <= 1 << 16 or not -1 <= skip <= 1 << 62:
        raise CorruptSource(f"{name} has a header that cannot be.")
    return MetaHeader(
        name=name,
        length=length,
        sizes=sizes,
        channels=channels,
        dtype=dtype.newbyteorder(">" if _is_true(msb) else "<"),
        skip=skip,
        is_packed=_is_true(fields.get("CompressedData")),
        is_text=not _is_true(fields.get("BinaryData", "True")),
        data=fields["ElementDataFile"],
        axes=_axes(fields, len(sizes), name),
        matrix=_matrix(fields, len(sizes), name),
        fields=fields,
        notes=notes,
    )


def _fields(head: bytes, name: str) -> tuple[dict[str, str], int]:
    """The lines up to ``ElementDataFile``, which is the last one, and where they end."""
    fields: dict[str, str] = {}
    at = 0
    while line := _LINE.match(head, at):
        key, value = line[1].decode("latin-1"), line[2].decode("utf-8", "replace").strip()
        fields[key] = value
        at = line.end()
        if key == "ElementDataFile":
            at = head.find(b"\n", at) + 1 or len(head)
            return fields, at
    raise CorruptSource(f"{name} has no complete MetaImage header (ElementDataFile).")


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() in ("true", "1", "t")


def _numbers(fields: dict[str, str], key: str, name: str) -> list[float]:
    try:
        values = [float(word) for word in fields.get(key, "").split()]
        if any(value != value or abs(value) > 1e300 for value in values):
            raise ValueError("not finite")
    except ValueError as error:
        raise CorruptSource(f"{name} has a {key} that is no list of numbers.") from error
    return values


def _first(fields: dict[str, str], keys: Sequence[str], name: str) -> list[float]:
    """The numbers of the first of the keys that has some."""
    return next((found for key in keys if (found := _numbers(fields, key, name))), [])


def _axes(fields: dict[str, str], rank: int, name: str) -> tuple[Axis, ...]:
    spacing = _numbers(fields, "ElementSpacing", name) or _numbers(fields, "ElementSize", name)
    origin = _first(fields, ("Offset", "Position", "Origin"), name)
    turn = _first(fields, ("TransformMatrix", "Rotation", "Orientation"), name)
    straight = not turn or (
        len(turn) == rank * rank and np.allclose(np.reshape(turn, (rank, rank)), np.eye(rank))
    )
    units = fields.get("DistanceUnits", "").strip() or None
    return tuple(
        Axis(
            "xyz"[i] if i < 3 else "time",
            abs(spacing[i]) or None if i < len(spacing) else None,
            origin[i] if straight and i < len(origin) else None,
            units if i < 3 else None,
        )
        for i in range(rank)
    )


def _matrix(fields: dict[str, str], rank: int, name: str) -> Matrix:
    """From indices to positions; each row of the file's matrix is the direction of one axis."""
    size = min(rank, 3)
    spacing = _numbers(fields, "ElementSpacing", name) or _numbers(fields, "ElementSize", name)
    origin = _first(fields, ("Offset", "Position", "Origin"), name)
    turn = _first(fields, ("TransformMatrix", "Rotation", "Orientation"), name)
    if rank > 3 or len(turn) != rank * rank or len(spacing) < rank:
        return ()
    shift = [*origin[:size], *(0.0 for _ in range(size - len(origin)))]
    rows = [
        (*(turn[axis * rank + i] * abs(spacing[axis]) for axis in range(size)), shift[i])
        for i in range(size)
    ]
    return (*rows, (*(0.0 for _ in range(size)), 1.0))


def _volume(path: Path, pool: ScratchPool) -> Volume:
    name = pool.name(path)
    header = parse_header(read_head(path, _MAX_HEADER_BYTES), name)
    parts = _parts(path, header, pool)
    count = len(parts)
    if header.sizes[-1] % count:
        raise UnsupportedLayout(f"{name} spreads its samples unevenly over {count} files.")
    places = [_place(p, header, header.data_bytes // count, pool, own=p == path) for p in parts]
    step = header.dtype.itemsize
    stored = [StoredAxis(header.channels, step, Axis("component"), "component")]
    step *= header.channels
    for i, (size, axis) in enumerate(zip(header.sizes, header.axes, strict=True)):
        stored.append(StoredAxis(size, step, axis, "space" if i < 3 else "time"))
        step *= size
    volume = make_volume(
        places[0][0], name, places[0][1], header.dtype, stored[::-1],
        metadata={"format": "MetaImage", "fields": json_attributes(header.fields.items())},
        choices=_choices(header), notes=header.notes, matrix=header.matrix,
    )  # fmt: skip
    if count > 1:
        volume = spread_over_files(volume, places, in_time=len(header.sizes) > 3)
    return replace(volume, inputs=(path, *(part for part in parts if part != path)))


def _choices(header: MetaHeader) -> tuple[Choice, ...]:
    if len(header.sizes) > 3 and header.sizes[3] > 1:
        return (Choice("time_axis", "fourth", "the fourth axis is time"),)
    return ()


def _parts(path: Path, header: MetaHeader, pool: ScratchPool) -> list[Path]:
    word = header.data.split()[0] if header.data.split() else ""
    if word.upper() == "LOCAL":
        return [path]
    if word.upper() == "LIST":
        lines = read_head(path, _MAX_HEADER_BYTES)[header.length :].decode("utf-8", "replace")
        names = [line.strip() for line in lines.splitlines() if line.strip()]
    else:
        names = list(numbered_names(header.data, header.name))
    if not names:
        raise CorruptSource(f"{header.name} names no data files.")
    return [pool.member(path, name) for name in names]


def _place(
    path: Path, header: MetaHeader, length: int, pool: ScratchPool, *, own: bool
) -> tuple[Path, int]:
    """The file with `length` bytes of samples, uncompressed, and where in it they begin."""
    name = pool.name(path)
    start = header.length if own else max(0, header.skip)
    if header.is_packed:
        blocks = file_blocks(path, start)
        kind = "gz" if pool.read(path, start, 2) == MAGIC["gz"][:2] else "zlib"
        return pool.decode(decompress(blocks, kind, name), length, name), 0
    if header.is_text:
        stream = from_ascii(file_blocks(path, start), header.dtype, name)
        return pool.decode(stream, length, name), 0
    if header.skip == -1 and not own:
        start = max(0, pool.size(path) - length)
    return path, start
