"""Datasets made of TIFF series: files side by side, each with its own planes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scientistcloud.readers.names.arrangement import Arrangement
from scientistcloud.readers.planes.mosaic import Mosaic, MosaicPlane
from scientistcloud.readers.planes.source import Plane, PlaneDataset, PlaneField
from scientistcloud.readers.tiff.axes import PlaneGrid
from scientistcloud.readers.tiff.gdal import Band
from scientistcloud.readers.tiff.keyframe import Keyframe
from scientistcloud.readers.tiff.meta import Description
from scientistcloud.readers.tiff.pages import PageReader
from scientistcloud.readers.tiff.planes import TiffPlane, native_chunks, working_bytes
from scientistcloud.readers.tiff.series import Series

FIELD_NAME = "data"


@dataclass(frozen=True)
class Group:
    """Series that together make up one dataset.

    Attributes
    ----------
    series : sequence of Series
        Of one size; those of one field alike.
    grid : PlaneGrid
        Numbers its planes through all the series.
    """

    name: str
    series: Sequence[Series]
    grid: PlaneGrid
    description: Description


def group_series(
    name: str,
    members: Mapping[str, Series],
    arranged: Arrangement,
    grid: PlaneGrid,
    description: Description,
) -> Group:
    """One dataset: the files as `arranged`, and in each of them the planes of `grid`."""
    series = [members[n] for n in arranged.names]
    files = np.arange(len(series)).reshape(len(arranged.fields), arranged.timesteps, arranged.depth)
    # Axes of the files are slower than those within a file: field, time and depth alike.
    numbers = np.add.outer(files * series[0].planes, grid.planes).transpose(0, 3, 1, 4, 2, 5)
    planes = numbers.reshape([a * b for a, b in zip(files.shape, grid.planes.shape, strict=True)])
    labels = tuple(
        " ".join(word for word in pair if word)
        for pair in itertools.product(arranged.fields, grid.labels)
    )
    return Group(name, series, PlaneGrid(planes, labels), description)


def group_dataset(group: Group, reader: PageReader, *, is_main: bool) -> PlaneDataset:
    """The dataset of a group; the metadata of the main one are those of the source."""
    _, timesteps, depth = group.grid.planes.shape
    _, _, height, width, _ = group.series[0].keyframe.format.shape
    fields = []
    for f, label in enumerate(group.grid.labels):
        members = np.unique(group.grid.planes[f] // group.series[0].planes)
        keyframes = [group.series[i].keyframe for i in members]
        for band in range(keyframes[0].bands):
            told = _told(group, band)
            name = _name(label, keyframes[0], band, told.name)
            made = _field(name, keyframes, _lookup(group, reader, f, band),
                          group.description.fill_value)  # fmt: skip
            fields.append(replace(made, units=told.units or None, attributes=told.attributes))
    return PlaneDataset(
        group.name,
        depth,
        height,
        width,
        tuple(fields),
        timesteps,
        group.description.axes,
        _times(group.description.interval_seconds, timesteps),
        "s",
        group.description.matrix,
        {} if is_main else group.description.metadata,
    )


def _told(group: Group, band: int) -> Band:
    """What GDAL says of a band: of the first file, so where others are fields, of none."""
    bands = group.description.bands
    is_one = len(bands) == group.series[0].keyframe.bands and len(group.grid.labels) == 1
    return bands[band] if is_one else Band()


def _times(interval_seconds: float | None, timesteps: int) -> tuple[float, ...]:
    if interval_seconds is None or timesteps == 1:
        return ()
    return tuple(i * interval_seconds for i in range(timesteps))


def mosaic_dataset(
    name: str, mosaic: Mosaic, main: Mapping[str, Series], reader: PageReader
) -> PlaneDataset:
    """The dataset of a mosaic whose tiles are the first pages of files."""
    keyframes = [main[tile].keyframe for tile in mosaic.tiles.values()]
    bands = keyframes[0].bands
    fields = [
        _field(
            _name("", keyframes[0], band),
            keyframes,
            _constant(_mosaic_plane(mosaic, main, reader, band)),
        )
        for band in range(bands)
    ]
    return PlaneDataset(name, 1, mosaic.height, mosaic.width, tuple(fields))


def _lookup(group: Group, reader: PageReader, f: int, band: int) -> Callable[[int, int], Plane]:
    numbers, series = group.grid.planes[f], group.series
    per_file = series[0].planes

    def plane(timestep: int, z: int) -> Plane:
        file, number = divmod(int(numbers[timestep, z]), per_file)
        member = series[file]
        depth = member.keyframe.format.shape[1]
        page = member.pages[number // depth]
        return TiffPlane(reader, member.keyframe, page, number % depth, band)

    return plane


def _mosaic_plane(
    mosaic: Mosaic, main: Mapping[str, Series], reader: PageReader, band: int
) -> MosaicPlane:
    def tile(name: str) -> Plane:
        return TiffPlane(reader, main[name].keyframe, main[name].pages[0], 0, band)

    return MosaicPlane(mosaic, tile)


def _constant(plane: Plane) -> Callable[[int, int], Plane]:
    return lambda timestep, z: plane


def _name(label: str, keyframe: Keyframe, band: int, told: str = "") -> str:
    words = [label, told or keyframe.band_name(band)]
    return " ".join(word for word in words if word) or FIELD_NAME


def _field(
    name: str,
    keyframes: Sequence[Keyframe],
    plane: Callable[[int, int], Plane],
    fill_value: float | int | None = None,
) -> PlaneField:
    """A field whose planes are stored like `keyframes`, maybe not all alike."""
    distinct = _distinct(keyframes)
    chunks = [native_chunks(keyframe) for keyframe in distinct]
    return PlaneField(
        name,
        distinct[0].color.dtype,
        distinct[0].color.components,
        (max(rows for rows, _ in chunks), max(columns for _, columns in chunks)),
        max(working_bytes(keyframe) for keyframe in distinct),
        plane,
        fill_value,
    )


def _distinct(keyframes: Iterable[Keyframe]) -> list[Keyframe]:
    return list({id(keyframe): keyframe for keyframe in keyframes}.values())
