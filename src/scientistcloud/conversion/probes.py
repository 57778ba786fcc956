"""Which boxes of a dataset are compared with its source: pure choices, the same every time.

A box costs what must be decoded for it on both sides: the source's chunks that it touches and the
blocks that hold its samples. All boxes together may cost a share of the dataset; every field gets
one, and every dataset two, however small the share is. The corners of the grid and its first and
last timesteps come first, random places after them.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from scientistcloud.grid import Box, Shape, ceil_div
from scientistcloud.idx.geometry.blocks import BlockLayout
from scientistcloud.idx.geometry.query import find_pieces, samples_inside
from scientistcloud.readers.base import DatasetSpec, FieldSpec

SHARE = 0.06
"""Of the dataset's bytes, what may be decoded for all boxes together."""

SMALL_BYTES = 256 << 10
"""A dataset up to this size is compared as a whole."""

MAX_PROBES = 400
_EXTENT = 128
_SMALLEST = 8
"""A smaller box needs hardly fewer blocks."""
_BRICK_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Probe:
    """One comparison: a box of a field (its index) at a timestep."""

    field: int
    timestep: int
    box: Box


def sample_probes(spec: DatasetSpec, layout: BlockLayout) -> Iterator[Probe]:
    """The boxes of the default verification."""
    if spec.samples_bytes <= SMALL_BYTES:
        yield from all_probes(spec)
        return
    rng = random.Random(f"{spec.name} {spec.shape} {spec.timesteps} {len(spec.fields)}")
    budget = SHARE * spec.samples_bytes
    share = budget / len(spec.fields)
    for index in range(MAX_PROBES):
        turn, field_index = divmod(index, len(spec.fields))
        if index >= max(2, len(spec.fields)) and budget <= 0:
            return
        field = spec.fields[field_index]
        place = turn + field_index
        timestep = _timestep(rng, place, spec.timesteps)
        box = _affordable(rng, place, spec.shape, field, layout, share / 4)
        budget -= _cost(field, layout, box)
        yield Probe(field_index, timestep, box)


def all_probes(spec: DatasetSpec) -> Iterator[Probe]:
    """Boxes that cover every sample once, aligned to the source's chunks where memory allows it."""
    for timestep, (index, field) in itertools.product(
        range(spec.timesteps), enumerate(spec.fields)
    ):
        brick = _brick(spec.shape, field)
        corners = (range(0, n, b) for n, b in zip(spec.shape, brick, strict=True))
        for corner in itertools.product(*corners):
            hi = tuple(min(c + b, n) for c, b, n in zip(corner, brick, spec.shape, strict=True))
            yield Probe(index, timestep, Box(corner, hi))


def _timestep(rng: random.Random, place: int, timesteps: int) -> int:
    """The first, the last, then any."""
    return (0, timesteps - 1)[place] if place < 2 else rng.randrange(timesteps)


def _affordable(
    rng: random.Random,
    place: int,
    shape: Shape,
    field: FieldSpec,
    layout: BlockLayout,
    allowed_bytes: float,
) -> Box:
    """A box at the wanted place, made smaller until it costs no more than is allowed."""
    extent = [min(n, _EXTENT) for n in shape]
    # Thin along the slowest axis that is cut into chunks: one page of a source that has pages.
    thin = next((a for a, (c, e) in enumerate(zip(field.chunks, extent, strict=True)) if c < e), 0)
    extent[thin] = min(extent[thin], field.chunks[thin])
    allowed_bytes += math.prod(field.chunks) * field.sample_bytes
    position = tuple(rng.random() for _ in shape)
    while True:
        box = _place(place, position, shape, tuple(extent))
        if max(extent) <= _SMALLEST or _cost(field, layout, box) <= allowed_bytes:
            return box
        axis = extent.index(max(extent))
        extent[axis] = -(-extent[axis] // 2)


def _place(place: int, position: tuple[float, ...], shape: Shape, extent: Shape) -> Box:
    """The first corner, the last one, random boxes that touch an end, then random ones."""
    lo = []
    for axis, (n, e, p) in enumerate(zip(shape, extent, position, strict=True)):
        free = n - e
        if place == 0:
            lo.append(0)
        elif place == 1 or (place % 2 and place // 2 % len(shape) == axis):
            lo.append(free)
        else:
            lo.append(round(p * free))
    return Box(tuple(lo), tuple(l + e for l, e in zip(lo, extent, strict=True)))


def _cost(field: FieldSpec, layout: BlockLayout, box: Box) -> int:
    """Bytes that are decoded for `box`, on both sides."""
    chunks = math.prod(
        ceil_div(h, c) - l // c for l, h, c in zip(box.lo, box.hi, field.chunks, strict=True)
    )
    resolution = layout.bitmask.length
    samples = samples_inside(layout, box, resolution)
    blocks = sum(1 for _ in find_pieces(layout, samples, resolution))
    stored = chunks * math.prod(field.chunks) + blocks * layout.block_samples
    return stored * field.sample_bytes


def _brick(shape: Shape, field: FieldSpec) -> Shape:
    """Whole chunks, as many as memory allows, thickest where they are thinnest."""
    brick = [min(c, n) for c, n in zip(field.chunks, shape, strict=True)]
    while math.prod(brick) * field.sample_bytes > _BRICK_BYTES and max(brick) > 1:
        axis = next(a for a, b in enumerate(brick) if b > 1)
        brick[axis] = -(-brick[axis] // 2)
    while True:
        open_axes = [a for a, (b, n) in enumerate(zip(brick, shape, strict=True)) if b < n]
        if not open_axes or 2 * math.prod(brick) * field.sample_bytes > _BRICK_BYTES:
            return tuple(brick)
        axis = min(open_axes, key=brick.__getitem__)
        brick[axis] = min(2 * brick[axis], shape[axis])
