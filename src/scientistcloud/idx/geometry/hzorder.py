"""The order of samples in blocks of old files: HZ order, coarse samples first.

Within a level, samples follow the Z order that the bitmask gives. Block 0 holds all its levels one
after the other; every other block lies within one level.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.idx.geometry.blocks import BlockLayout


def to_row_major(samples: NDArray[Any], layout: BlockLayout, number: int) -> NDArray[Any]:
    """Bring the samples of block `number` from HZ order into row-major order.

    Parameters
    ----------
    samples : ndarray
        The first axis runs over the samples of the block.

    Returns
    -------
    ndarray
        A copy of the same shape.
    """
    bits = layout.bits_per_block
    last = layout.level_of(number).level - (number > 0)
    axes = layout.bitmask.axes[last - bits : last]
    return samples[_positions(axes, layout.bitmask.rank, number == 0)]


@lru_cache(maxsize=8)
def _positions(axes: tuple[int, ...], rank: int, is_first: bool) -> NDArray[np.intp]:
    """For each sample in row-major order, its place in HZ order; `axes` are the splits' axes."""
    order = [split for axis in range(rank) for split, a in enumerate(axes) if a == axis]
    z_order = np.arange(1 << len(axes)).reshape((2,) * len(axes)).transpose(order).reshape(-1)
    if not is_first:
        return z_order
    # A sample whose Z number is odd * 2**k belongs to the level k above the finest: half as many
    # as that level's end, and in Z order within it.
    lowest = np.where(z_order > 0, z_order & -z_order, 1)
    level_start = np.where(z_order > 0, (1 << len(axes)) // (2 * lowest), 0)
    positions: NDArray[np.intp] = level_start + z_order // (2 * lowest)
    return positions
