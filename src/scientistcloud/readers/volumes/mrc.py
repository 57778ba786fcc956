"""MRC and CCP4 maps (``.mrc``, ``.map``, ``.ccp4``, ``.rec``, ``.st``): read by position.

Source: the MRC2014 format, Cheng et al., J. Struct. Biol. 192 (2015) 146, and CCP-EM's page on it;
modes 7, 16 and 101 and the signs of mode 0 as IMOD writes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource, InvalidOptions, UnsupportedDtype, UnsupportedLayout
from scientistcloud.grid import Box
from scientistcloud.readers.arrays.attributes import json_value
from scientistcloud.readers.arrays.axis_roles import pieces
from scientistcloud.readers.arrays.raw_array import SPAN_BYTES, BoxReader, RawArray
from scientistcloud.readers.arrays.raw_grid import StoredAxis, Volume, make_volume
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Axis, Choice, Match, Selection, Source
from scientistcloud.readers.files.listing import read_head
from scientistcloud.readers.files.open_files import FilePool, handed_over

HEADER = np.dtype(
    [
        ("nx", "i4"), ("ny", "i4"), ("nz", "i4"), ("mode", "i4"), ("nstart", "i4", (3,)),
        ("mx", "i4"), ("my", "i4"), ("mz", "i4"), ("cella", "f4", (3,)), ("cellb", "f4", (3,)),
        ("mapc", "i4"), ("mapr", "i4"), ("maps", "i4"), ("dmin", "f4"), ("dmax", "f4"),
        ("dmean", "f4"), ("ispg", "i4"), ("nsymbt", "i4"), ("extra1", "V8"), ("exttyp", "S4"),
        ("nversion", "i4"), ("extra2", "V40"), ("imod_stamp", "i4"), ("imod_flags", "i4"),
        ("extra3", "V36"), ("origin", "f4", (3,)), ("map", "S4"), ("machst", "u1", (4,)),
        ("rms", "f4"), ("nlabl", "i4"), ("label", "S80", (10,)),
    ]
)  # fmt: skip
_MODES = {0: "i1", 1: "i2", 2: "f4", 3: "c4", 4: "c8", 6: "u2", 7: "i4", 12: "f2"}
_RGB, _FOUR_BITS = 16, 101
_IMOD_STAMP = 1146047817
_SUFFIXES = frozenset({".mrc", ".mrcs", ".map", ".ccp4", ".rec", ".st", ".ali", ".preali"})
_SURE_SUFFIXES = frozenset({".mrc", ".mrcs", ".ccp4"})


class MrcReader:
    """Recognises and opens MRC files."""

    name = "mrc"

    def match(self, path: Path, head: bytes) -> Match:
        if len(head) >= HEADER.itemsize and head[208:212] in (b"MAP ", b"MAP\0"):
            return Match.CERTAIN
        suffix = path.suffix.lower()
        if suffix in _SUFFIXES and (suffix in _SURE_SUFFIXES or _order(head) is not None):
            return Match.POSSIBLE
        return Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        with handed_over(FilePool(selection.root)) as pool:
            volumes = [_volume(path, pool, selection) for path in files]
            return open_volumes(volumes, "MRC map", selection.parameters, pool)


READER = MrcReader()


@dataclass(frozen=True, slots=True)
class FourBitArray:
    """Two samples a byte, the first in the low half; every row begins with a byte of its own."""

    packed: RawArray
    width: int

    def check(self, pool: FilePool) -> None:
        self.packed.check(pool)

    def read(self, pool: FilePool, timestep: int, box: Box, out: NDArray[Any]) -> None:
        for part in pieces(box, (1,) * len(box.lo), 2, SPAN_BYTES):
            first, last = part.lo[-1] // 2, (part.hi[-1] + 1) // 2
            wide = Box((*part.lo[:-1], first), (*part.hi[:-1], last))
            data = np.empty(wide.shape, "u1")
            self.packed.read(pool, timestep, wide, data)
            both = np.stack((data & 15, data >> 4), axis=-1).reshape(*data.shape[:-1], -1)
            begin = part.lo[-1] - 2 * first
            values = both[..., begin : begin + part.shape[-1]]
            out[part.relative_to(box.lo).slices] = values


def _order(head: bytes) -> Literal["<", ">"] | None:
    """The byte order: the machine stamp's, or the one in which the numbers make sense."""
    if len(head) < HEADER.itemsize:
        return None
    stamp = head[212]
    if stamp in (0x44, 0x11) and head[208:211] == b"MAP":
        return "<" if stamp == 0x44 else ">"
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for order in orders:
        record = np.frombuffer(head, HEADER.newbyteorder(order), 1)[0]
        known = int(record["mode"]) in _MODES or int(record["mode"]) in (_RGB, _FOUR_BITS)
        if known and all(0 < int(record[n]) < 1 << 24 for n in ("nx", "ny", "nz")):
            return order
    return None


def _volume(path: Path, pool: FilePool, selection: Selection) -> Volume:
    name = pool.name(path)
    head = read_head(path)
    order = _order(head)
    if order is None:
        raise CorruptSource(f"{name} has no valid MRC header.")
    record = np.frombuffer(head, HEADER.newbyteorder(order), 1)[0]
    offset = HEADER.itemsize + int(record["nsymbt"])
    if offset < HEADER.itemsize:
        raise CorruptSource(f"{name} has an extended header of negative length (nsymbt).")
    if min(int(record[n]) for n in ("nx", "ny", "nz")) < 1:
        raise CorruptSource(f"{name} has an axis of length 0.")
    dtype, choices = _sample(record, order, name, selection)
    four_bits = int(record["mode"]) == _FOUR_BITS
    axes, notes = _axes(record, dtype, name, four_bits)
    volume = make_volume(
        path, name, offset, dtype, axes,
        metadata=_metadata(record), choices=choices, notes=notes,
    )  # fmt: skip
    if four_bits:
        volume = _unpacked(volume, int(record["nx"]), name)
    return volume


