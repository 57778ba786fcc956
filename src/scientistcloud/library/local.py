"""Datasets in folders of this computer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from scientistcloud import host
from scientistcloud.errors import SourceNotFound
from scientistcloud.grid import Box, Shape
from scientistcloud.idx.reader import IdxReader
from scientistcloud.idx.times import dataset_record
from scientistcloud.library.dataset import Dataset


class LocalSamples:
    """Boxes read from block files."""

    def __init__(self, header: Path) -> None:
        self._reader = IdxReader(header, threads=host.cores())
        self.header = self._reader.header

    def read(self, field: int, timestep: int, box: Box, resolution: int) -> NDArray[Any]:
        return self._reader.read(field, timestep, box, resolution)

    def shape_of(self, box: Box, resolution: int) -> Shape:
        return self._reader.shape_of(box, resolution)

    def brick(self) -> Shape:
        return self._reader.brick(self.header.bits_per_block)

    def close(self) -> None:
        """Nothing is held open between reads."""


def open_local(path: Path) -> Dataset:
    """Open a folder of a conversion, or a header; raises as `open` does."""
    header = path / "visus.idx" if path.is_dir() else path
    if not header.is_file():
        raise SourceNotFound(f"There is no dataset at {path}.", remedy="Check the path.")
    try:
        metadata = json.loads((header.parent / "metadata.json").read_bytes())
    except (OSError, ValueError):
        metadata = {}
    samples = LocalSamples(header)
    about = metadata if isinstance(metadata, dict) else {}
    return Dataset(str(path), samples, about, dataset_record(header, samples.header))
