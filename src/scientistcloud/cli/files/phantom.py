"""A made-up computed tomography: something worth looking at that nobody has to download."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHAPE = (224, 288, 288)
"""Slices, rows, columns."""

_NOISE = 260.0
_AIR = 900.0

# Centre (z, y, x), half axes (z, y, x), both in half lengths of the volume; degrees of turn in the
# plane; value added inside. After Shepp and Logan (1974), with a skull and marbles.
_ELLIPSOIDS = (
    ((0.0, 0.0, 0.0), (0.90, 0.92, 0.72), 0.0, 30000.0),
    ((0.0, -0.01, 0.0), (0.83, 0.86, 0.66), 0.0, -17500.0),
    ((0.0, 0.0, 0.24), (0.45, 0.34, 0.13), -18.0, -5200.0),
    ((0.0, 0.0, -0.24), (0.50, 0.42, 0.17), 18.0, -5200.0),
    ((0.12, 0.38, 0.0), (0.25, 0.22, 0.24), 0.0, 4200.0),
    ((-0.25, -0.42, 0.0), (0.24, 0.18, 0.30), 0.0, 2600.0),
    ((0.35, -0.10, 0.0), (0.16, 0.16, 0.16), 0.0, 9000.0),
    ((-0.40, 0.25, 0.28), (0.10, 0.10, 0.10), 0.0, 16000.0),
    ((-0.40, 0.25, -0.28), (0.10, 0.10, 0.10), 0.0, 12000.0),
    ((0.55, 0.30, -0.20), (0.07, 0.07, 0.07), 0.0, 20000.0),
    ((0.0, -0.62, 0.0), (0.60, 0.05, 0.05), 0.0, 15000.0),
)


def make_phantom(shape: tuple[int, int, int] = SHAPE, seed: int = 7) -> NDArray[np.uint16]:
    """The volume, with the noise of a scanner; the same at each call.

    Returns
    -------
    ndarray
        Of `shape` (z, y, x), uint16.
    """
    random = np.random.default_rng(seed)
    volume = np.empty(shape, np.uint16)
    z, y, x = (_coordinates(length) for length in shape)
    for number, height in enumerate(z):
        plane = _plane(float(height), y[:, None], x)
        plane += random.standard_normal(plane.shape, np.float32) * np.float32(_NOISE)
        volume[number] = np.clip(plane, 0, 65535)
    return volume


def _plane(z: float, y: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The slice at the height `z`, without noise."""
    plane = np.full(np.broadcast_shapes(y.shape, x.shape), _AIR, np.float32)
    for centre, half_axes, turn, value in _ELLIPSOIDS:
        left = 1.0 - ((z - centre[0]) / half_axes[0]) ** 2
        if left < 0:
            continue
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        dy, dx = y - centre[1], x - centre[2]
        along = (dx * cos + dy * sin) / half_axes[2]
        across = (dy * cos - dx * sin) / half_axes[1]
        plane += np.float32(value) * (along**2 + across**2 <= left)
    return plane


def _coordinates(length: int) -> NDArray[np.float32]:
    """Centres of samples from -1 to 1."""
    return (np.arange(length, dtype=np.float32) + 0.5) * (2.0 / length) - 1.0


def write_stack(volume: NDArray[np.uint16], folder: Path) -> None:
    """The volume as numbered TIFF files, one a slice, in the new `folder`."""
    import tifffile  # heavy, and only this needs it

    folder.mkdir(parents=True)
    for number, page in enumerate(volume):
        tifffile.imwrite(folder / f"slice_{number}.tif", page)
