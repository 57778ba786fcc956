"""The text of an ``.idx`` file as a value: `parse_header` and `format_header`.

Inside, everything is in array order (slowest axis first); the text has x first. The rules were
read in OpenVisus (``IdxFile.cpp``, ``Field.cpp``) and tried with it. Somebody else's header is not
trusted: no number in it makes us allocate or loop, and no path in it leads out of its folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scientistcloud.errors import CorruptSource, UnsupportedLayout
from scientistcloud.grid import Box, Shape
from scientistcloud.idx.headers.field import (
    HZ_ORDER,
    ROW_MAJOR,
    IdxField,
    format_field,
    parse_fields,
)
from scientistcloud.idx.headers.place import (
    INDEX,
    UNKNOWN,
    Matrix,
    Pairs,
    axis_place,
    format_place,
    parse_box,
    parse_matrix,
    parse_units,
)
from scientistcloud.idx.headers.sections import one_line, sections
from scientistcloud.idx.headers.template import (
    check_templates,
    format_time,
    guess_template,
    parse_time,
)
from scientistcloud.idx.headers.xml_text import is_xml, text_of_xml

__all__ = [
    "HZ_ORDER",
    "ROW_MAJOR",
    "IdxField",
    "IdxHeader",
    "format_header",
    "guess_template",
    "load_header",
    "parse_header",
]

HEADER_LIMIT_BYTES = 1 << 20
MAX_BITS = 62
MAX_BLOCK_BYTES = (1 << 31) - 1
"""The size of a block is a signed 32-bit number in OpenVisus."""


@dataclass(frozen=True, slots=True)
class IdxHeader:
    """What an ``.idx`` file says.

    Attributes
    ----------
    box : Box
        The logic box in array order, half-open; its low corner is nearly always the origin.
    bits : str
        The bitmask as text, ``V012...``; its digits are axes with x as 0.
    time_ranges : tuple of range
        The values of time, in order. Our own have one, ``range(0, timesteps)``.
    time_template : str
        Empty where the dataset has no ``(time)``.
    arco : int
        Bytes of one block of the largest field in an ARCO dataset; 0 for block files.
    axis_names : tuple of str
        Array order; empty where unknown.
    physic_box : tuple of (float, float)
        Array order. Sample i of an axis of n lies at ``low + (i - box.lo) * (high - low) / n``,
        which is OpenVisus's map from the logic box; empty where unknown.
    matrix : Matrix
        ``(logic_to_physic)``, x first as in the text: for grids that run downwards, are turned or
        sheared, and have no `physic_box` therefore; else empty.
    axis_units : tuple of str
        Array order; see `place`. Empty where unknown.
    metadata : Mapping
        Keys that mean nothing here, kept.
    """

    box: Box
    fields: tuple[IdxField, ...]
    bits: str
    bits_per_block: int
    blocks_per_file: int
    filename_template: str
    time_ranges: tuple[range, ...] = (range(0, 1),)
    time_template: str = ""
    arco: int = 0
    axis_names: tuple[str, ...] = ()
    physic_box: Pairs = ()
    matrix: Matrix = ()
    axis_units: tuple[str, ...] = ()
    version: int = 6
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def shape(self) -> Shape:
        return self.box.shape

    @property
    def timesteps(self) -> int:
        """Number of timesteps."""
        return sum(map(len, self.time_ranges))

    @property
    def max_resolution(self) -> int:
        """Number of bits of the bitmask: the finest level."""
        return len(self.bits) - 1

    @property
    def block_count(self) -> int:
        """Blocks of one field at one timestep, missing ones included."""
        return 1 << (self.max_resolution - self.bits_per_block)

    def time_value(self, timestep: int) -> int:
        """The value of time (as file names and OpenVisus have it) of the timestep, from 0."""
        if timestep < 0:
            raise IndexError(f"no timestep {timestep}")
        rest = timestep
        for values in self.time_ranges:
            if rest < len(values):
                return values[rest]
            rest -= len(values)
        raise IndexError(f"timestep {timestep} of {self.timesteps}")

    def field_index(self, name: str) -> int:
        """The place of the field called `name`; KeyError where there is none."""
        for index, candidate in enumerate(self.fields):
            if candidate.name == name:
                return index
        raise KeyError(name)

    def axis_place(self, axis: int) -> tuple[float, float] | None:
        """``(first, spacing)`` of the samples along an axis (array order); None where unknown."""
        return axis_place(axis, self.box, self.physic_box, self.matrix, self.axis_units)

    def axis_unit(self, axis: int) -> str | None:
        """The unit of the coordinates along an axis (array order); None where unknown."""
        unit = self.axis_units[axis] if self.axis_units else UNKNOWN
        return None if unit in (UNKNOWN, INDEX) else unit

    def block_bytes(self, field_index: int) -> int:
        """Bytes of one block of the field, decoded."""
        return self.fields[field_index].sample_bytes << self.bits_per_block


def load_header(path: Path) -> IdxHeader:
    """Read and parse the ``.idx`` file `path`; at most `HEADER_LIMIT_BYTES` of it are read."""
    with path.open("rb") as file:
        data = file.read(HEADER_LIMIT_BYTES + 1)
    if len(data) > HEADER_LIMIT_BYTES:
        raise CorruptSource(f"'{path.name}' is too long for an IDX header.")
    return parse_header(data.decode("utf-8", "replace"), name=path.stem)


def parse_header(text: str, *, name: str = "visus") -> IdxHeader:
    """The value of an ``.idx`` text of version 6.

    Parameters
    ----------
    text : str
        The file's text, in OpenVisus's text form or as XML.
    name : str
        The file's name without ``.idx``, from which a missing ``(filename_template)`` follows.

    Raises
    ------
    CorruptSource
        A part is missing, no number, or contradicts another.
    UnsupportedLayout
        An older version, a type of sample that cannot be read, blocks larger than 2 GB.
    UnsafeSource
        A template that leads out of the header's folder.
    """
    values = sections(text_of_xml(text) if is_xml(text) else text)
    version = _integer(values.pop("version", ""), "version", 0, 1 << 31)
    if version != 6:
        raise UnsupportedLayout(f"The IDX header is of version {version}; only 6 can be read.")
    bits = _parse_bits(values.pop("bits", ""))
    ndim = int(max(bits[1:])) + 1
    box = _parse_box(values.pop("box", ""), ndim, bits)
    fields = parse_fields(values.pop("fields", ""))
    max_resolution = len(bits) - 1
    bits_per_block = _integer(values.pop("bitsperblock", "0"), "bitsperblock", 0, 1 << 31)
    bits_per_block = min(bits_per_block or 16, max_resolution)
    largest_bytes = max(f.sample_bytes for f in fields)
    if largest_bytes << bits_per_block > MAX_BLOCK_BYTES:
        raise UnsupportedLayout("The IDX header asks for blocks of more than 2 GB.")
    template = values.pop("filename_template", "")
    template = template or guess_template(name, max_resolution - bits_per_block)
    blocks_per_file = _parse_blocks_per_file(
        values.pop("blocksperfile", "0"),
        template,
        1 << (max_resolution - bits_per_block),
        sum(f.sample_bytes for f in fields) << bits_per_block,
    )
    time_ranges, time_template = parse_time(values.pop("time", ""))
    physic_box = parse_box(values.pop("physic_box", ""), ndim)
    matrix = parse_matrix(values.pop("logic_to_physic", ""), ndim)
    arco = _integer(values.pop("arco", "0"), "arco", 0, 1 << 40)
    axis_names = tuple(reversed(values.pop("axis", "").split()))
    for ignored in ("interleave block", "interleave", "missing_blocks"):
        values.pop(ignored, None)
    check_templates(template, time_template)
    return IdxHeader(
        box=box,
        fields=fields,
        bits=bits,
        bits_per_block=bits_per_block,
        blocks_per_file=blocks_per_file,
        filename_template=template,
        time_ranges=time_ranges,
        time_template=time_template,
        arco=arco,
        axis_names=axis_names if len(axis_names) == ndim else (),
        physic_box=physic_box,
        matrix=() if physic_box else matrix,
        axis_units=parse_units(values.pop("axis_units", ""), ndim),
        version=version,
        metadata=values,
    )


def format_header(header: IdxHeader) -> str:
    """The ``.idx`` text of `header`, in the form and order that OpenVisus writes.

    A ``(physic_box)`` that does not ascend along every axis is left out: OpenVisus would replace
    it silently.
    """
    pairs = zip(reversed(header.box.lo), reversed(header.box.hi), strict=True)
    parts = {
        "version": str(header.version),
        "box": " ".join(f"{lo} {hi - 1}" for lo, hi in pairs),
    }
    if header.axis_names:
        parts["axis"] = " ".join(reversed(header.axis_names))
    parts |= format_place(header.physic_box, header.matrix, header.axis_units)
    parts["fields"] = "\n+ ".join(map(format_field, header.fields))
    parts["bits"] = header.bits
    parts["bitsperblock"] = str(header.bits_per_block)
    parts["blocksperfile"] = str(header.blocks_per_file)
    parts["interleave block"] = "0"
    if header.time_template:
        parts["time"] = format_time(header.time_ranges, header.time_template)
    parts["filename_template"] = header.filename_template
    parts["missing_blocks"] = "0"
    parts["arco"] = str(header.arco)
    for key, value in header.metadata.items():
        parts[one_line(key)] = one_line(value)
    return "".join(f"({key})\n{value}\n" for key, value in parts.items())


def _integer(text: str, key: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[+-]?\d{1,20}", text.strip()) or not low <= int(text) < high:
        raise CorruptSource(f"The IDX header has no usable ({key}): {text[:40]!r}.")
    return int(text)


def _parse_bits(text: str) -> str:
    if not re.fullmatch(r"V[0-4]+", text[: MAX_BITS + 2]):
        raise CorruptSource(f"The IDX header has no usable (bits): {text[:40]!r}.")
    if len(text) > MAX_BITS + 1:
        raise UnsupportedLayout(f"The IDX header has more than {MAX_BITS} bits.")
    return text


def _parse_box(text: str, ndim: int, bits: str) -> Box:
    numbers = [_integer(word, "box", -(1 << 62), 1 << 62) for word in text[:1000].split()]
    if len(numbers) < 2 * ndim or any(n not in (0, 1) for n in numbers[2 * ndim :]):
        raise CorruptSource(f"The (box) of the IDX header does not fit its (bits): {text[:60]!r}.")
    lo = tuple(reversed(numbers[0 : 2 * ndim : 2]))
    hi = tuple(n + 1 for n in reversed(numbers[1 : 2 * ndim : 2]))
    box = Box(lo, hi)
    room = tuple(1 << bits.count(str(ndim - 1 - axis)) for axis in range(ndim))
    if box.is_empty or not Box.of_shape(room).contains(box):
        raise CorruptSource(f"The (box) of the IDX header does not fit its (bits): {text[:60]!r}.")
    return box


def _parse_blocks_per_file(text: str, template: str, total: int, blocks_bytes: int) -> int:
    count = _integer(text, "blocksperfile", -1, 1 << 31)
    if count == -1 or "%" not in template:
        return total
    if count == 0:
        count = min(total, max(1, (32 << 20) // blocks_bytes))
    return count
