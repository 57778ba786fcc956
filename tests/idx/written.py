"""Datasets written block by block, without a copy loop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from scientistcloud.idx.files.layout import plan_layout
from scientistcloud.idx.writer import IdxWriter


def write_idx(
    folder: Path,
    arrays: Mapping[str, NDArray[Any]],
    rank: int,
    *,
    base: str = "visus",
    **options: Any,
) -> Path:
    """Write fields of shape (timesteps, *grid[, components]), a grid of `rank` axes.

    `options` are those of `plan_layout`. Returns the header, ``folder/visus.idx``.
    """
    first = next(iter(arrays.values()))
    fields = [(n, a.dtype, a.shape[-1] if a.ndim > 1 + rank else 1) for n, a in arrays.items()]
    shape = first.shape[1 : 1 + rank]
    layout = plan_layout(shape, fields, timesteps=len(first), **options)
    (folder / base).mkdir(parents=True)
    with IdxWriter(layout, folder / "visus.idx", folder / base, f"./{base}") as writer:
        for index, data in enumerate(arrays.values()):
            for timestep in range(len(data)):
                for block in layout.blocks.blocks_inside(shape):
                    spans = zip(block.origin, block.nsamples, block.delta, strict=True)
                    cut = tuple(slice(o, o + n * d, d) for o, n, d in spans)
                    samples = data[timestep][cut]
                    writer.write_block(timestep, index, block.number, block.nsamples, samples)
        writer.finish()
    return folder / "visus.idx"
