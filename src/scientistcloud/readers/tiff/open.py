"""From TIFF files to a source: what the files are to each other.

The rules for several files:

1. All of one page: one image each, arranged by their names (`sequence`); with the sensor TIFF RGB
   and names of tiles, a mosaic (`mosaic`).
2. All of several pages: a volume each, arranged by their names; timesteps where these tell nothing.
3. Some of one page, some of several: refused as ambiguous.

The parameter ``arrangement`` says otherwise, ``files`` picks some of the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scientistcloud.errors import AmbiguousFormat, MissingMember, UnlikeSlices
from scientistcloud.readers.base import Choice, Selection, Sensor, Source, SourceSpec
from scientistcloud.readers.files.open_files import FilePool, handed_over
from scientistcloud.readers.files.output_names import output_name
from scientistcloud.readers.names.arrangement import Arrangement
from scientistcloud.readers.names.sequence import arrange, select_files
from scientistcloud.readers.planes.likeness import ImageKind, check_alike, check_arranged
from scientistcloud.readers.planes.mosaic import are_tiles, lay_out
from scientistcloud.readers.planes.source import PlaneDataset, PlaneSource
from scientistcloud.readers.tiff.axes import arrange_planes
from scientistcloud.readers.tiff.groups import (
    Group,
    group_dataset,
    group_series,
    mosaic_dataset,
)
from scientistcloud.readers.tiff.keyframe import Keyframe
from scientistcloud.readers.tiff.meta import describe_tiff
from scientistcloud.readers.tiff.ome import find_ome_sets, is_companion
from scientistcloud.readers.tiff.pages import PageReader
from scientistcloud.readers.tiff.palette import COLOURS, INDICES
from scientistcloud.readers.tiff.scan import TiffScanner
from scientistcloud.readers.tiff.series import Series


def open_tiff(files: Sequence[Path], selection: Selection) -> Source:
    """Open TIFF `files` (in natural order) as one source.

    Raises
    ------
    ConversionError
        Whatever keeps them from being converted.
    """
    with handed_over(FilePool(selection.root)) as pool:
        return _Opening(pool, selection).open(files)


class _Opening:
    """The opening of one source."""

    def __init__(self, pool: FilePool, selection: Selection) -> None:
        self._pool = pool
        self._sensor = selection.sensor
        self._parameters = selection.parameters
        self._scanner = TiffScanner(
            pool,
            samples=str(self._parameters.get("samples", "")),
            wanted=self._parameters.get("series"),
        )
        self._reader = PageReader(pool)
        self._notes: list[str] = []
        self._choices: list[Choice] = []

    def open(self, files: Sequence[Path]) -> Source:
        names = {self._pool.name(path): path for path in files}
        chosen = select_files(self._without_overviews(names), self._parameters.get("files"))
        scanned = self._scan({name: names[name] for name in chosen})
        if not scanned:
            raise MissingMember(f"{chosen[0]} describes TIFF files that were not uploaded.")
        if len(scanned) == 1:
            ((name, found),) = scanned.items()
            return self._single(name, found)
        several = [name for name, series in scanned.items() if len(series) > 1]
        if several:
            raise AmbiguousFormat(
                f"{several[0]} holds {len(scanned[several[0]])} images of unlike kind, and there "
                "are other files beside it."
            )
        main = {name: series[0] for name, series in scanned.items()}
        single = [name for name, series in main.items() if series.planes == 1]
        if len(single) == len(main):
            return self._mosaics(main) if self._is_mosaic(main) else self._stack(main)
        if single:
            multi = next(name for name in main if name not in set(single))
            raise AmbiguousFormat(
                f"Some files hold one page ({single[0]}), others several ({multi}), so it is "
                "unclear whether the files are slices or timesteps.",
                remedy="Upload them as separate datasets, or name those that belong together with "
                "the parameter 'files' (for instance files=slice_*.tif).",
            )
        return self._volumes(main)

    def _without_overviews(self, names: Iterable[str]) -> list[str]:
        """GDAL keeps coarser copies of ``dem.tif`` in ``dem.tif.ovr``."""
        known = set(names)
        overviews = [n for n in known if n.endswith(".ovr") and n.removesuffix(".ovr") in known]
        if overviews:
            self._notes.append(f"Left out, as overviews: {', '.join(sorted(overviews))}.")
        return [name for name in names if name not in overviews]

    def _scan(self, files: Mapping[str, Path]) -> dict[str, list[Series]]:
        """The series of each file; an OME-TIFF set counts as one file."""
        sets = find_ome_sets(self._pool, self._scanner, files)
        members = {m for s in sets.values() for m in s.members}
        scanned = {}
        for name, path in files.items():
            if name in sets:
                scanned[name] = sets[name].series
            elif name not in members and not is_companion(name):
                scanned[name] = self._scanner.scan(path)
        return scanned

    def _single(self, name: str, found: Sequence[Series]) -> Source:
        groups: list[Group] = []
        for i, series in enumerate(found):
            taken = [group.name for group in groups]
            label = output_name(series.name or f"series_{i}", taken) if i else ""
            groups.append(self._group(label, {name: series}, Arrangement((name,))))
        title = "TIFF image" if found[0].planes == 1 else "multi-page TIFF"
        return self._grouped(title, groups)

    def _volumes(self, main: dict[str, Series]) -> Source:
        first_name, first = next(iter(main.items()))
        check_alike(_kinds(main))
        for name, series in main.items():
            if (series.axes, series.shape) != (first.axes, first.shape):
                raise UnlikeSlices(
                    f"{name} has {series.planes} pages, unlike {first_name} with {first.planes}."
                )
        arranged = arrange(list(main), self._parameters.get("arrangement"), deep=True)
        return self._arranged("multi-page TIFF series", main, arranged)

    def _stack(self, main: dict[str, Series]) -> Source:
        arranged = arrange(list(main), self._parameters.get("arrangement"))
        kinds = _kinds(main)
        for each in arranged:
            check_arranged({name: kinds[name] for name in each.names}, each)
        return self._arranged("TIFF stack", main, arranged)

    def _arranged(
        self, title: str, main: Mapping[str, Series], arranged: Sequence[Arrangement]
    ) -> Source:
        """A dataset for each arrangement, the first one the main dataset."""
        self._choose(arranged[0])
        groups: list[Group] = []
        for each in arranged:
            self._notes += each.notes
            name = output_name(each.dataset, [group.name for group in groups]) if groups else ""
            groups.append(self._group(name, main, each))
        return self._grouped(title, groups)

    def _is_mosaic(self, names: Iterable[str]) -> bool:
        wanted = self._parameters.get("arrangement")
        if wanted is None:
            return self._sensor is Sensor.TIFF_RGB and are_tiles(names)
        return bool(wanted == "mosaic")

    def _mosaics(self, main: dict[str, Series]) -> Source:
        check_alike(_kinds(main), sizes=False)
        sizes = {n: s.keyframe.format.shape[2:4] for n, s in main.items()}
        datasets: list[PlaneDataset] = []
        for mosaic in lay_out(sizes):
            name = output_name(mosaic.panel, [d.name for d in datasets]) if datasets else ""
            datasets.append(mosaic_dataset(name, mosaic, main, self._reader))
            self._notes += mosaic.notes
        rule = "the files are named like tiles, <panel>_<col>_<row>"
        self._choices.append(Choice("arrangement", "mosaic", rule, ("depth", "time", "fields")))
        first = next(iter(main.values()))
        self._notes += first.notes
        metadata = describe_tiff(self._pool, first).metadata
        return self._source("TIFF mosaic", datasets, [s.path for s in main.values()], metadata)

    def _choose(self, arranged: Arrangement) -> None:
        alternatives = arranged.alternatives
        if are_tiles(arranged.names):
            alternatives += ("mosaic",)
        self._choices.append(Choice("arrangement", arranged.kind, arranged.rule, alternatives))

    def _group(self, name: str, members: Mapping[str, Series], arranged: Arrangement) -> Group:
        first = members[arranged.names[0]]
        description = describe_tiff(self._pool, first)
        grid = arrange_planes(
            first.axes,
            first.shape,
            renamed=self._parameters.get("axes"),
            channels=first.channels or description.channels,
        )
        self._choices += grid.choices
        return group_series(name, members, arranged, grid, description)

    def _choose_samples(self, keyframe: Keyframe) -> None:
        """Say what became of samples that are no colour."""
        wanted = self._parameters.get("samples")
        if keyframe.color.index_rule:
            rule = f"a palette whose numbers are the data: {keyframe.color.index_rule}"
            self._choices.append(Choice("samples", INDICES, rule, (COLOURS,)))
        elif keyframe.color.is_palette:
            rule = "as the parameter says" if wanted == COLOURS else "the palette of a picture"
            self._choices.append(Choice("samples", COLOURS, rule, (INDICES,)))
        elif keyframe.bands > 1:
            rule = "the samples of a pixel are no colour, so each is a field"
            self._choices.append(Choice("samples", "fields", rule, ("components",)))
        elif wanted == "components":
            self._choices.append(Choice("samples", "components", "as the parameter says"))

    def _grouped(self, title: str, groups: Sequence[Group]) -> Source:
        for group in groups:
            self._choose_samples(group.series[0].keyframe)
            self._notes += group.series[0].notes
            self._notes += group.description.notes
        return self._source(
            title,
            [group_dataset(g, self._reader, is_main=i == 0) for i, g in enumerate(groups)],
            [path for group in groups for s in group.series for path in s.files],
            groups[0].description.metadata,
        )

    def _source(
        self,
        title: str,
        datasets: Sequence[PlaneDataset],
        inputs: Iterable[Path],
        metadata: Mapping[str, Any],
    ) -> Source:
        spec = SourceSpec(
            title,
            (),
            tuple(dict.fromkeys(inputs)),
            tuple(dict.fromkeys(self._choices)),
            tuple(dict.fromkeys(self._notes)),
            metadata,
        )
        flip = self._sensor is Sensor.TIFF_RGB
        return PlaneSource(spec, datasets, self._pool.close, flip=flip)


def _kinds(main: Mapping[str, Series]) -> dict[str, ImageKind]:
    return {name: series.keyframe.kind for name, series in main.items()}
