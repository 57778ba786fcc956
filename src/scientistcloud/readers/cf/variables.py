"""Variables with named dimensions and attributes: what NetCDF and xarray's Zarr have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Shape
from scientistcloud.readers.arrays.attributes import text


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable, as it is stored.

    Attributes
    ----------
    path : str
        Its name, with its groups before it: ``model/winds/u``.
    dims : tuple of str
        The names of its dimensions, with the groups that define them.
    dtype : numpy.dtype or None
        Of the stored samples, in the machine's byte order; None where they are no numbers.
    chunks : Shape or None
        None where any box can be read by itself.
    chunk_bytes : int
        What one decoded chunk takes.
    """

    path: str
    dims: tuple[str, ...]
    shape: Shape
    dtype: np.dtype[Any] | None
    attributes: Mapping[str, Any]
    chunks: Shape | None = None
    chunk_bytes: int = 0

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def group(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def words(self, attribute: str) -> list[str]:
        """The blank-separated words of a text attribute."""
        value = self.attributes.get(attribute)
        return text(value).split() if value is not None else []

    def text(self, attribute: str) -> str:
        """A text attribute; empty where it is missing."""
        value = self.attributes.get(attribute)
        return text(value).strip() if value is not None else ""


@dataclass(frozen=True)
class Variables:
    """All variables of a file.

    Attributes
    ----------
    unlimited : frozenset of str
        The dimensions that can grow.
    load : callable
        The stored values of the variable of a path, all of them.
    attributes : Mapping
        Of the groups, by their path; the root is the empty one.
    """

    by_path: Mapping[str, Variable]
    unlimited: frozenset[str]
    load: Callable[[str], NDArray[Any]]
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def lookup(self, name: str, group: str) -> Variable | None:
        """The variable that `name` means in `group`: there, or in the groups around it (CF 2.7)."""
        if name.startswith("/"):
            return self.by_path.get(name.strip("/"))
        while True:
            found = self.by_path.get(f"{group}/{name}".strip("/"))
            if found is not None or not group:
                return found
            group = group.rpartition("/")[0]

    def coordinate(self, dim: str) -> Variable | None:
        """The coordinate variable of a dimension: one-dimensional, and of its name."""
        found = self.by_path.get(dim)
        return found if found is not None and found.dims == (dim,) else None
