"""From image files to a source: one image, a stack, channels or a mosaic."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tifffile

from scientistcloud.errors import CorruptSource, UnsupportedLayout
from scientistcloud.readers.base import Choice, Selection, Sensor, Source, SourceSpec
from scientistcloud.readers.files.open_files import FilePool, handed_over
from scientistcloud.readers.files.output_names import output_name
from scientistcloud.readers.images.headers import ImageHeader, read_header
from scientistcloud.readers.images.planes import ImagePlane, Sheet, first_line
from scientistcloud.readers.names.arrangement import Arrangement
from scientistcloud.readers.names.sequence import arrange, select_files
from scientistcloud.readers.planes.likeness import check_alike, check_arranged
from scientistcloud.readers.planes.mosaic import MosaicPlane, are_tiles, lay_out
from scientistcloud.readers.planes.source import Plane, PlaneDataset, PlaneField, PlaneSource
from scientistcloud.readers.tiff.keyframe import quiet
from scientistcloud.readers.tiff.meta import jsonable

FIELD_NAME = "data"
_MAX_FILE_BYTES = 4 << 30
_ORIENTATION = 274


def open_images(files: Sequence[Path], selection: Selection) -> Source:
    """Open image `files` (in natural order) as one source.

    Raises
    ------
    ConversionError
        Whatever keeps them from being converted.
    """
    with handed_over(FilePool(selection.root)) as pool:
        names = {pool.name(path): path for path in files}
        chosen = select_files(list(names), selection.parameters.get("files"))
        sheets = {name: read_sheet(pool, names[name]) for name in chosen}
        return _Opening(pool, selection, sheets).open()


def read_sheet(pool: FilePool, path: Path) -> Sheet:
    """What the header of a file says.

    Raises
    ------
    CorruptSource, UnsupportedLayout
    """
    name, size = pool.name(path), pool.size(path)
    if size > _MAX_FILE_BYTES:
        raise UnsupportedLayout(f"{name} is larger than 4 GiB, which its format does not allow.")

    def read(offset: int, count: int) -> bytes:
        return pool.read(path, offset, max(0, min(count, size - offset)))

    try:
        header = read_header(read, size)
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise CorruptSource(f"{name} is damaged: {first_line(error)}.") from error
    if header.frames > 1:
        raise UnsupportedLayout(
            f"{name} is an animation.", remedy="Export its frames as a stack of images."
        )
    return Sheet(path, header, _orientation(header), size)


class _Opening:
    """The opening of one source."""

    def __init__(self, pool: FilePool, selection: Selection, sheets: Mapping[str, Sheet]) -> None:
        self._pool = pool
        self._sensor = selection.sensor
        self._wanted = selection.parameters.get("arrangement")
        self._sheets = sheets
        self._notes: list[str] = []

    def open(self) -> Source:
        kinds = {name: sheet.kind for name, sheet in self._sheets.items()}
        turned = [name for name, sheet in self._sheets.items() if sheet.orientation != 1]
        if turned:
            self._notes.append(f"{len(turned)} of the images were turned as their EXIF says.")
        if self._is_mosaic():
            check_alike(kinds, sizes=False)
            return self._mosaics()
        arranged = arrange(list(self._sheets), self._wanted)
        first = arranged[0]
        names = [name for each in arranged for name in each.names]
        datasets: list[PlaneDataset] = []
        for each in arranged:
            check_arranged({name: kinds[name] for name in each.names}, each)
            self._notes += each.notes
            label = output_name(each.dataset, [d.name for d in datasets]) if datasets else ""
            datasets.append(self._dataset(label, each))
        if len(self._sheets) == 1:
            return self._source(self._title("image"), datasets, [], names)
        choice = Choice("arrangement", first.kind, first.rule, self._others(first))
        return self._source(self._title("stack"), datasets, [choice], names)

    def _is_mosaic(self) -> bool:
        if self._wanted is None:
            several = len(self._sheets) > 1
            return several and self._sensor is Sensor.TIFF_RGB and are_tiles(self._sheets)
        return bool(self._wanted == "mosaic")

    def _others(self, arranged: Arrangement) -> tuple[str, ...]:
        return arranged.alternatives + (("mosaic",) if are_tiles(arranged.names) else ())

    def _title(self, what: str) -> str:
        formats = dict.fromkeys(sheet.header.format for sheet in self._sheets.values())
        return f"{' and '.join(formats)} {what}"

    def _dataset(self, name: str, arranged: Arrangement) -> PlaneDataset:
        per_field = arranged.timesteps * arranged.depth
        fields = []
        for f, label in enumerate(arranged.fields):
            names = arranged.names[f * per_field : (f + 1) * per_field]
            members = [self._sheets[name] for name in names]
            for band in range(members[0].kind.bands):
                plane = _lookup(self._pool, members, arranged.depth, band)
                fields.append(_field(_name(label, members[0], band), members, plane))
        _, height, width = self._sheets[arranged.names[0]].kind.shape
        return PlaneDataset(name, arranged.depth, height, width, tuple(fields), arranged.timesteps)

    def _mosaics(self) -> Source:
        sizes = {n: (s.kind.shape[1], s.kind.shape[2]) for n, s in self._sheets.items()}
        datasets: list[PlaneDataset] = []
        for mosaic in lay_out(sizes):
            members = [self._sheets[name] for name in mosaic.tiles.values()]
            fields = []
            for band in range(members[0].kind.bands):
                plane = MosaicPlane(mosaic, self._tiles(band))
                fields.append(_field(_name("", members[0], band), members, _constant(plane)))
            name = output_name(mosaic.panel, [d.name for d in datasets]) if datasets else ""
            datasets.append(PlaneDataset(name, 1, mosaic.height, mosaic.width, tuple(fields)))
            self._notes += mosaic.notes
        rule = "the files are named like tiles, <panel>_<col>_<row>"
        choice = Choice("arrangement", "mosaic", rule, ("depth", "time", "fields"))
        return self._source(self._title("mosaic"), datasets, [choice], self._sheets)

    def _tiles(self, band: int) -> Callable[[str], Plane]:
        return lambda name: ImagePlane(self._pool, self._sheets[name], band)

    def _source(
        self,
        title: str,
        datasets: Sequence[PlaneDataset],
        choices: Sequence[Choice],
        names: Iterable[str],
    ) -> Source:
        first = next(iter(self._sheets.values()))
        spec = SourceSpec(
            title,
            (),
            tuple(self._sheets[name].path for name in names),
            tuple(choices),
            tuple(self._notes),
            {"exif": _exif(first.header)} if first.header.exif else {},
        )
        flip = self._sensor is Sensor.TIFF_RGB
        return PlaneSource(spec, datasets, self._pool.close, flip=flip)


def _lookup(
    pool: FilePool, members: Sequence[Sheet], depth: int, band: int
) -> Callable[[int, int], Plane]:
    return lambda timestep, z: ImagePlane(pool, members[timestep * depth + z], band)


def _constant(plane: Plane) -> Callable[[int, int], Plane]:
    return lambda timestep, z: plane


def _name(label: str, sheet: Sheet, band: int) -> str:
    words = [label]
    if sheet.kind.bands == 2:
        # The formats know two samples only as brightness and opacity.
        words.append("alpha" if band else "")
    elif sheet.kind.bands > 2:
        words.append(f"band {band + 1}")
    return " ".join(word for word in words if word) or FIELD_NAME


def _field(name: str, sheets: Sequence[Sheet], plane: Callable[[int, int], Plane]) -> PlaneField:
    kinds = [sheet.kind for sheet in sheets]
    return PlaneField(
        name,
        kinds[0].dtype,
        kinds[0].components,
        (max(k.shape[1] for k in kinds), max(k.shape[2] for k in kinds)),
        max(sheet.working_bytes for sheet in sheets),
        plane,
    )


def _orientation(header: ImageHeader) -> int:
    value = _exif(header).get("Orientation", 1) if header.exif else 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _exif(header: ImageHeader) -> dict[str, Any]:
    """The tags of the first directory, JSON-able; nothing where the block is damaged."""
    try:
        with quiet(), tifffile.TiffFile(io.BytesIO(header.exif)) as tif:
            tags = {tag.name: jsonable(tag.value) for tag in tif.pages.first.tags}
    except Exception:  # a damaged block says nothing about the picture
        return {}
    return {name: value for name, value in tags.items() if name != "MakerNote"}
