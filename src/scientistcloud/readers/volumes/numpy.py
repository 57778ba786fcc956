"""NumPy's ``.npy``: any box is read by position; a folder of equal ones is a time series.

Axes, unless the parameter ``axes`` names them (letters of ``tzyxc``, slowest first):

1. A last axis of 3 or 4 behind two longer ones holds components (RGB, RGBA, vectors).
2. Of what is left, the last three axes are z, y, x; one more before them is time.

The members of a structured type are fields.
"""

from __future__ import annotations

import os
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from scientistcloud.errors import (
    CorruptSource,
    InvalidOptions,
    SourceEmpty,
    UnlikeSlices,
    UnsupportedDtype,
    UnsupportedLayout,
)
from scientistcloud.grid import Shape
from scientistcloud.readers.arrays.raw_array import BoxReader, RawArray, RawSource, RawStack
from scientistcloud.readers.base import (
    Axis,
    Choice,
    DatasetSpec,
    FieldSpec,
    Match,
    Selection,
    Source,
    SourceSpec,
)
from scientistcloud.readers.files.listing import open_regular
from scientistcloud.readers.files.open_files import FilePool

_MAGIC = b"\x93NUMPY"
_COMPONENTS = (3, 4)
HEADER_ERRORS = (
    ValueError, TypeError, SyntaxError, KeyError, EOFError, RecursionError, tokenize.TokenError,
)  # fmt: skip
_AXES = re.compile(r"t?z?y?xc?")
_RULE = (
    "a last axis of 3 or 4 behind longer ones holds components; the last three of the others are "
    "z, y, x; one before them is time"
)


@dataclass(frozen=True, slots=True)
class Header:
    """What a ``.npy`` file says of itself.

    Attributes
    ----------
    offset : int
        Of the first sample, in bytes.
    """

    dtype: np.dtype[Any]
    shape: Shape
    fortran_order: bool
    offset: int

    @property
    def strides(self) -> Shape:
        """In bytes."""
        strides, step = [], self.dtype.itemsize
        for n in self.shape if self.fortran_order else reversed(self.shape):
            strides.append(step)
            step *= n
        return tuple(strides if self.fortran_order else reversed(strides))


class NumpyReader:
    """Recognises ``.npy`` by its first six bytes."""

    name = "numpy"

    def match(self, path: Path, head: bytes) -> Match:
        if head.startswith(_MAGIC):
            return Match.CERTAIN
        return Match.POSSIBLE if path.name.lower().endswith(".npy") else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        """Open one array, or equal ones as timesteps.

        Raises
        ------
        CorruptSource, UnlikeSlices, UnsupportedDtype, UnsupportedLayout, InvalidOptions
        """
        pool = FilePool(selection.root)
        headers = [_read_header(path, pool.name(path)) for path in files]
        for path, header in zip(files, headers, strict=True):
            if (header.dtype, header.shape) != (headers[0].dtype, headers[0].shape):
                raise UnlikeSlices(
                    f"{pool.name(path)} holds {header.shape} {header.dtype}, but "
                    f"{pool.name(files[0])} {headers[0].shape} {headers[0].dtype}."
                )
        axes, choice = _axes(headers[0], selection)
        spec, readers = _describe(files, headers, axes)
        notes = (f"{len(files)} arrays of one shape are timesteps.",) if len(files) > 1 else ()
        return RawSource(
            SourceSpec("NumPy", (spec,), tuple(files), (choice,), notes), readers, pool
        )


READER = NumpyReader()


def _read_header(path: Path, name: str) -> Header:
    with os.fdopen(open_regular(path), "rb") as file:
        try:
            dtype, shape, fortran_order = parse_npy_header(file)
        except HEADER_ERRORS as error:
            raise CorruptSource(f"{name} has no usable NumPy header.") from error
        offset = file.tell()
    if dtype.hasobject:
        raise UnsupportedDtype(
            f"{name} holds Python objects instead of numbers.",
            remedy="Save an array of numbers (numpy.save of array.astype(float), for instance).",
        )
    if 0 in shape:
        raise SourceEmpty(f"{name} holds no samples: its shape is {shape}.")
    if not shape:
        raise UnsupportedLayout(f"{name} holds a single number, not an array.")
    return Header(dtype, shape, fortran_order, offset)


def parse_npy_header(file: BinaryIO) -> tuple[np.dtype[Any], Shape, bool]:
    """Type, shape and whether the first axis is the fastest; raises one of `HEADER_ERRORS`."""
    version = npy_format.read_magic(file)
    if version == (1, 0):
        shape, fortran_order, dtype = npy_format.read_array_header_1_0(file)
    else:
        # Versions 2 and 3 differ from each other only in the encoding of names.
        shape, fortran_order, dtype = npy_format.read_array_header_2_0(file)
    if any(isinstance(n, bool) or n < 0 for n in shape):
        raise ValueError(f"not a shape: {shape}")
    return dtype, tuple(shape), fortran_order


