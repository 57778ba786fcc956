"""A result as a pyramid of arrays: level n has every 2^n-th sample of each axis of space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.grid import Box, Shape, ceil_div
from scientistcloud.streaming.box_reader import BoxReader
from scientistcloud.streaming.results import Result

_SMALL = 64
"""The coarsest level is the first whose edges are no longer than this."""
_CHUNK_EDGE = {1: 4096, 2: 512, 3: 64}


@dataclass(frozen=True, slots=True)
class Channel:
    """One component of one field."""

    field: int
    component: int
    name: str


@dataclass(frozen=True)
class Pyramid:
    """Fields of one type on the grid of a result, as arrays of t, c and space.

    Axes of time and channel are there only where there are several.

    Attributes
    ----------
    channels : tuple of Channel
        Along the axis c.
    """

    result: Result
    channels: tuple[Channel, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.result.header.fields[self.channels[0].field].dtype.newbyteorder("<")

    @property
    def has_time(self) -> bool:
        return self.result.header.timesteps > 1

    @property
    def has_channels(self) -> bool:
        return len(self.channels) > 1

    @property
    def space(self) -> Shape:
        return self.result.header.shape

    @property
    def levels(self) -> int:
        """Number of levels, the full resolution included."""
        count = 1
        while max(self.space_at(count - 1)) > _SMALL:
            count += 1
        return count

    def space_at(self, level: int) -> Shape:
        """The lengths of the axes of space at a level."""
        return tuple(ceil_div(n, 1 << level) for n in self.space)

    def shape_at(self, level: int) -> Shape:
        return (*self._leading, *self.space_at(level))

    @property
    def chunks(self) -> Shape:
        """The shape of a chunk: one timestep and channel, a brick of space."""
        edge = _CHUNK_EDGE[min(3, len(self.space))]
        return (*(1 for _ in self._leading), *(min(edge, n) for n in self.space))

    @property
    def _leading(self) -> Shape:
        time = (self.result.header.timesteps,) if self.has_time else ()
        return (*time, len(self.channels)) if self.has_channels else time

    def read_chunk(self, boxes: BoxReader, level: int, index: Shape) -> NDArray[Any] | None:
        """The samples of a chunk, padded with 0 to its whole shape; None outside the array."""
        shape, chunks = self.shape_at(level), self.chunks
        if len(index) != len(shape) or any(
            not 0 <= i < ceil_div(n, c) for i, n, c in zip(index, shape, chunks, strict=True)
        ):
            return None
        timestep, channel, space = self._split(index)
        rank = len(self.space)
        stride = (1 << level,) * rank
        origin = self.result.header.box.lo
        size = chunks[-rank:]
        lo = tuple(o + i * c * s for o, i, c, s in zip(origin, space, size, stride, strict=True))
        hi = tuple(
            min(o + n, l + c * s)
            for o, n, l, c, s in zip(origin, self.space, lo, size, stride, strict=True)
        )
        found = boxes.read_strided(self.result, channel.field, timestep, Box(lo, hi), stride)
        if self.result.header.fields[channel.field].components > 1:
            found = found[..., channel.component]
        out = np.zeros(size, self.dtype)
        out[tuple(slice(0, n) for n in found.shape)] = found
        return out.reshape(chunks)

    def _split(self, index: Shape) -> tuple[int, Channel, Shape]:
        rest = list(index)
        timestep = rest.pop(0) if self.has_time else 0
        channel = rest.pop(0) if self.has_channels else 0
        return timestep, self.channels[channel], tuple(rest)


def pyramids(result: Result) -> list[Pyramid]:
    """One pyramid where all fields are of one type, else one for each field."""
    fields = result.header.fields
    channels = [
        tuple(
            Channel(index, component, _channel_name(item.name, component, item.components))
            for component in range(item.components)
        )
        for index, item in enumerate(fields)
    ]
    if len({item.dtype for item in fields}) == 1:
        return [Pyramid(result, tuple(each for group in channels for each in group))]
    return [Pyramid(result, group) for group in channels]


def _channel_name(field: str, component: int, components: int) -> str:
    if components == 1:
        return field
    letters = "RGBA" if components in (3, 4) else ""
    return f"{field} {letters[component] if letters else component}"
