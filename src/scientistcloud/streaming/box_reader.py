"""Boxes of samples for many readers at once: one cache, several blocks decoded at a time."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box, Shape, ceil_div
from scientistcloud.idx.files.stored import Payload
from scientistcloud.idx.geometry.bitmask import powers
from scientistcloud.idx.geometry.query import Piece, Samples, find_pieces
from scientistcloud.idx.reader import default_samples, scatter
from scientistcloud.refusals import BoxTooLarge
from scientistcloud.streaming.block_cache import BlockCache
from scientistcloud.streaming.results import Result
from scientistcloud.streaming.turns import Turns

_BLOCKS_A_TASK = 4
_MOST_PIECES = 65_536


class BoxReader:
    """Reads boxes of results; safe to use from any number of threads.

    Parameters
    ----------
    cache : BlockCache
    threads : int
        Blocks are decoded by so many threads, whoever asked for them.
    limit_bytes : int
        The largest box, in bytes of samples; boxes that are cut at one time inside of turns
        (see `Turns`) hold twice as much together.
    """

    def __init__(self, cache: BlockCache, threads: int, limit_bytes: int) -> None:
        self._cache = cache
        self._limit_bytes = limit_bytes
        self.turns = Turns(2 * limit_bytes)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="blocks")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read(
        self, result: Result, field: int, timestep: int, box: Box, resolution: int
    ) -> NDArray[Any]:
        """The samples of the grid of `resolution` inside `box`, as `IdxReader.read` has them.

        Raises
        ------
        BoxTooLarge
            It holds more samples, or lies in more blocks, than one answer may.
        CorruptSource, StorageUnavailable
        """
        reader = result.reader
        samples = reader.samples_of(box, resolution)
        self.require_small(result, field, samples.shape)
        self.turns.take(result.header.fields[field].sample_bytes * math.prod(samples.shape))
        item = result.header.fields[field]
        components = () if item.components == 1 else (item.components,)
        out = np.empty(samples.shape + components, item.dtype)
        self._fill(result, field, timestep, samples, resolution, out)
        return out

    def read_strided(
        self, result: Result, field: int, timestep: int, box: Box, stride: Shape
    ) -> NDArray[Any]:
        """Every `stride`-th sample along each axis inside `box` (powers of two, from the origin).

        Read from the coarsest resolution that has them all.
        """
        resolution, step = coarsest(result, stride)
        take = tuple(
            slice((-(-l // w) * w - -(-l // s) * s) // s, None, w // s)
            for l, w, s in zip(box.lo, stride, step, strict=True)
        )
        return self.read(result, field, timestep, box, resolution)[take]

    def read_outside(
        self, result: Result, field: int, timestep: int, box: Box, resolution: int
    ) -> NDArray[Any]:
        """Like `read`, of a box that may reach past the data, where samples are 0.

        Samples are those of the power-of-two box, as OpenVisus counts them.
        """
        bitmask = result.reader.layout.bitmask
        whole = Box(tuple(0 for _ in bitmask.shape), bitmask.shape).intersect(box)
        step = powers(bitmask.counts(resolution + 1, bitmask.length))
        first = tuple(ceil_div(l, s) for l, s in zip(whole.lo, step, strict=True))
        shape = tuple(
            max(0, ceil_div(h, s) - f) for h, s, f in zip(whole.hi, step, first, strict=True)
        )
        self.require_small(result, field, shape)
        inner = result.header.box.intersect(whole)
        if inner == whole:
            return self.read(result, field, timestep, inner, resolution)
        item = result.header.fields[field]
        components = () if item.components == 1 else (item.components,)
        out = np.zeros(shape + components, item.dtype)
        if not inner.is_empty:
            found = self.read(result, field, timestep, inner, resolution)
            target = tuple(
                slice(ceil_div(l, s) - f, ceil_div(l, s) - f + n)
                for l, s, f, n in zip(inner.lo, step, first, found.shape, strict=False)
            )
            out[target] = found
        return out

    def samples(self, result: Result, field: int, timestep: int, payload: Payload) -> NDArray[Any]:
        """The samples of a stored block, decoded or from the cache; read-only.

        Raises
        ------
        CorruptSource, UnsupportedLayout
        """
        key = (*result.key, field, timestep, payload.number)
        kept, awaited, own = self._cache.reserve([key])
        if own:
            return self._pool.submit(self._decode, result, field, timestep, payload, key).result()
        found = kept[key] if kept else awaited[key].result()
        return result.reader.decode_block(payload, field, timestep) if found is None else found

    def _decode(
        self, result: Result, field: int, timestep: int, payload: Payload, key: Hashable
    ) -> NDArray[Any]:
        try:
            samples = result.reader.decode_block(payload, field, timestep)
        except BaseException as error:
            self._cache.give_up([key], error)
            raise
        self._cache.put(key, samples)
        return samples

    def is_small(self, result: Result, field: int, shape: Shape) -> bool:
        """Whether one answer can hold a box of samples of this shape."""
        return result.header.fields[field].sample_bytes * math.prod(shape) <= self._limit_bytes

    def require_small(self, result: Result, field: int, shape: Shape) -> None:
        """Refuse a box that one answer cannot hold; raises `BoxTooLarge`."""
        if not self.is_small(result, field, shape):
            size_bytes = result.header.fields[field].sample_bytes * math.prod(shape)
            raise BoxTooLarge(
                f"The box holds {size_bytes} bytes of samples; {self._limit_bytes} are the most "
                "that one answer has."
            )

    def _fill(
        self,
        result: Result,
        field: int,
        timestep: int,
        samples: Samples,
        resolution: int,
        out: NDArray[Any],
    ) -> None:
        pieces = list(islice(find_pieces(result.reader.layout, samples, resolution), _MOST_PIECES))
        if len(pieces) == _MOST_PIECES:
            raise BoxTooLarge("The box lies in too many blocks; ask for parts of it.")
        base = (*result.key, field, timestep)
        by_key: dict[Any, Piece] = {(*base, piece.number): piece for piece in pieces}
        kept, awaited, own = self._cache.reserve(by_key)
        job = _Job(self._cache, result, field, timestep, by_key, out)
        tasks = [self._pool.submit(job.load, part) for part in _parts(own, _BLOCKS_A_TASK)]
        for key, block in kept.items():
            job.place(by_key[key], block)
        _finish(tasks)
        for key, future in awaited.items():
            job.place(by_key[key], future.result())


class _Job:
    """One box being filled: its blocks, some from the cache, others decoded by several threads."""

    def __init__(
        self,
        cache: BlockCache,
        result: Result,
        field: int,
        timestep: int,
        pieces: dict[Any, Piece],
        out: NDArray[Any],
    ) -> None:
        self._cache = cache
        self._result = result
        self._field = field
        self._timestep = timestep
        self._pieces = pieces
        self._out = out
        self._is_there = False

    def load(self, keys: Sequence[Any]) -> None:
        """Decode these blocks and put them where they belong."""
        reader, left = self._result.reader, list(keys)
        try:
            numbers = [key[-1] for key in keys]
            for payload in reader.stored.payloads(self._timestep, self._field, numbers):
                if payload.data is None:
                    self._require_there()
                    block = None
                else:
                    block = reader.decode_block(payload, self._field, self._timestep)
                self._result.require_same()
                key = left[0]
                self._cache.put(key, block)
                del left[0]
                self.place(self._pieces[key], block)
        except BaseException as error:
            self._cache.give_up(left, error)
            raise

    def place(self, piece: Piece, block: NDArray[Any] | None) -> None:
        if block is None:
            self._out[piece.target] = default_samples(self._result.header, self._field)
        else:
            scatter(self._out[piece.target], block[piece.source])

    def _require_there(self) -> None:
        if not self._is_there:
            self._result.require_there()
            self._is_there = True


def coarsest(result: Result, stride: Shape) -> tuple[int, Shape]:
    """The coarsest resolution whose grid has every `stride`-th sample, and the grid's steps."""
    bitmask = result.reader.layout.bitmask
    for resolution in range(bitmask.length):
        step = powers(bitmask.counts(resolution + 1, bitmask.length))
        if all(s <= w for s, w in zip(step, stride, strict=True)):
            return resolution, step
    return bitmask.length, (1,) * bitmask.rank


def _parts(keys: Sequence[Any], length: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(keys), length):
        yield keys[start : start + length]


def _finish(tasks: Iterable[Future[None]]) -> None:
    """Wait for all, so that nothing writes to an array that was let go; raise the first error."""
    errors = [task.exception() for task in tasks]
    for error in errors:
        if error is not None:
            raise error