def _sample(
    record: Any, order: str, name: str, selection: Selection
) -> tuple[np.dtype[Any], tuple[Choice, ...]]:
    mode = int(record["mode"])
    if mode in (_RGB, _FOUR_BITS):
        return np.dtype("u1"), ()
    if mode in (3, 4):
        raise UnsupportedDtype(
            f"{name} holds complex numbers (mode {mode}), a Fourier transform.",
            remedy="Transform it back, or export its magnitude.",
        )
    if mode not in _MODES:
        raise UnsupportedDtype(f"{name} holds samples of the unknown mode {mode}.")
    if mode != 0:
        return np.dtype(order + _MODES[mode]), ()
    return _bytes_sign(record, selection)


def _bytes_sign(record: Any, selection: Selection) -> tuple[np.dtype[Any], tuple[Choice, ...]]:
    """Bytes are signed by MRC2014; IMOD's flag, where its stamp stands, says so or otherwise."""
    signed, rule = True, "bytes (mode 0) are signed by MRC2014"
    if int(record["imod_stamp"]) == _IMOD_STAMP:
        signed, rule = bool(int(record["imod_flags"]) & 1), "IMOD's flag tells the sign of bytes"
    wanted = selection.parameters.get("mode0")
    if wanted is not None:
        if wanted not in ("signed", "unsigned"):
            raise InvalidOptions("The parameter mode0 is 'signed' or 'unsigned'.")
        signed, rule = wanted == "signed", "the parameter mode0"
    names = ("signed", "unsigned") if signed else ("unsigned", "signed")
    return np.dtype("i1" if signed else "u1"), (Choice("mode0", names[0], rule, names[1:]),)


def _axes(
    record: Any, dtype: np.dtype[Any], name: str, four_bits: bool
) -> tuple[list[StoredAxis], tuple[str, ...]]:
    """The axes z, y, x, whichever of them are columns, rows and sections in the file."""
    lengths = [int(record[n]) for n in ("nx", "ny", "nz")]
    colors = 3 if int(record["mode"]) == _RGB else 1
    order, notes = _axis_order(record, name)
    columns = (lengths[0] + 1) // 2 if four_bits else lengths[0]
    step = dtype.itemsize * colors
    strides = [step, step * columns, step * columns * lengths[1]]
    stacked = 401 <= int(record["ispg"]) <= 630 and int(record["mz"]) > 0
    times: list[StoredAxis] = []
    if stacked:
        depth = int(record["mz"])
        if lengths[2] % depth:
            raise CorruptSource(f"{name} is a stack of volumes of {depth} sections, not all whole.")
        volumes, lengths[2] = lengths[2] // depth, depth
        times = [StoredAxis(volumes, strides[2] * depth, Axis("volume"), "time")]
    lengths[0] = columns
    space = [
        StoredAxis(lengths[i], strides[i], _placed(record, label, i))
        for i, label in enumerate(order)
    ]
    space.sort(key=lambda axis: axis.axis.name, reverse=True)
    tail = [StoredAxis(colors, 1, Axis("color"), "component")] if colors > 1 else []
    return [*times, *space, *tail], notes


def _axis_order(record: Any, name: str) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    """Which axis (0 for x) the columns, rows and sections lie along."""
    order = tuple(int(record[n]) - 1 for n in ("mapc", "mapr", "maps"))
    if sorted(order) != [0, 1, 2]:
        return (0, 1, 2), (f"{name} does not tell its axes; columns are x, rows y, sections z.",)
    if order != (0, 1, 2):
        names = ", ".join("xyz"[i] for i in order)
        return (order[0], order[1], order[2]), (
            f"{name} stores columns, rows and sections along {names}; they were put in order.",
        )
    return (0, 1, 2), ()


def _placed(record: Any, label: int, stored: int) -> Axis:
    """Spacing from the cell; the origin field, or where it is empty the start of the map."""
    intervals = int(record[("mx", "my", "mz")[label]])
    length = float(record["cella"][label])
    known = intervals > 0 and math.isfinite(length) and length > 0
    spacing = length / intervals if known else None
    place = [float(v) for v in record["origin"]]
    origin: float | None = None
    if all(math.isfinite(v) for v in place) and any(place):
        origin = place[label]
    elif spacing is not None:
        origin = int(record["nstart"][stored]) * spacing
    return Axis("xyz"[label], spacing, origin, "angstrom" if known else None)


def _metadata(record: Any) -> dict[str, Any]:
    hidden = ("extra1", "extra2", "extra3", "label")
    header = {k: json_value(record[k]) for k in HEADER.names or () if k not in hidden}
    count = min(max(0, int(record["nlabl"])), 10)
    labels = [json_value(label) for label in record["label"][:count]]
    return {"format": "MRC", "header": header, "labels": labels}


def _unpacked(volume: Volume, width: int, name: str) -> Volume:
    """The volume of samples, from that of bytes with two samples each."""
    if volume.axes[-1].name != "x" or len(volume.fields) != 1:
        raise UnsupportedLayout(f"{name} holds 4-bit samples whose columns are not x.")
    key = volume.fields[0].key
    packed = volume.readers[key]
    assert isinstance(packed, RawArray)
    readers: dict[str, BoxReader] = {key: FourBitArray(packed, width)}
    field = replace(volume.fields[0], working_bytes=6 * SPAN_BYTES)
    return replace(volume, shape=(*volume.shape[:-1], width), readers=readers, fields=(field,))
