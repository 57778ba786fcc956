"""Opening an upload in tests: its source, its samples, or the error that it ends with."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import ConversionError
from scientistcloud.grid import Box
from tests.readers.contract import read_box

RNG = np.random.default_rng(4)


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Random samples over the whole range of `dtype`."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return RNG.normal(size=shape).astype(kind)
    limits = np.iinfo(kind)
    return RNG.integers(limits.min, limits.max, shape, dtype=kind.newbyteorder("="), endpoint=True)


def opened(
    root: Path, parameters: Mapping[str, Any] | None = None, sensor: str | None = None
) -> Any:
    """The source of the upload `root`; what is unpacked goes when it is closed."""
    scratch = Path(tempfile.gettempdir())
    return open_source(root, sensor, parameters or {}, scratch)


def whole(source: Any, dataset: int = 0, field: int = 0, timestep: int = 0) -> np.ndarray:
    """All samples of a field at a timestep."""
    spec = source.spec.datasets[dataset]
    return read_box(source, spec.fields[field], timestep, Box.of_shape(spec.shape))


def error_of(root: Path, parameters: Mapping[str, Any] | None = None) -> ConversionError:
    """The error that opening ends with."""
    with pytest.raises(ConversionError) as caught, opened(root, parameters):
        pass
    return caught.value


def chosen(source: Any, parameter: str) -> str:
    """What was chosen for `parameter`."""
    return next(c.chosen for c in source.spec.choices if c.parameter == parameter)


def assert_choices_round_trip(
    root: Path, parameters: Mapping[str, Any], sensor: str | None
) -> None:
    """All choices passed back as parameters, as `inspect` offers them, make the same datasets."""

    def described(source: Any) -> list[Any]:
        return [
            (d.name, d.shape, d.axes, d.timesteps, d.times, [(f.name, f.dtype) for f in d.fields])
            for d in source.spec.datasets
        ]

    with opened(root, parameters, sensor) as source:
        first = described(source)
        back = {c.parameter: c.chosen for c in source.spec.choices}
        assert len(back) == len(source.spec.choices)
    with opened(root, {**parameters, **back}, sensor) as source:
        assert described(source) == first
