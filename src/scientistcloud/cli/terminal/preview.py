"""A picture of a volume: its three middle slices side by side, in colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MARGIN = 6
_SCALE = 2
_BACKGROUND = (24, 24, 28)

# From black through blue-grey and orange to white; lightness rises steadily.
_COLOURS = np.array(
    [
        (0, 0, 0),
        (30, 33, 64),
        (67, 78, 122),
        (132, 112, 128),
        (205, 142, 96),
        (245, 196, 112),
        (255, 255, 240),
    ],
    np.float64,
)


def write_preview(volume: NDArray[Any], path: Path) -> None:
    """Write the middle slices of `volume` (z, y, x) as a PNG."""
    import imagecodecs  # heavy, and only this needs it

    depth, height, width = volume.shape
    slices = (volume[depth // 2], volume[:, height // 2], volume[:, :, width // 2])
    low, high = np.percentile(volume[:: max(1, depth // 32)], (1, 99.8))
    tiles = [_coloured(each, float(low), float(high)) for each in slices]
    path.write_bytes(imagecodecs.png_encode(_side_by_side(tiles), level=6))


def _coloured(plane: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """`plane` as RGB, `low` to `high` over the whole range of colours, enlarged."""
    place = (np.clip(plane, low, high) - low) * ((len(_COLOURS) - 1) / max(high - low, 1e-9))
    steps = np.arange(len(_COLOURS))
    rgb = np.stack([np.interp(place, steps, _COLOURS[:, c]) for c in range(3)], axis=-1)
    return np.repeat(np.repeat(rgb.astype(np.uint8), _SCALE, axis=0), _SCALE, axis=1)


def _side_by_side(tiles: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    height = max(len(tile) for tile in tiles) + 2 * _MARGIN
    width = sum(tile.shape[1] + _MARGIN for tile in tiles) + _MARGIN
    picture = np.full((height, width, 3), _BACKGROUND, np.uint8)
    left = _MARGIN
    for tile in tiles:
        top = (height - len(tile)) // 2
        picture[top : top + len(tile), left : left + tile.shape[1]] = tile
        left += tile.shape[1] + _MARGIN
    return picture
