"""How one field is read: brick by brick from the source, or through a scratch file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NoReturn

from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.planning.bricks import Bricks, choose_bricks
from scientistcloud.errors import ResourceLimit
from scientistcloud.grid import Shape
from scientistcloud.idx.files.layout import IdxLayout
from scientistcloud.readers.base import DatasetSpec, FieldSpec

FILL_BYTES = 4 << 20
"""Chunks go into a scratch file in groups of about this size, so that long rows are written."""

_ENCODED_BLOCKS = 3
"""A thread holds a block, its encoded form, and the growth of that."""


@dataclass(frozen=True)
class FieldPlan:
    """How one field is read.

    Attributes
    ----------
    field : FieldSpec
    index : int
        Of the field in the header.
    bricks : Bricks
    readers : int
        How many calls of `read` may run at once.
    spill_bytes : int
        Size of the scratch file in which every chunk is decoded once; 0 where the source itself
        is read brick by brick.
    group_bytes, fill_bytes : int
        Chunks are decoded into it in groups of about this size; what all readers hold for that.
    """

    field: FieldSpec
    index: int
    bricks: Bricks
    readers: int
    spill_bytes: int = 0
    group_bytes: int = 0
    fill_bytes: int = 0

    def beside_bytes(self, layout: IdxLayout, threads: int) -> int:
        """What the threads hold beside the bricks."""
        reading = self.fill_bytes or self.readers * self.field.working_bytes
        return _encoding_bytes(self.field, layout, threads) + reading


def plan_field(
    field: FieldSpec, index: int, spec: DatasetSpec, layout: IdxLayout, threads: int, budget: int
) -> FieldPlan | None:
    """How to read a field within `budget` bytes; None where it does not fit."""
    chunks = tuple(max(1, min(c, n)) for c, n in zip(field.chunks, spec.shape, strict=True))
    chunk_bytes = math.prod(chunks) * field.sample_bytes
    left = budget - _encoding_bytes(field, layout, threads)
    readers = _readers(field, threads, left)

    def bricks(read_as: Shape, reading_bytes: int) -> Bricks | None:
        available = left - reading_bytes
        return choose_bricks(layout.blocks, spec.shape, field.sample_bytes, read_as, available)

    direct = bricks(chunks, readers * field.working_bytes)
    if direct is not None:
        return FieldPlan(field, index, direct, readers)
    size = math.prod(spec.shape) * field.sample_bytes
    for count, group_bytes in ((readers, FILL_BYTES), (1, FILL_BYTES), (1, 0)):
        filling = count * (max(chunk_bytes, group_bytes) + field.working_bytes)
        spilled = bricks((1,) * len(chunks), filling)
        if spilled is not None:
            return FieldPlan(field, index, spilled, count, size, group_bytes, filling)
    return None


def refuse(
    field: FieldSpec, spec: DatasetSpec, layout: IdxLayout, options: ConversionOptions, budget: int
) -> NoReturn:
    """Raise `ResourceLimit`, with about the limit that would do."""
    need = 2 * budget
    while plan_field(field, 0, spec, layout, 1, need) is None:
        need *= 2
    step = need // 4
    while step > max(1 << 20, need // 64):
        if plan_field(field, 0, spec, layout, 1, need - step) is not None:
            need -= step
        step //= 2
    limit = options.memory_limit_bytes
    chunk = "x".join(map(str, reversed(field.chunks)))
    raise ResourceLimit(
        f"Field '{field.name}', stored in chunks of {chunk} samples, needs {mebibytes(need)} "
        f"beside the program, and the memory limit of {mebibytes(limit)} leaves "
        f"{mebibytes(budget)}.",
        remedy="Raise the memory limit (CONVERSION_MEMORY_LIMIT, --memory-limit) to "
        f"{mebibytes(limit - budget + need)}, or save the data in smaller chunks, strips or "
        "tiles.",
    )


def _encoding_bytes(field: FieldSpec, layout: IdxLayout, threads: int) -> int:
    return threads * _ENCODED_BLOCKS * (field.sample_bytes << layout.bits_per_block)


def _readers(field: FieldSpec, threads: int, budget: int) -> int:
    """As many as may decode at once in half of the budget."""
    if field.working_bytes == 0:
        return threads
    return max(1, min(threads, budget // 2 // field.working_bytes))


def mebibytes(size_bytes: int) -> str:
    """For messages."""
    return f"{-(-size_bytes // (1 << 20))} MiB"
