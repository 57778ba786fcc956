"""Where the boxes of an open dataset come from: `Samples`."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from scientistcloud.grid import Box, Shape
from scientistcloud.idx.headers.header import IdxHeader


class Samples(Protocol):
    """Boxes of one dataset, from a folder or a server."""

    header: IdxHeader

    def read(self, field: int, timestep: int, box: Box, resolution: int) -> NDArray[Any]:
        """The samples of a resolution inside a box, in array order."""
        ...

    def shape_of(self, box: Box, resolution: int) -> Shape:
        """How many samples that are along each axis."""
        ...

    def brick(self) -> Shape:
        """The shape of a box that suits the blocks."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...
