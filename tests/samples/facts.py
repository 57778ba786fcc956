"""What a conversion of a sample must end in: the vocabulary of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Loader = Callable[[Path], Sequence[NDArray[Any]]]
"""From the path of a case to one array for each field: ``(t, z, y, x, component)``, where axes of
one timestep or one component are left out."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An error: its code, and what the message must name."""

    code: str
    naming: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.code


@dataclass(frozen=True, slots=True)
class Dataset:
    """One IDX dataset.

    Attributes
    ----------
    dims : tuple of int
        x first.
    dtypes : str
        Of one component; for fields of unlike types, one for each, separated by spaces.
    fields : str
        Names, separated by spaces.
    values : Loader
        Says by itself which library reads the source, and how.
    fill : float, optional
        Stands for missing samples: kept, but out of the range that viewers colour by.
    ranged : bool
        Whether the header tells the range; one that is carried over keeps what it told.
    ulps : int
        Floating-point results of a scale and an offset may differ by so many units of the last
        place; 0 is bit for bit.
    """

    dims: tuple[int, ...]
    dtypes: str
    fields: str
    values: Loader
    timesteps: int = 1
    components: int | tuple[int, ...] = 1
    path: str = "visus.idx"
    fill: float | None = None
    ranged: bool = True
    ulps: int = 0

    @property
    def names(self) -> list[str]:
        return self.fields.split()

    @property
    def field_types(self) -> list[tuple[str, int]]:
        """Type and number of components of each field."""
        types, count = self.dtypes.split(), len(self.names)
        types = types * count if len(types) == 1 else types
        each = self.components
        components = (each,) * count if isinstance(each, int) else each
        return list(zip(types, components, strict=True))

    def __str__(self) -> str:
        dims = "x".join(map(str, self.dims))
        return f"{self.path}: {dims}, {self.timesteps} timestep(s), {self.dtypes} {self.fields}"


@dataclass(frozen=True, slots=True)
class Case:
    """One sample, how it is converted, and what must come of it.

    Attributes
    ----------
    name : str
        Its path among the samples.
    says : tuple of str
        Sentences, or parts of them, that ``conversion.log`` must hold: what the data left open.
    """

    name: str
    expected: Refused | tuple[Dataset, ...]
    sensor: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    says: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        options = ([f"sensor {self.sensor}"] if self.sensor else []) + [
            f"{key}={value}" for key, value in self.parameters.items()
        ]
        return f"{self.name} ({', '.join(options)})" if options else self.name


def close(a: NDArray[Any], b: NDArray[Any], ulps: int) -> NDArray[Any]:
    """Where `a` equals `b`: bit for bit (any NaN equals any other), or within `ulps`."""
    if a.dtype.kind != "f":
        return np.asarray(a == b)
    as_bits = {2: np.uint16, 4: np.uint32, 8: np.uint64}[a.dtype.itemsize]
    same = a.view(as_bits) == b.view(as_bits)
    same |= np.isnan(a) & np.isnan(b)
    if ulps:
        same |= np.abs(a - b) <= ulps * np.spacing(np.maximum(np.abs(a), np.abs(b)))
    return np.asarray(same)
