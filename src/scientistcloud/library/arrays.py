"""Arrays of NumPy, Dask and xarray as files that a conversion reads."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.errors import InvalidOptions

_LETTERS = "tzyxc"
_DEFAULTS = {1: "x", 2: "yx", 3: "zyx", 4: "tzyx"}
_TYPES = {"int8": "int8", "uint8": "uint8", "float32": "float", "float64": "double"} | {
    name: name for name in ("int16", "uint16", "int32", "uint32", "int64", "uint64")
}
_BLOCK_BYTES = 64 << 20


def write_array(
    array: Any, folder: Path, axes: str | None, spacing: Sequence[float] | None
) -> Path:
    """Write an array into `folder`, a block at a time, as NRRD, which keeps axes and spacing.

    Returns
    -------
    Path
        The header.

    Raises
    ------
    InvalidOptions
        `axes` and `spacing` do not fit the array, or its type cannot be stored.
    """
    if axes is None and hasattr(array, "dims"):
        axes = "".join(str(each)[:1].lower() for each in array.dims)
        spacing = spacing or _spacing_of(array, axes)
    data = getattr(array, "data", array) if hasattr(array, "dims") else array
    if not hasattr(data, "shape") or not hasattr(data, "dtype"):
        data = np.asarray(data)
    dtype = np.dtype(data.dtype)
    if dtype == np.float16:
        dtype = np.dtype(np.float32)  # holds every half exactly
    elif dtype == np.bool_:
        dtype = np.dtype(np.uint8)
    axes = axes or _DEFAULTS.get(data.ndim, "")
    _check(axes, data.ndim, spacing, dtype)
    raw = folder / "array.raw"
    target = np.memmap(raw, dtype.newbyteorder("<"), "w+", shape=tuple(data.shape))
    for box in _blocks(data.shape, dtype.itemsize):
        target[box] = np.asarray(data[box])
    target.flush()
    header = folder / "array.nhdr"
    header.write_text(_header(axes, data.shape, dtype, spacing, raw.name))
    return header


def _check(axes: str, ndim: int, spacing: Sequence[float] | None, dtype: np.dtype[Any]) -> None:
    if len(axes) != ndim or len(set(axes)) != ndim or set(axes) - set(_LETTERS):
        raise InvalidOptions(
            f"axes={axes!r} does not name the {ndim} axes of the array.",
            remedy="Give one letter for each axis, of t, z, y, x and c, such as 'zyx'.",
        )
    if "c" in axes[:-1] or "t" in axes[1:]:
        raise InvalidOptions("The axis t comes first, and the axis c last.")
    space = [each for each in axes if each in "zyx"]
    if space != sorted(space, reverse=True) or not space:
        raise InvalidOptions("The axes of space come in the order z, y, x.")
    if spacing is not None and len(spacing) != len(space):
        raise InvalidOptions(f"spacing needs {len(space)} numbers, one for each of {space}.")
    if dtype.name not in _TYPES:
        raise InvalidOptions(f"Arrays of {dtype} cannot be converted.")


def _header(
    axes: str, shape: Sequence[int], dtype: np.dtype[Any], spacing: Sequence[float] | None,
    data_file: str,
) -> str:  # fmt: skip
    kinds = {"t": "time", "c": "vector"}
    lines = [
        "NRRD0005",
        f"type: {_TYPES[dtype.name]}",
        f"dimension: {len(shape)}",
        f"sizes: {' '.join(str(n) for n in reversed(shape))}",
        f"kinds: {' '.join(kinds.get(each, 'domain') for each in reversed(axes))}",
        "endian: little",
        "encoding: raw",
    ]
    if spacing is not None:
        found = dict(zip((each for each in axes if each in "zyx"), spacing, strict=True))
        values = [repr(float(found[each])) if each in found else "nan" for each in reversed(axes)]
        lines.append(f"spacings: {' '.join(values)}")
    return "\n".join([*lines, f"data file: {data_file}", ""])


def _blocks(shape: Sequence[int], itemsize: int) -> Any:
    """Boxes along the slowest axes, each of at most so many bytes."""
    steps = list(shape)
    for axis in range(len(shape)):
        rest = int(np.prod(steps[axis + 1 :], dtype=np.int64)) * itemsize
        steps[axis] = max(1, min(shape[axis], _BLOCK_BYTES // max(1, rest)))
        if steps[axis] > 1:
            break
    ranges = [range(0, n, max(1, step)) for n, step in zip(shape, steps, strict=True)]
    for corner in itertools.product(*ranges):
        yield tuple(slice(c, c + s) for c, s in zip(corner, steps, strict=True))


def _spacing_of(array: Any, axes: str) -> tuple[float, ...] | None:
    """The spacing of xarray's coordinates, where those of all axes of space are regular."""
    found = []
    for letter, name in zip(axes, array.dims, strict=True):
        if letter not in "zyx":
            continue
        values = np.asarray(array.coords[name]) if name in array.coords else np.empty(0)
        if values.size < 2 or not np.issubdtype(values.dtype, np.number):
            return None
        steps = np.diff(values.astype(np.float64))
        if not np.allclose(steps, steps[0]) or steps[0] <= 0:
            return None
        found.append(float(steps[0]))
    return tuple(found)
