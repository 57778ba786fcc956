"""SEG-Y (``.sgy``, ``.segy``): traces of a survey on the grid of its inlines and crosslines.

A survey of one line is an image of traces and samples. Samples are read by position; floats of IBM
become those of IEEE, which hold all their digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import UnsupportedLayout
from scientistcloud.grid import Box
from scientistcloud.readers.arrays.axis_roles import pieces
from scientistcloud.readers.arrays.raw_array import SPAN_BYTES, BoxReader, RawArray
from scientistcloud.readers.arrays.raw_grid import StoredAxis, Volume, make_volume
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Axis, Match, Selection, Source
from scientistcloud.readers.files.open_files import FilePool, handed_over
from scientistcloud.readers.seismic.header import (
    IBM_FLOAT,
    TRACE_HEADER_BYTES,
    SegyHeader,
    looks_like_segy,
    read_header,
    trace_words,
)

_SUFFIXES = frozenset({".sgy", ".segy"})
_SAMPLES, _SCALAR, _DELAY, _OFFSET = 115, 71, 109, 37
_X, _Y, _INLINE, _CROSSLINE = 181, 185, 189, 193


class SegyReader:
    """Recognises and opens SEG-Y files."""

    name = "segy"

    def match(self, path: Path, head: bytes) -> Match:
        named = path.suffix.lower() in _SUFFIXES
        if looks_like_segy(head) and (named or head[0] != 0x43):
            return Match.CERTAIN
        return Match.POSSIBLE if named else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        with handed_over(FilePool(selection.root)) as pool:
            volumes = [_volume(path, pool) for path in files]
            return open_volumes(volumes, "SEG-Y", selection.parameters, pool)


READER = SegyReader()


@dataclass(frozen=True, slots=True)
class IbmArray:
    """Floats of IBM, base 16: a `BoxReader` of float32."""

    words: RawArray

    def check(self, pool: FilePool) -> None:
        self.words.check(pool)

    def read(self, pool: FilePool, timestep: int, box: Box, out: NDArray[Any]) -> None:
        for part in pieces(box, (1,) * len(box.lo), 4, SPAN_BYTES):
            words = np.empty(part.shape, "u4")
            self.words.read(pool, timestep, part, words)
            out[part.relative_to(box.lo).slices] = from_ibm(words)


def from_ibm(words: NDArray[Any]) -> NDArray[Any]:
    """Sign, seven bits of exponent to the base 16, 24 bits behind the point; as float64."""
    fraction = (words & 0x00FFFFFF).astype("f8")
    exponent = ((words >> 24) & 0x7F).astype("i4")
    values: NDArray[Any] = np.ldexp(fraction, 4 * (exponent - 64) - 24)
    np.negative(values, out=values, where=(words >> 31).astype(bool))
    return values


def _volume(path: Path, pool: FilePool) -> Volume:
    name = pool.name(path)
    header = read_header(path, pool)
    notes = _check_traces(path, header, pool)
    size = header.dtype.itemsize
    axes = [
        *_lines(path, header, pool),
        StoredAxis(header.samples, size, _depth(path, header, pool)),
    ]
    volume = make_volume(
        path, name, header.offset + TRACE_HEADER_BYTES, header.dtype, axes,
        metadata=_metadata(path, header, pool), notes=notes,
    )  # fmt: skip
    if header.code != IBM_FLOAT:
        return volume
    words = volume.readers["data"]
    assert isinstance(words, RawArray)
    field = replace(volume.fields[0], dtype=np.dtype("f4"), working_bytes=10 * SPAN_BYTES)
    readers: dict[str, BoxReader] = {"data": IbmArray(words)}
    return replace(volume, fields=(field,), readers=readers)


def _check_traces(path: Path, header: SegyHeader, pool: FilePool) -> tuple[str, ...]:
    """Traces of unlike length cannot lie on one grid.

    Where all tell one other length than the header of the file, as cuts out of a survey do, they
    lie as that says: the size of the file fits, and the numbers of the lines will.
    """
    lengths = np.unique(trace_words(path, header, pool, _SAMPLES, "u2"))
    if len(lengths) > 1:
        raise UnsupportedLayout(
            f"{pool.name(path)} holds traces of {lengths[0]} and of {lengths[-1]} samples.",
            remedy="Pad or cut the traces to one length.",
        )
    if lengths[0] in (0, header.samples):
        return ()
    return (
        f"The traces of {pool.name(path)} say that they have {lengths[0]} samples; the file has "
        f"{header.samples}, as its header says.",
    )


def _lines(path: Path, header: SegyHeader, pool: FilePool) -> list[StoredAxis]:
    """The axes of inlines and crosslines, whichever runs faster; one axis of a single line.

    Raises
    ------
    UnsupportedLayout
        The traces are no full grid, or several lie at one place (offsets before stacking).
    """
    inlines = trace_words(path, header, pool, _INLINE)
    crosslines = trace_words(path, header, pool, _CROSSLINE)
    step = header.trace_bytes
    for slow, fast, names in (
        (inlines, crosslines, ("inline", "crossline")),
        (crosslines, inlines, ("crossline", "inline")),
    ):
        count = int(np.argmax(slow != slow[0])) or header.traces
        rows, rest = divmod(header.traces, count)
        if rest or (rows > 1 and count == 1 and len(set(fast.tolist())) > 1):
            continue
        outer, inner = slow[::count], fast[:count]
        full = np.array_equal(slow, np.repeat(outer, count))
        full = full and np.array_equal(fast, np.tile(inner, rows))
        if full and _distinct(outer) and _distinct(inner) and (rows > 1 or count > 1):
            return [
                StoredAxis(rows, step * count, _line_axis(names[0], outer)),
                StoredAxis(count, step, _line_axis(names[1], inner)),
            ]
    single = len(np.unique(inlines)) == 1 or len(np.unique(crosslines)) == 1
    if single and len(np.unique(trace_words(path, header, pool, _OFFSET))) == 1:
        return [StoredAxis(header.traces, step, Axis("trace"))]
    raise UnsupportedLayout(
        f"{pool.name(path)}: its {header.traces:,} traces are no full grid of inlines and "
        "crosslines (bytes 189 and 193 of their headers).",
        remedy="Stack it, and fill the missing traces, so that each place of the grid has one.",
    )


def _distinct(numbers: NDArray[Any]) -> bool:
    return len(np.unique(numbers)) == len(numbers)


def _line_axis(name: str, numbers: NDArray[Any]) -> Axis:
    steps = np.diff(numbers)
    if len(steps) and (steps == steps[0]).all():
        return Axis(name, float(steps[0]), float(numbers[0]))
    return Axis(name)


def _depth(path: Path, header: SegyHeader, pool: FilePool) -> Axis:
    """Two-way time in milliseconds, from the delay of recording."""
    if not header.interval:
        return Axis("sample")
    delays = np.unique(trace_words(path, header, pool, _DELAY, "i2"))
    origin = float(delays[0]) if len(delays) == 1 else None
    return Axis("twt", header.interval / 1000, origin, "ms")


def _metadata(path: Path, header: SegyHeader, pool: FilePool) -> dict[str, Any]:
    scalar = int(trace_words(path, header, pool, _SCALAR, "i2")[0])
    factor = float(scalar) if scalar > 0 else 1 / -scalar if scalar < 0 else 1.0
    places = {
        name: trace_words(path, header, pool, byte)[[0, -1]] * factor
        for name, byte in (("x", _X), ("y", _Y))
    }
    return {
        "format": "SEG-Y",
        "description": header.description,
        "sample_format": header.code,
        "sample_interval_us": header.interval,
        "byte_order": "big" if header.order == ">" else "little",
        "first_trace": {k: float(v[0]) for k, v in places.items()},
        "last_trace": {k: float(v[1]) for k, v in places.items()},
    }