def _axes(header: Header, selection: Selection) -> tuple[str, Choice]:
    """A letter for each axis of the array."""
    rank = len(header.shape)
    wanted = selection.parameters.get("axes")
    if wanted is not None:
        text = str(wanted).lower()
        if not _AXES.fullmatch(text) or len(text) != rank:
            raise InvalidOptions(
                f"The parameter axes={wanted!r} does not name the {rank} axes of {header.shape}: "
                "letters of tzyxc in this order are expected."
            )
        return text, Choice("axes", text, "as the parameter says")
    axes = guess_axes(header.shape)
    alternatives = tuple(a for a in ("zyx", "yxc", "tyx", "tzyx", "zyxc", "tyxc") if len(a) == rank)
    return axes, Choice("axes", axes, _RULE, tuple(a for a in alternatives if a != axes))


def guess_axes(shape: Shape) -> str:
    """A letter of ``tzyxc`` for each axis, by the rules at the top of this file."""
    has_components = (
        len(shape) >= 3 and shape[-1] in _COMPONENTS and min(shape[-3:-1]) > max(_COMPONENTS)
    )
    rest = len(shape) - has_components
    if rest > 4:
        raise UnsupportedLayout(
            f"An array of {len(shape)} axes {shape} is neither a volume nor a series of volumes.",
            remedy="Save an array of at most time, z, y, x and components.",
        )
    return "tzyx"[-rest:] + "c" * has_components


def _describe(
    files: Sequence[Path], headers: Sequence[Header], axes: str
) -> tuple[DatasetSpec, dict[str, BoxReader]]:
    first = headers[0]
    grid = [i for i, a in enumerate(axes) if a in "zyx"]
    shape = tuple(first.shape[i] for i in grid)
    steps = first.shape[axes.index("t")] if "t" in axes else 1
    fields, readers = [], {}
    for name, dtype, position in record_members(first.dtype):
        parts = tuple(
            raw_array(path, header, axes, dtype, position)
            for path, header in zip(files, headers, strict=True)
        )
        part = parts[0]
        readers[name] = RawStack(parts, in_time=True)
        fields.append(
            FieldSpec(
                key=name,
                name=name,
                dtype=part.dtype.newbyteorder("="),
                chunks=(1,) * len(shape),
                components=part.components,
                working_bytes=part.working_bytes,
            )
        )
    spec = DatasetSpec(
        name="",
        shape=shape,
        axes=tuple(Axis(axes[i]) for i in grid),
        fields=tuple(fields),
        timesteps=len(files) * steps,
    )
    return spec, dict(readers)


def record_members(dtype: np.dtype[Any]) -> Iterator[tuple[str, np.dtype[Any], int]]:
    """Name, type (perhaps an array's) and position in bytes of each field."""
    if dtype.names is None:
        yield "data", dtype, 0
        return
    for name in dtype.names:
        assert dtype.fields is not None
        member, position, *_ = dtype.fields[name]
        if member.names is not None:
            raise UnsupportedDtype(f"The member '{name}' of the records is a record itself.")
        yield name, member, position


def raw_array(
    path: Path, header: Header, axes: str, dtype: np.dtype[Any], position: int
) -> RawArray:
    """Where the samples of one member of an array lie."""
    count, stride, (base, inner) = 1, 0, (dtype.base, dtype.shape)
    if "c" in axes:
        count, stride = header.shape[-1], header.strides[-1]
    if inner:
        if len(inner) > 1 or count > 1:
            raise UnsupportedDtype("The members of the records are arrays of several axes.")
        count, stride = inner[0], base.itemsize
    grid = [i for i, a in enumerate(axes) if a in "zyx"]
    return RawArray(
        path=path,
        offset=header.offset + position,
        dtype=_sample_type(base),
        shape=tuple(header.shape[i] for i in grid),
        strides=tuple(header.strides[i] for i in grid),
        components=count,
        component_stride=stride,
        timesteps=header.shape[0] if "t" in axes else 1,
        time_stride=header.strides[0] if "t" in axes else 0,
    )


def _sample_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The stored type as a number that viewers know: booleans are 0 and 1."""
    if dtype.kind == "b":
        return np.dtype("u1")
    if dtype.kind in "iu" or (dtype.kind == "f" and dtype.itemsize in (2, 4, 8)):
        return dtype
    remedy = "Save real and imaginary part as two arrays." if dtype.kind == "c" else None
    raise UnsupportedDtype(f"Samples of type {dtype} cannot be shown.", remedy=remedy)
