"""Headers of NRRD files. Source: teem.sourceforge.net/nrrd/format.html (NRRD0001 to NRRD0005)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scientistcloud.errors import CorruptSource, UnsupportedDtype, UnsupportedLayout
from scientistcloud.readers.arrays.raw_grid import MAX_COMPONENTS, Role
from scientistcloud.readers.base import Axis, Matrix
from scientistcloud.readers.files.archive_names import shown
from scientistcloud.readers.files.data_file_names import MAX_FILES, numbered_names

MAGIC = b"NRRD000"
MAX_HEADER_BYTES = 8 << 20
_MAX_AXES = 16

_TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int,"
    " int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
_DTYPES = {name.strip(): code for code, names in _TYPES.items() for name in names.split(",")}
_ENCODINGS = {
    "raw": "raw",
    "gzip": "gz",
    "gz": "gz",
    "bzip2": "bz2",
    "bz2": "bz2",
    "txt": "ascii",
    "text": "ascii",
    "ascii": "ascii",
    "hex": "hex",
}
_SPACE_KINDS = frozenset({"domain", "space"})
_LOOSE_KINDS = frozenset({"list", "point", "stub", "scalar", "???", "none", ""})
_NUMBER = re.compile(r"[-+]?(?:nan|inf|[\d.]+(?:e[-+]?\d+)?)", re.I)


@dataclass(frozen=True)
class NrrdHeader:
    """A header, checked. Everything for each axis comes fastest axis first, as in the file.

    Attributes
    ----------
    length : int
        Bytes of the header where the data follow it.
    files : tuple of str
        Names of the data files as written; empty where the data follow the header.
    """

    name: str
    length: int
    dtype: np.dtype[np.generic]
    sizes: tuple[int, ...]
    encoding: str
    byte_skip: int
    line_skip: int
    files: tuple[str, ...]
    axes: tuple[Axis, ...]
    roles: tuple[Role, ...]
    fields: dict[str, str]
    keys: dict[str, str]

    @property
    def data_bytes(self) -> int:
        return math.prod(self.sizes) * self.dtype.itemsize


def parse_header(head: bytes, name: str) -> NrrdHeader:
    """Read the header at the begin of `head`; `name` is for messages.

    Raises
    ------
    CorruptSource, UnsupportedDtype, UnsupportedLayout
    """
    text, length = _header_text(head, name)
    fields, keys = _split(text, name)
    sizes = _sizes(fields, name)
    encoding = _ENCODINGS.get(fields.get("encoding", "").lower())
    if encoding is None:
        written = shown(fields.get("encoding", ""))
        raise UnsupportedLayout(f"{name} is stored in the unknown encoding '{written}'.")
    axes = _axes(fields, len(sizes))
    return NrrdHeader(
        name=name,
        length=length,
        dtype=_dtype(fields, encoding, name),
        sizes=sizes,
        encoding=encoding,
        byte_skip=_integer(fields, "byteskip", name),
        line_skip=_integer(fields, "lineskip", name),
        files=_files(fields, text, name),
        axes=axes,
        roles=_roles(fields, sizes, name),
        fields=fields,
        keys=keys,
    )


def _header_text(head: bytes, name: str) -> tuple[str, int]:
    ends = [head.find(mark) for mark in (b"\n\n", b"\n\r\n")]
    found = [
        (end, len(mark)) for end, mark in zip(ends, (b"\n\n", b"\n\r\n"), strict=True) if end >= 0
    ]
    if found:
        end, mark = min(found)
        return head[:end].decode("utf-8", "replace"), end + mark
    if len(head) >= MAX_HEADER_BYTES:
        raise CorruptSource(f"{name} has a header without an end.")
    return head.decode("utf-8", "replace"), len(head)


def _split(text: str, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """The fields (``name: value``, names in small letters) and the pairs ``key:=value``."""
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        line = line.strip()
        if line.startswith("#") or not line:
            continue
        if ":=" in line and (": " not in line or line.index(":=") < line.index(": ")):
            key, _, value = line.partition(":=")
            keys[key.strip()] = value.strip()
            continue
        key, colon, value = line.partition(":")
        if not colon:
            if "datafile" in fields:
                continue  # the names of a LIST
            raise CorruptSource(
                f"{name} has a line in its header that is no field: '{shown(line)}'."
            )
        fields[key.strip().lower().replace(" ", "")] = value.strip()
        if key.strip().lower().replace(" ", "") == "datafile" and value.split()[:1] == ["LIST"]:
            break
    return fields, keys


def _sizes(fields: dict[str, str], name: str) -> tuple[int, ...]:
    try:
        rank = int(fields["dimension"])
        sizes = tuple(int(n) for n in fields["sizes"].split())
    except KeyError as error:
        raise CorruptSource(f"{name} lacks the field {error} in its header.") from error
    except ValueError as error:
        raise CorruptSource(f"{name} has sizes that are no numbers.") from error
    if not 1 <= rank <= _MAX_AXES or len(sizes) != rank or any(n < 1 for n in sizes):
        raise CorruptSource(f"{name} has sizes that cannot be: {shown(fields['sizes'])}.")
    return sizes


def _dtype(fields: dict[str, str], encoding: str, name: str) -> np.dtype[np.generic]:
    kind = " ".join(fields.get("type", "").lower().split())
    if kind not in _DTYPES:
        raise UnsupportedDtype(
            f"{name} holds samples of the type '{shown(kind)}', which cannot be shown."
        )
    dtype = np.dtype(_DTYPES[kind])
    if dtype.itemsize == 1 or encoding == "ascii":
        return dtype
    endian = fields.get("endian", "").lower()
    if endian == "little":
        return dtype.newbyteorder("<")
    if endian == "big":
        return dtype.newbyteorder(">")
    raise CorruptSource(f"{name} does not tell the byte order of its samples (endian).")


def _integer(fields: dict[str, str], key: str, name: str) -> int:
    try:
        return int(fields.get(key, "0"))
    except ValueError as error:
        raise CorruptSource(f"{name} has a {key} that is no number.") from error


def _files(fields: dict[str, str], text: str, name: str) -> tuple[str, ...]:
    written = fields.get("datafile", "")
    if not written:
        return ()
    if written.split()[0] == "LIST":
        lines = text.splitlines()
        start = next(
            i for i, l in enumerate(lines) if l.lower().replace(" ", "").startswith("datafile:")
        )
        return tuple(l.strip() for l in lines[start + 1 : start + 1 + MAX_FILES] if l.strip())
    return numbered_names(written, name)


def _roles(fields: dict[str, str], sizes: tuple[int, ...], name: str) -> tuple[Role, ...]:
    """What each axis is, by its kind; an axis that `space directions` calls none is no space."""
    kinds = fields.get("kinds", "").lower().split()
    kinds += [""] * (len(sizes) - len(kinds))
    directions = _directions(fields.get("spacedirections", ""), len(sizes))
    roles: list[Role] = []
    for i, (kind, size) in enumerate(zip(kinds, sizes, strict=False)):
        if kind == "complex" and size > 1:
            raise UnsupportedDtype(
                f"{name} holds complex numbers.",
                remedy="Export magnitude and phase, or real and imaginary part, as separate data.",
            )
        if kind == "time":
            roles.append("time")
        elif kind in _SPACE_KINDS or (kind in _LOOSE_KINDS and directions[i] is not None):
            roles.append("space")
        elif kind in _LOOSE_KINDS - {"", "???"} or fields.get("spacedirections"):
            roles.append(
                "component" if size <= MAX_COMPONENTS or kind not in _LOOSE_KINDS else "time"
            )
        elif kind in ("", "???"):
            roles.append("space")
        else:
            roles.append("component")
    if "space" not in roles:
        roles = ["space"] * len(sizes)
    return tuple(roles)


def _directions(text: str, rank: int) -> list[tuple[float, ...] | None]:
    """The vector of each axis; None for ``none``, for nan, and where there are none at all."""
    found: list[tuple[float, ...] | None] = []
    for word in re.findall(r"none|\([^)]*\)", text.lower()):
        numbers = tuple(_numbers(word))
        good = bool(numbers) and all(math.isfinite(n) for n in numbers)
        found.append(numbers if good else None)
    return [*found[:rank], *([None] * (rank - len(found)))]


def _numbers(text: str) -> list[float]:
    numbers = []
    for word in _NUMBER.findall(text):
        try:
            numbers.append(float(word))
        except ValueError:
            numbers.append(math.nan)
    return numbers


def _axes(fields: dict[str, str], rank: int) -> tuple[Axis, ...]:
    directions = _directions(fields.get("spacedirections", ""), rank)
    spacings = _numbers(fields.get("spacings", ""))
    starts = _numbers(fields.get("axismins", ""))
    origins = _numbers(fields.get("spaceorigin", ""))
    units = re.findall(r'"([^"]*)"', fields.get("units", ""))
    space_units = re.findall(r'"([^"]*)"', fields.get("spaceunits", ""))
    straight = _is_straight(directions)
    axes, space = [], 0
    for i in range(rank):
        vector = directions[i]
        spacing = _good(spacings, i)
        origin = _good(starts, i)
        unit = units[i] if i < len(units) else None
        if vector is not None:
            spacing = math.sqrt(sum(v * v for v in vector)) or None
            origin = _good(origins, space) if straight else None
            unit = space_units[space] if space < len(space_units) else unit
            space += 1
        axes.append(Axis("xyz"[i] if i < 3 else f"axis{i}", spacing or None, origin, unit or None))
    return tuple(axes)


def matrix_of_header(fields: Mapping[str, str], rank: int) -> Matrix:
    """From indices along the axes with a direction to space; empty where that is not square."""
    vectors = [v for v in _directions(fields.get("spacedirections", ""), rank) if v is not None]
    size = len(vectors)
    if not size or any(len(v) != size for v in vectors):
        return ()
    origin = _numbers(fields.get("spaceorigin", ""))
    if len(origin) != size or not all(map(math.isfinite, origin)):
        origin = [0.0] * size
    rows = [(*(v[i] for v in vectors), origin[i]) for i in range(size)]
    return (*rows, (*(0.0 for _ in range(size)), 1.0))


def _is_straight(directions: list[tuple[float, ...] | None]) -> bool:
    """Whether the grid's axes are those of space, so that its origin lies on them."""
    vectors = [v for v in directions if v is not None]
    return all(
        len(v) > i and v[i] > 0 and all(abs(c) <= 1e-6 * v[i] for j, c in enumerate(v) if j != i)
        for i, v in enumerate(vectors)
    )


def _good(values: list[float], index: int) -> float | None:
    return values[index] if index < len(values) and math.isfinite(values[index]) else None
