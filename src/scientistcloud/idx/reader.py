"""Reading boxes of an IDX dataset, at any resolution, in memory for the box alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource, UnsupportedLayout
from scientistcloud.grid import Box, Shape
from scientistcloud.idx.files.codecs import ROW_MAJOR, DamagedBlock, UnknownCodec, decode
from scientistcloud.idx.files.damage import describe_box
from scientistcloud.idx.files.missing_files import require_files
from scientistcloud.idx.files.stored import Payload, StoredBlocks
from scientistcloud.idx.geometry.bitmask import Bitmask, powers
from scientistcloud.idx.geometry.blocks import BlockLayout
from scientistcloud.idx.geometry.hzorder import to_row_major
from scientistcloud.idx.geometry.query import Piece, Samples, find_pieces, samples_inside
from scientistcloud.idx.headers.header import IdxHeader, load_header
from scientistcloud.idx.headers.midx import Midx, is_midx, load_midx
from scientistcloud.idx.headers.xml_text import is_xml

__all__ = ["IdxReader", "Midx", "is_idx", "is_midx", "load_midx"]

_FEW_COMPONENTS = 4
_PIECES_A_TASK = 8


class IdxReader:
    """An IDX dataset for reading: ours and others', block files and ARCO. Holds no open file.

    Parameters
    ----------
    header : Path or IdxHeader
        The ``.idx`` file, or what it says.
    base : Path, optional
        The folder that the header's template is relative to; the header's own by default.
    name : str, optional
        The header's file name without ``.idx`` (it names the folder of ARCO blocks); "visus"
        where the header is given as a value.
    threads : int
        So many blocks are decoded at once; as many are held besides the box.

    Raises
    ------
    CorruptSource, UnsupportedLayout, UnsafeSource
        The header cannot be used.
    """

    def __init__(
        self,
        header: Path | IdxHeader,
        base: Path | None = None,
        *,
        name: str | None = None,
        threads: int = 1,
    ) -> None:
        if isinstance(header, IdxHeader):
            if base is None:
                raise ValueError("a header by itself does not tell where its blocks are")
            self.header = header
        else:
            base = base or header.parent
            name = name or header.stem
            self.header = load_header(header)
        self.layout = BlockLayout(Bitmask(self.header.bits), self.header.bits_per_block)
        self.stored = StoredBlocks(self.header, base, name or "visus")
        self._threads = threads

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is held open between reads."""

    @property
    def max_resolution(self) -> int:
        """The finest resolution, which `read` takes by default."""
        return self.header.max_resolution

    def read(
        self, field: str | int, timestep: int, box: Box, resolution: int | None = None
    ) -> NDArray[Any]:
        """The samples of the grid of `resolution` inside `box`.

        Parameters
        ----------
        field : str or int
            Name or index.
        timestep : int
            From 0, whatever values of time the dataset has.
        box : Box
            In array order, half-open, within the logic box.
        resolution : int, optional
            From 0 (one sample) to `max_resolution`; OpenVisus's ``max_resolution``.

        Returns
        -------
        ndarray
            A new array of shape `shape_of(box, resolution)`, plus one axis of the components
            where the field has several. Empty where no sample of a coarse grid is in the box.

        Raises
        ------
        CorruptSource
            A block cannot be decoded, or its file is cut.
        StorageUnavailable
            A file is there and cannot be read. (A file that is not there is no error: its blocks
            are the default value, as in OpenVisus.)
        """
        index = self._index(field)
        out = self._empty(index, self.shape_of(box, resolution))
        self.read_into(index, timestep, box, out, resolution)
        return out

    def read_into(
        self,
        field: str | int,
        timestep: int,
        box: Box,
        out: NDArray[Any],
        resolution: int | None = None,
    ) -> None:
        """Like `read`, into the caller's array of the right shape and type."""
        index = self._index(field)
        samples = self._samples(box, resolution)
        item = self.header.fields[index]
        components = () if item.components == 1 else (item.components,)
        if out.shape != samples.shape + components or out.dtype != item.dtype:
            raise ValueError(f"an array of {samples.shape + components} {item.dtype} is needed")
        wanted = self.max_resolution if resolution is None else resolution
        pieces = list(find_pieces(self.layout, samples, wanted))

        def fill(part: Sequence[Piece]) -> None:
            by_number = {piece.number: piece for piece in part}
            for payload in self.stored.payloads(timestep, index, by_number):
                self._place(payload, by_number[payload.number], index, timestep, out)

        if self._threads == 1 or len(pieces) <= _PIECES_A_TASK:
            fill(pieces)
            return
        parts = [pieces[i : i + _PIECES_A_TASK] for i in range(0, len(pieces), _PIECES_A_TASK)]
        with ThreadPoolExecutor(min(self._threads, len(parts))) as pool:
            for task in [pool.submit(fill, part) for part in parts]:
                task.result()

    def shape_of(self, box: Box, resolution: int | None = None) -> Shape:
        """How many samples `read` gives along each axis."""
        return self._samples(box, resolution).shape

    def samples_of(self, box: Box, resolution: int | None = None) -> Samples:
        """Where the samples lie that `read` gives."""
        return self._samples(box, resolution)

    def values(self, axis: int, resolution: int | None = None) -> NDArray[np.float64]:
        """The coordinates of the samples of the whole logic box along `axis` (array order).

        The indices where the header does not tell.
        """
        samples = self._samples(self.header.box, resolution)
        index = samples.start[axis] + samples.step[axis] * np.arange(samples.shape[axis])
        place = self.header.axis_place(axis)
        if place is None:
            return index.astype(np.float64)
        first, spacing = place
        return (first + (index - self.header.box.lo[axis]) * spacing).astype(np.float64)

    def decode_block(self, payload: Payload, field: int, timestep: int) -> NDArray[Any]:
        """A stored block as an array of the block's shape, plus the components' axis if several.

        Raises
        ------
        CorruptSource, UnsupportedLayout
            It does not decode, or is stored in a way that is not known here.
        """
        if payload.data is None:
            raise ValueError("a missing block has no samples")
        item = self.header.fields[field]
        try:
            data = decode(payload.data, payload.flags, self.header.block_bytes(field))
        except UnknownCodec as error:
            raise UnsupportedLayout(f"Field '{item.name}': {error}.") from error
        except DamagedBlock as error:
            raise CorruptSource(
                f"Block {payload.number} of field '{item.name}' at timestep {timestep} "
                f"({describe_box(self.region(payload.number))}) is damaged: {error}."
            ) from error
        components = () if item.components == 1 else (item.components,)
        samples = np.frombuffer(data, item.dtype.newbyteorder("<"))
        if not payload.flags & ROW_MAJOR:
            samples = to_row_major(samples.reshape(-1, *components), self.layout, payload.number)
        nsamples = self.layout.level_of(payload.number).nsamples
        return samples.reshape(nsamples + components)

    def require_files(self, root: Path, name: str) -> None:
        """Refuse a dataset of which files are missing: see `missing_files.require_files`."""
        require_files(self.stored, self.layout, root, name)

    def brick(self, bits: int) -> Shape:
        """The shape of a box of at most ``2 ** bits`` samples that suits the blocks."""
        bitmask = self.layout.bitmask
        return powers(bitmask.counts(bitmask.length - bits + 1, bitmask.length))

    def region(self, number: int) -> Box:
        """The part of the logic box that the samples of block `number` spread over."""
        return self.layout.block(number).region(self.header.box.hi)

    def _place(
        self, payload: Payload, piece: Piece, field: int, timestep: int, out: NDArray[Any]
    ) -> None:
        if payload.data is None:
            out[piece.target] = default_samples(self.header, field)
        else:
            scatter(out[piece.target], self.decode_block(payload, field, timestep)[piece.source])

    def _empty(self, field: int, shape: Shape) -> NDArray[Any]:
        item = self.header.fields[field]
        return np.empty(shape if item.components == 1 else (*shape, item.components), item.dtype)

    def _index(self, field: str | int) -> int:
        return self.header.field_index(field) if isinstance(field, str) else field

    def _samples(self, box: Box, resolution: int | None) -> Samples:
        if not self.header.box.contains(box):
            raise ValueError(f"{box} is not within {self.header.box}")
        wanted = self.max_resolution if resolution is None else resolution
        return samples_inside(self.layout, box, wanted)


def is_idx(head: bytes) -> bool:
    """Whether a file that begins with `head` is an ``.idx`` header, as text or as XML."""
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    while text.startswith("#"):
        text = text.partition("\n")[2].lstrip()
    return text.startswith("(version)") or (is_xml(text) and "<idxfile" in text)


def default_samples(header: IdxHeader, field: int) -> Any:
    """What the samples of a block are that was left out."""
    item = header.fields[field]
    return np.frombuffer(bytes([item.default_value & 0xFF]) * item.dtype.itemsize, item.dtype)[0]


def scatter(out: NDArray[Any], samples: NDArray[Any]) -> None:
    """Copy; component by component where the samples of `out` do not lie side by side.

    NumPy copies rows of 3 bytes one at a time, but a strided column at several GB/s.
    """
    width = out.shape[-1]
    apart = out.ndim > 1 and out.strides[-2] > width * out.itemsize == width * out.strides[-1]
    if apart and width <= _FEW_COMPONENTS:
        for component in range(width):
            out[..., component] = samples[..., component]
    else:
        np.copyto(out, samples)
