"""Raw binary files: nothing but samples, whose size and type are told.

1. The parameters tell: ``dims`` (x first: ``256x256x100`` or a list), ``dtype`` (``uint16``,
   ``float32``, ...), and where they differ from the usual ``offset`` (bytes before the samples,
   0), ``endian`` (``little``), ``components`` (1), ``timesteps`` (1) and ``order`` (the axes,
   fastest first: ``xyz``).
2. Without them, a name such as ``skull_256x256x256_uint8.raw`` tells, if the size of the file
   is just that many samples.

A header beside the file (``.nhdr``, ``.mhd``) is the better way: its own reader takes both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.errors import CorruptSource, InvalidOptions, UnrecognizedFormat
from scientistcloud.readers.arrays.raw_grid import StoredAxis, Volume, make_volume
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Axis, Choice, Match, Selection, Source
from scientistcloud.readers.files.open_files import FilePool, handed_over

_SUFFIXES = frozenset({".raw", ".bin", ".dat", ".vol", ".img", ".data", ".volume"})
_DTYPE = re.compile(r"^[<>]?([iu][1248]|f[248]|u?int(8|16|32|64)|float(16|32|64))$")
_ALIASES = {"float": "f4", "double": "f8", "uchar": "u1", "ushort": "u2", "short": "i2"}
_IN_NAME = re.compile(
    r"(?<!\d)(\d{1,7}x\d{1,7}(?:x\d{1,7})?)[_.-](u?int(?:8|16|32|64)|float(?:16|32|64))(?![a-z0-9])"
    r"(?:[_.-](?P<endian>le|be|little|big))?",
    re.I,
)
_REMEDY = (
    "Tell the parameters dims (x first, for instance 256x256x100) and dtype (uint8, int16, float32,"
    " ...), and where needed offset, endian, components, timesteps; or upload a header file"
    " (.nhdr or .mhd) beside it."
)


@dataclass(frozen=True)
class RawLayout:
    """What the parameters, or a name, tell of a raw file; `dims` x first."""

    dims: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int | None = None
    components: int = 1
    timesteps: int = 1
    order: str = "xyz"
    rule: str = "the parameters dims and dtype"

    @property
    def data_bytes(self) -> int:
        return math.prod(self.dims) * self.components * self.timesteps * self.dtype.itemsize


class RawReader:
    """Takes files by their suffix, as nothing else tells what they are."""

    name = "raw"

    def match(self, path: Path, head: bytes) -> Match:
        return Match.POSSIBLE if path.suffix.lower() in _SUFFIXES else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        with handed_over(FilePool(selection.root)) as pool:
            volumes = [_volume(path, pool, selection.parameters) for path in files]
            return open_volumes(volumes, "raw binary", selection.parameters, pool)


READER = RawReader()


def layout_of(name: str, parameters: Mapping[str, Any]) -> RawLayout:
    """The layout of the file `name`.

    Raises
    ------
    UnrecognizedFormat
        Neither parameters nor name tell it.
    InvalidOptions
        A parameter is not valid.
    """
    if "dims" not in parameters and "dtype" not in parameters:
        found = _IN_NAME.search(name)
        if found is None:
            raise UnrecognizedFormat(
                f"{name} holds raw binary data: nothing in it tells its size and type.",
                remedy=_REMEDY,
            )
        endian = ">" if (found["endian"] or "").lower() in ("be", "big") else "<"
        dtype = np.dtype(found[2].lower()).newbyteorder(endian)  # type: ignore[arg-type]
        return RawLayout(_dims(found[1]), dtype, rule="the name of the file tells dims and dtype")
    if "dims" not in parameters or "dtype" not in parameters:
        raise InvalidOptions(f"{name} needs both parameters, dims and dtype.", remedy=_REMEDY)
    dims = _dims(parameters["dims"])
    order = str(parameters.get("order", "xyz"[: len(dims)])).lower()
    if sorted(order) != sorted("xyz"[: len(dims)]):
        raise InvalidOptions(f"The parameter order={order!r} does not name the axes of {dims}.")
    return RawLayout(
        dims,
        _dtype(parameters["dtype"], parameters.get("endian")),
        _count(parameters, "offset", None, least=0),
        _count(parameters, "components", 1) or 1,
        _count(parameters, "timesteps", 1) or 1,
        order,
    )


def _dims(value: object) -> tuple[int, ...]:
    parts = value if isinstance(value, list | tuple) else re.split(r"[\sx,*]+", str(value).strip())
    try:
        dims = tuple(int(part) for part in parts)
    except (TypeError, ValueError) as error:
        raise InvalidOptions(f"The parameter dims={value!r} is no list of numbers.") from error
    if not 1 <= len(dims) <= 3 or min(dims) < 1:
        raise InvalidOptions(f"The parameter dims={value!r} is not one to three sizes, x first.")
    return dims


def _dtype(value: object, endian: object) -> np.dtype[Any]:
    text = str(value).strip().lower()
    text = _ALIASES.get(text, text)
    if not _DTYPE.match(text):
        raise InvalidOptions(f"The parameter dtype={value!r} is none of uint8, int16, float32, ...")
    dtype = np.dtype(text)
    if endian is None:
        return dtype
    if endian not in ("little", "big"):
        raise InvalidOptions(f"The parameter endian={endian!r} is neither 'little' nor 'big'.")
    return dtype.newbyteorder("<" if endian == "little" else ">")


def _count(
    parameters: Mapping[str, Any], key: str, default: int | None, least: int = 1
) -> int | None:
    value = parameters.get(key)
    if value is None:
        return default
    try:
        number = int(str(value))
    except ValueError as error:
        raise InvalidOptions(f"The parameter {key}={value!r} is no whole number.") from error
    if not least <= number <= 1 << 62:
        raise InvalidOptions(f"The parameter {key}={value!r} is out of range.")
    return number


def _volume(path: Path, pool: FilePool, parameters: Mapping[str, Any]) -> Volume:
    name = pool.name(path)
    layout = layout_of(name, parameters)
    _check_size(layout, pool.size(path), name)
    step = layout.dtype.itemsize
    stored = {"c": StoredAxis(layout.components, step, Axis("component"), "component")}
    step *= layout.components
    for letter in layout.order[: len(layout.dims)]:
        length = layout.dims["xyz".index(letter)]
        stored[letter] = StoredAxis(length, step, Axis(letter))
        step *= length
    time = StoredAxis(layout.timesteps, step, Axis("time"), "time")
    space = [stored[letter] for letter in "zyx" if letter in stored]
    return make_volume(
        path,
        name,
        layout.offset or 0,
        layout.dtype,
        [time, *space, stored["c"]],
        metadata={"format": "raw"},
        choices=_choices(layout),
    )


def _check_size(layout: RawLayout, size: int, name: str) -> None:
    """The size has to be that of the samples, unless an offset is told: nothing else can check."""
    needed = layout.data_bytes + (layout.offset or 0)
    sizes = "x".join(map(str, layout.dims))
    if size < needed:
        raise CorruptSource(
            f"{name} is too short for {sizes} samples of {layout.dtype.name}: "
            f"{needed:,} bytes are needed, and it has {size:,}.",
            remedy=_REMEDY,
        )
    if size > needed and layout.offset is None:
        raise InvalidOptions(
            f"{name} has {size:,} bytes, but {sizes} samples of {layout.dtype.name} take "
            f"{needed:,}.",
            remedy="Correct dims or dtype, or tell the offset of the samples or the timesteps.",
        )


def _choices(layout: RawLayout) -> tuple[Choice, ...]:
    endian, other = ("big", "little") if layout.dtype.str[0] == ">" else ("little", "big")
    return (
        Choice("dims", "x".join(map(str, layout.dims)), layout.rule),
        Choice("dtype", layout.dtype.name, layout.rule),
        Choice("endian", endian, "little-endian unless told", (other,)),
    )
