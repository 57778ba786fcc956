"""NRRD files, with the header in front or detached (``.nhdr``): read by position.

Raw data are read where they lie; gzip, bzip2, ASCII and hex cannot be entered in the middle and
are decoded once into a scratch file. Axes by their kinds: time becomes timesteps, vectors and
colours components; without kinds the first three axes are space and the slowest is time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scientistcloud.errors import CorruptSource, UnsupportedLayout
from scientistcloud.readers.arrays.attributes import json_attributes, text
from scientistcloud.readers.arrays.raw_grid import (
    StoredAxis,
    Volume,
    make_volume,
    spread_over_files,
)
from scientistcloud.readers.arrays.sample_text import from_ascii, from_hex, skip_bytes
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Choice, Match, Selection, Source
from scientistcloud.readers.files.compression import decompress, file_blocks
from scientistcloud.readers.files.listing import read_head
from scientistcloud.readers.files.open_files import handed_over
from scientistcloud.readers.files.scratch_pool import ScratchPool
from scientistcloud.readers.volumes.nrrd_header import (
    MAGIC,
    MAX_HEADER_BYTES,
    NrrdHeader,
    matrix_of_header,
    parse_header,
)

_SUFFIXES = frozenset({".nrrd", ".nhdr"})
_MAX_SKIP_BYTES = 1 << 30


class NrrdReader:
    """Recognises and opens NRRD files."""

    name = "nrrd"

    def match(self, path: Path, head: bytes) -> Match:
        if head.startswith(MAGIC):
            return Match.CERTAIN
        return Match.POSSIBLE if path.suffix.lower() in _SUFFIXES else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        with handed_over(ScratchPool(selection)) as pool:
            volumes = [_volume(path, pool) for path in files]
            return open_volumes(volumes, "NRRD", selection.parameters, pool)


READER = NrrdReader()


def _volume(path: Path, pool: ScratchPool) -> Volume:
    name = pool.name(path)
    head = read_head(path, MAX_HEADER_BYTES)
    if not head.startswith(MAGIC):
        raise CorruptSource(f"{name} does not begin like a NRRD file.")
    header = parse_header(head, name)
    parts = [pool.member(path, written) for written in header.files] or [path]
    count = len(parts)
    if header.sizes[-1] % count:
        raise UnsupportedLayout(f"{name} spreads its samples unevenly over {count} files.")
    each = header.data_bytes // count
    places = [_place(part, header, each, pool, own=part == path) for part in parts]
    volume = make_volume(
        places[0][0],
        name,
        places[0][1],
        header.dtype,
        _stored(header),
        units=_sample_units(header),
        metadata={
            "format": "NRRD",
            "fields": json_attributes(header.fields.items()),
            "keys": json_attributes(list(header.keys.items())[:256]),
        },
        choices=_choices(header),
        matrix=matrix_of_header(header.fields, len(header.sizes)),
    )
    inputs = (path, *(part for part in parts if part != path))
    if count > 1:
        if header.roles[-1] == "component":
            raise UnsupportedLayout(f"{name} spreads components over files.")
        in_time = header.roles[-1] == "time" or header.roles.count("space") > 3
        volume = spread_over_files(volume, places, in_time=in_time)
    return replace(volume, inputs=inputs)


def _stored(header: NrrdHeader) -> list[StoredAxis]:
    """The axes of the array, slowest first."""
    step = header.dtype.itemsize
    stored = []
    space = 0
    for size, axis, role in zip(header.sizes, header.axes, header.roles, strict=True):
        name = "component"
        if role == "space":
            name, space = ("xyz"[space] if space < 3 else f"axis{space}"), space + 1
        elif role == "time":
            name = "time"
        stored.append(StoredAxis(size, step, replace(axis, name=name), role))
        step *= size
    return list(reversed(stored))


def _place(
    path: Path, header: NrrdHeader, length: int, pool: ScratchPool, *, own: bool
) -> tuple[Path, int]:
    """The file with `length` bytes of samples, uncompressed, and where in it they begin."""
    name = pool.name(path)
    start = _skip_lines(path, header.length if own else 0, header.line_skip, name)
    if header.encoding == "raw":
        if header.byte_skip == -1:
            return path, max(0, pool.size(path) - length)
        return path, start + _checked_skip(header)
    blocks = file_blocks(path, start)
    if header.encoding in ("gz", "bz2"):
        blocks = decompress(blocks, header.encoding, name)
        skip = _checked_skip(header)
        return pool.decode(skip_bytes(blocks, skip), length, name), 0
    if header.encoding == "hex":
        return pool.decode(from_hex(blocks, name), length, name), 0
    return pool.decode(from_ascii(blocks, header.dtype, name), length, name), 0


def _checked_skip(header: NrrdHeader) -> int:
    if not 0 <= header.byte_skip <= 1 << 62:
        raise CorruptSource(f"{header.name} has a byte skip that cannot be.")
    return header.byte_skip


def _skip_lines(path: Path, start: int, lines: int, name: str) -> int:
    if lines < 0:
        raise CorruptSource(f"{name} has a line skip that cannot be.")
    if lines == 0:
        return start
    position = start
    for block in file_blocks(path, start):
        found = block.count(b"\n")
        if found < lines:
            lines -= found
            position += len(block)
            continue
        at = -1
        for _ in range(lines):
            at = block.index(b"\n", at + 1)
        return position + at + 1
    raise CorruptSource(f"{name} has fewer lines than are to be skipped.")


def _sample_units(header: NrrdHeader) -> str | None:
    return (
        text(header.fields["sampleunits"].strip('" ')) if "sampleunits" in header.fields else None
    )


def _choices(header: NrrdHeader) -> tuple[Choice, ...]:
    space = [a for a, role in zip(header.axes, header.roles, strict=True) if role == "space"]
    if len(space) > 3 and header.sizes[-1] > 1:
        return (Choice("time_axis", "slowest", "of more than three axes, the slowest is time"),)
    return ()
