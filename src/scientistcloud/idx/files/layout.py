"""How one dataset is laid out in blocks and files: `IdxLayout`, a pure value that makes headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from scientistcloud.grid import Box, Shape
from scientistcloud.idx.files.blockfile import block_template
from scientistcloud.idx.files.codecs import CODECS
from scientistcloud.idx.geometry.bitmask import Bitmask
from scientistcloud.idx.geometry.blocks import BlockLayout
from scientistcloud.idx.headers.field import IdxField
from scientistcloud.idx.headers.header import IdxHeader
from scientistcloud.idx.headers.place import Matrix, Pairs

BITS_PER_BLOCK = 16
"""OpenVisus's own default."""

BLOCK_BYTES = 512 << 10
"""Blocks of wide samples (vectors of floats) hold fewer of them, to stay within this."""

ARCO_BYTES = 1 << 20
"""A request to an object store should bring about this much."""

FILE_BYTES = 256 << 20
"""Uncompressed size that a block file is planned for."""

MIN_BLOCKS_PER_FILE = 64
"""Keeps any folder below about a thousand files: 16 bits of a block's number name a file in it."""

TIME_TEMPLATE = "time_%04d/"
FLAT_TIME_TEMPLATE = "time_%06d_"
MOST_TIME_FOLDERS = 1000

MANY_TIMESTEPS = 16
SMALL_FILE_BYTES = 64 << 10
"""Timesteps of up to this size are gathered in memory, and written and synced together."""


@dataclass(frozen=True)
class IdxLayout:
    """Everything about a dataset that does not depend on its samples.

    Attributes
    ----------
    shape : Shape
        Array order, 1 to 3 axes.
    fields : tuple of IdxField
        Names and types as the header has them; the ranges are empty.
    timesteps : int
    codec : str
        Of `codecs.CODECS`.
    bitmask : Bitmask
    bits_per_block, blocks_per_file : int
    arco : int
        Bytes of a block of the largest field; 0 for block files.
    axis_names : tuple of str
        Array order, or empty.
    physic_box : tuple of (float, float)
        Array order, or empty.
    matrix : Matrix
        x first, or empty.
    axis_units : tuple of str
        Array order, or empty.
    fill_values : tuple
        Of each field, the value that stands for missing samples, or None: kept, but left out of
        the range that viewers colour by. Empty where no field has one.
    """

    shape: Shape
    fields: tuple[IdxField, ...]
    timesteps: int
    codec: str
    bitmask: Bitmask
    bits_per_block: int
    blocks_per_file: int
    arco: int = 0
    axis_names: tuple[str, ...] = ()
    physic_box: Pairs = ()
    matrix: Matrix = ()
    axis_units: tuple[str, ...] = ()
    fill_values: tuple[float | int | None, ...] = ()

    @cached_property
    def blocks(self) -> BlockLayout:
        return BlockLayout(self.bitmask, self.bits_per_block)

    @cached_property
    def has_small_files(self) -> bool:
        """Whether there are many timesteps, of which each is one small file."""
        bytes_per_block = sum(f.sample_bytes for f in self.fields) << self.bits_per_block
        return (
            not self.arco
            and self.timesteps >= MANY_TIMESTEPS
            and self.blocks.count <= self.blocks_per_file
            and self.blocks.count * bytes_per_block <= SMALL_FILE_BYTES
        )

    @property
    def time_template(self) -> str:
        """Empty for a single timestep; without a folder for each of very many small ones."""
        if self.has_small_files and self.timesteps > MOST_TIME_FOLDERS:
            return FLAT_TIME_TEMPLATE
        return TIME_TEMPLATE if self.timesteps > 1 else ""

    def filename_template(self, base: str) -> str:
        """The header's template for block files below `base` (relative to the header)."""
        return block_template(base, self.bitmask.length - self.bits_per_block)

    def header(
        self, template_base: str, ranges: Sequence[tuple[Sequence[float], Sequence[float]]] = ()
    ) -> IdxHeader:
        """The header of the dataset.

        Parameters
        ----------
        template_base : str
            Where the blocks lie relative to the header, such as ``./visus``.
        ranges : sequence
            Of each field, the minima and the maxima of its components; empty where unknown.
        """
        fields = self.fields
        if ranges:
            fields = tuple(
                replace(f, minimum=tuple(low), maximum=tuple(high))
                for f, (low, high) in zip(fields, ranges, strict=True)
            )
        return IdxHeader(
            box=Box.of_shape(self.shape),
            fields=fields,
            bits=self.bitmask.text,
            bits_per_block=self.bits_per_block,
            blocks_per_file=self.blocks_per_file,
            filename_template=self.filename_template(template_base),
            time_ranges=(range(self.timesteps),),
            time_template=self.time_template,
            arco=self.arco,
            axis_names=self.axis_names,
            physic_box=self.physic_box,
            matrix=self.matrix,
            axis_units=self.axis_units,
        )


def plan_layout(
    shape: Shape,
    fields: Sequence[tuple[str, Any, int]],
    *,
    timesteps: int = 1,
    codec: str = "isal-1",
    arco: bool = False,
    axis_names: tuple[str, ...] = (),
    physic_box: Pairs = (),
    matrix: Matrix = (),
    axis_units: tuple[str, ...] = (),
    fill_values: tuple[float | int | None, ...] = (),
) -> IdxLayout:
    """Choose bitmask, size of blocks and blocks per file.

    The choice depends on nothing but the dataset, so that the same data always become the same
    blocks.

    Parameters
    ----------
    shape : Shape
        Array order.
    fields : sequence of (name, dtype, components)
    """
    compression = CODECS[codec].compression
    idx_fields = tuple(
        IdxField(name, dtype.newbyteorder("<"), components, compression)
        for name, dtype, components in fields
    )
    bitmask = Bitmask.from_dims(shape)
    largest = max(f.sample_bytes for f in idx_fields)
    wanted = ((ARCO_BYTES if arco else BLOCK_BYTES) // largest).bit_length() - 1
    bits = min(max(1, wanted if arco else min(wanted, BITS_PER_BLOCK)), bitmask.length)
    return IdxLayout(
        shape=shape,
        fields=idx_fields,
        timesteps=timesteps,
        codec=codec,
        bitmask=bitmask,
        bits_per_block=bits,
        blocks_per_file=1 if arco else _blocks_per_file(bitmask.length - bits, bits, idx_fields),
        arco=largest << bits if arco else 0,
        axis_names=axis_names,
        physic_box=physic_box,
        matrix=matrix,
        axis_units=axis_units,
        fill_values=fill_values,
    )


def _blocks_per_file(block_bits: int, bits_per_block: int, fields: Sequence[IdxField]) -> int:
    block_bytes = sum(f.sample_bytes for f in fields) << bits_per_block
    wanted = max(MIN_BLOCKS_PER_FILE, FILE_BYTES // block_bytes)
    return min(1 << block_bits, 1 << (wanted.bit_length() - 1))
