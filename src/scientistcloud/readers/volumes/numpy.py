"""NumPy's ``.npy``: any box is read by position; a folder of equal ones is a time series.

Axes have the roles of `arrays.axis_rules`, unless the parameter ``axes`` names them; the order of
Fortran is only another order of the samples in the file. The members of a structured type are
fields.
"""

from __future__ import annotations

import itertools
import os
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
from scientistcloud.readers.arrays.axis_letters import PARAMETER as AXES
from scientistcloud.readers.arrays.axis_letters import axes_choice, plan_of, told_letters
from scientistcloud.readers.arrays.axis_meanings import NamedAxis
from scientistcloud.readers.arrays.axis_roles import AxisRoles
from scientistcloud.readers.arrays.axis_rules import AxisPlan, decide
from scientistcloud.readers.arrays.raw_array import BoxReader, RawArray, RawSource, RawStack
from scientistcloud.readers.base import (
    Axis,
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
HEADER_ERRORS = (
    ValueError, TypeError, SyntaxError, KeyError, EOFError, RecursionError, tokenize.TokenError,
)  # fmt: skip


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
        plan = plan_axes(headers[0].shape, selection.parameters.get(AXES))
        choice = axes_choice(plan)
        spec, readers = _describe(files, headers, plan)
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


def plan_axes(shape: Shape, wanted: object) -> AxisPlan:
    """The roles of the axes of an array without names, `wanted` being the parameter ``axes``.

    Raises
    ------
    InvalidOptions
        The parameter does not fit.
    UnsupportedLayout
        There are far too many timesteps.
    """
    names = [f"axis{i}" for i in range(len(shape))]
    letters = told_letters(wanted, len(shape))
    if letters is not None:
        return plan_of(letters, names, shape)
    if wanted not in (None, "", "auto") and "," not in str(wanted):
        raise InvalidOptions(
            f"The parameter axes={wanted!r} does not name the {len(shape)} axes of {shape}: "
            "a letter of x, y, z, t, c, f for each is expected."
        )
    return decide([NamedAxis(name, n) for name, n in zip(names, shape, strict=True)])


def _describe(
    files: Sequence[Path], headers: Sequence[Header], plan: AxisPlan
) -> tuple[DatasetSpec, dict[str, BoxReader]]:
    first = headers[0]
    fields, readers = [], {}
    for name, dtype, position in record_members(first.dtype):
        for label, roles in plan.each_field():
            key = " ".join(word for word in (name, label) if word)
            parts = tuple(
                raw_array(path, header, roles, dtype, position)
                for path, header in zip(files, headers, strict=True)
            )
            readers[key] = RawStack(parts, in_time=True)
            fields.append(_field(key, parts[0]))
    spec = DatasetSpec(
        name="",
        shape=plan.roles.shape,
        axes=tuple(Axis(letter) for letter in "zyx"[-len(plan.roles.space) :]),
        fields=tuple(fields),
        timesteps=len(files) * plan.roles.timesteps,
    )
    return spec, dict(readers)


def _field(key: str, part: RawArray) -> FieldSpec:
    return FieldSpec(
        key=key,
        name=key,
        dtype=part.dtype.newbyteorder("="),
        chunks=(1,) * len(part.shape),
        components=part.components,
        working_bytes=part.working_bytes,
    )


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
    path: Path, header: Header, roles: AxisRoles, dtype: np.dtype[Any], position: int
) -> RawArray:
    """Where the samples of one member of an array lie, for axes of these `roles`."""
    count, stride, (base, inner) = 1, 0, (dtype.base, dtype.shape)
    if roles.component is not None:
        count, stride = header.shape[roles.component], header.strides[roles.component]
    if inner:
        if len(inner) > 1 or count > 1:
            raise UnsupportedDtype("The members of the records are arrays of several axes.")
        count, stride = inner[0], base.itemsize
    start = sum(header.strides[axis] * i for axis, i in roles.fixed)
    return RawArray(
        path=path,
        offset=header.offset + position + start,
        dtype=_sample_type(base),
        shape=tuple(header.shape[axis] for axis in roles.space),
        strides=tuple(header.strides[axis] for axis in roles.space),
        components=count,
        component_stride=stride,
        timesteps=roles.timesteps,
        time_stride=_time_stride(header, roles),
    )


def _time_stride(header: Header, roles: AxisRoles) -> int:
    """The way from one timestep to the next.

    Raises
    ------
    UnsupportedLayout
        There are several axes of time, and not all steps are of one length.
    """
    for slow, fast in itertools.pairwise(roles.time):
        if header.strides[slow] != header.strides[fast] * header.shape[fast]:
            raise UnsupportedLayout(
                f"An array of shape {header.shape} has several axes of time that do not lie side "
                "by side.",
                remedy="Save it with one axis of time, or name its axes with the parameter 'axes'.",
            )
    return header.strides[roles.time[-1]] if roles.time else 0


def _sample_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The stored type as a number that viewers know: booleans are 0 and 1."""
    if dtype.kind == "b":
        return np.dtype("u1")
    if dtype.kind in "iu" or (dtype.kind == "f" and dtype.itemsize in (2, 4, 8)):
        return dtype
    remedy = "Save real and imaginary part as two arrays." if dtype.kind == "c" else None
    raise UnsupportedDtype(f"Samples of type {dtype} cannot be shown.", remedy=remedy)
