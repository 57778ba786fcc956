"""Types of HDF5: what one sample of an array holds, and how the library is asked for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from h5py import h5t

from scientistcloud.readers.arrays.numeric_types import numeric_dtype

MAX_COMPONENTS = 4
"""Vectors up to this long are components of one field; of longer ones each element is a field."""
_MAX_ELEMENT_FIELDS = 64
_MAX_NESTING = 8


@dataclass(frozen=True, slots=True)
class Member:
    """A number, or short vector of numbers, in each sample of an array.

    Attributes
    ----------
    path : tuple of str
        The names that lead to it through compound types; empty where the sample is the number.
    dtype : numpy.dtype
        Of one component, in the machine's byte order.
    vector : tuple of int
        The shape of a vector member; empty for a scalar.
    element : int or None
        The one element (in C order) of `vector` that is meant.
    """

    path: tuple[str, ...]
    dtype: np.dtype[Any]
    vector: tuple[int, ...] = ()
    element: int | None = None

    @property
    def name(self) -> str:
        """``a.b``, and ``a.b_3`` for an element; empty where the sample itself is the number."""
        suffix = "" if self.element is None else f"_{self.element}"
        return ".".join(self.path) + suffix if self.path else suffix.lstrip("_")

    @property
    def components(self) -> int:
        return 1 if self.element is not None else math.prod(self.vector)

    def memory_type(self) -> h5t.TypeID:
        """The type in which the library delivers this member alone, packed."""
        base = self.dtype.newbyteorder("=")
        inner = h5t.py_create(base)
        if self.vector:
            inner = h5t.array_create(inner, self.vector)
        for name in reversed(self.path):
            outer = h5t.create(h5t.COMPOUND, inner.get_size())
            outer.insert(name.encode("utf-8", "surrogateescape"), 0, inner)
            inner = outer
        return inner


def members(dtype: np.dtype[Any], path: tuple[str, ...] = ()) -> list[Member]:
    """The numbers in a sample of `dtype`, in the order of the type; text and objects left out."""
    if len(path) > _MAX_NESTING:
        return []
    base, vector = dtype.base, dtype.shape
    if base.names is not None:
        if vector:
            return []
        return [m for name in base.names for m in members(base[name], (*path, name))]
    plain = numeric_dtype(base)
    if plain is None:
        return []
    count = math.prod(vector)
    if not vector or (len(vector) == 1 and 1 <= count <= MAX_COMPONENTS):
        return [Member(path, plain, vector)]
    if not 1 <= count <= _MAX_ELEMENT_FIELDS:
        return []
    return [Member(path, plain, vector, element) for element in range(count)]


def left_out(dtype: np.dtype[Any], path: tuple[str, ...] = ()) -> list[str]:
    """The names of the members of a compound type that `members` leaves out."""
    base = dtype.base
    if base.names is None or len(path) > _MAX_NESTING:
        return [] if members(dtype, path) else [".".join(path)]
    if dtype.shape:
        return [".".join(path)]
    return [name for key in base.names for name in left_out(base[key], (*path, key))]
