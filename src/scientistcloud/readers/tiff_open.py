"""From TIFF files to a source: what the files are to each other.

The rules for several files:

1. All of one page: one image each, arranged by their names (`sequence`).
2. All of several pages: a volume each; the files in natural order are timesteps.
3. Some of one page, some of several: refused as ambiguous.
"""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.errors import AmbiguousFormat, InvalidOptions, UnlikeSlices
from scientistcloud.readers.base import (
    Choice,
    DatasetSpec,
    FieldSpec,
    Selection,
    Sensor,
    Source,
    SourceSpec,
)
from scientistcloud.readers.files import FilePool
from scientistcloud.readers.planes import Plane, PlaneField, PlaneSource
from scientistcloud.readers.sequence import Arrangement, arrange
from scientistcloud.readers.tiff_axes import PlaneGrid, arrange_planes
from scientistcloud.readers.tiff_keyframe import Keyframe
from scientistcloud.readers.tiff_meta import Description, describe_tiff
from scientistcloud.readers.tiff_ome import find_ome_sets, is_companion
from scientistcloud.readers.tiff_pages import PageReader
from scientistcloud.readers.tiff_planes import TiffPlane, native_chunks, working_bytes
from scientistcloud.readers.tiff_series import Series, TiffScanner

_FIELD_NAME = "data"


def open_tiff(files: Sequence[Path], selection: Selection) -> Source:
    """Open TIFF `files` (in natural order) as one source.

    Raises
    ------
    ConversionError
        Whatever keeps them from being converted.
    """
    pool = FilePool(selection.root)
    try:
        return _Opening(pool, selection).open(files)
    except BaseException:
        pool.close()
        raise


@dataclass(frozen=True)
class _Group:
    """Series that together make up one dataset.

    Attributes
    ----------
    series : sequence of Series
        All alike.
    grid : PlaneGrid
        Numbers its planes through all the series.
    """

    name: str
    series: Sequence[Series]
    grid: PlaneGrid
    description: Description


class _Opening:
    """The opening of one source."""

    def __init__(self, pool: FilePool, selection: Selection) -> None:
        self._pool = pool
        self._selection = selection
        self._parameters = selection.parameters
        self._scanner = TiffScanner(
            pool, as_components=self._parameters.get("samples") == "components"
        )
        self._reader = PageReader(pool)
        self._notes: list[str] = []
        self._choices: list[Choice] = []

    def open(self, files: Sequence[Path]) -> Source:
        names = {self._pool.name(path): path for path in files}
        chosen = select_files(list(names), self._parameters.get("files"))
        scanned = self._scan({name: names[name] for name in chosen})
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
            return self._stack(main)
        if single:
            multi = next(name for name in main if name not in set(single))
            raise AmbiguousFormat(
                f"Some files hold one page ({single[0]}), others several ({multi}), so it is "
                "unclear whether the files are slices or timesteps.",
                remedy="Upload them as separate datasets, or name those that belong together with "
                "the parameter 'files' (for instance files=slice_*.tif).",
            )
        return self._volumes(main)

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
        groups = []
        for i, series in enumerate(found):
            label = "" if i == 0 else series.name or f"series {i}"
            groups.append(self._group_of(label, {name: series}, Arrangement((name,))))
        title = "TIFF image" if found[0].planes == 1 else "multi-page TIFF"
        return self._source(title, groups)

    def _volumes(self, main: dict[str, Series]) -> Source:
        first_name, first = next(iter(main.items()))
        self._check_alike(main)
        for name, series in main.items():
            if (series.axes, series.shape) != (first.axes, first.shape):
                raise UnlikeSlices(
                    f"{name} has {series.planes} pages, unlike {first_name} with {first.planes}."
                )
        arranged = arrange(list(main), self._parameters.get("arrangement", "time"))
        if "arrangement" not in self._parameters:
            arranged = replace(arranged, rule="files of several pages each are timesteps")
        self._choose(arranged)
        return self._source("multi-page TIFF series", [self._group_of("", main, arranged)])

    def _stack(self, main: dict[str, Series]) -> Source:
        arranged = arrange(list(main), self._parameters.get("arrangement"))
        self._check_shapes(main, arranged)
        self._notes += arranged.notes
        self._choose(arranged)
        return self._source("TIFF stack", [self._group_of("", main, arranged)])

    def _choose(self, arranged: Arrangement) -> None:
        self._choices.append(
            Choice("arrangement", arranged.kind, arranged.rule, arranged.alternatives)
        )

    def _check_shapes(self, main: dict[str, Series], arranged: Arrangement) -> None:
        """Slices of a field must be alike; fields may differ in their type only."""
        per_field = len(arranged.names) // len(arranged.fields)
        if len(arranged.fields) == 1:
            self._check_alike(main)
            return
        for first in range(0, len(arranged.names), per_field):
            self._check_alike({n: main[n] for n in arranged.names[first : first + per_field]})
        sizes = {n: main[n].keyframe.shown[0] for n in arranged.names}
        if len(set(sizes.values())) > 1 or main.keys() != sizes.keys():
            described = ", ".join(f"{n} ({_kind(main[n].keyframe)})" for n in list(main)[:6])
            raise AmbiguousFormat(
                f"The images differ in name and size, so they seem unrelated: {described}.",
                remedy="Upload each as a dataset of its own, or name one with the parameter "
                "'files' (for instance files=" + arranged.names[0] + ").",
            )

    def _group_of(self, name: str, members: Mapping[str, Series], arranged: Arrangement) -> _Group:
        """One dataset: the files as `arranged`, and in each of them its own planes."""
        series = [members[n] for n in arranged.names]
        first = series[0]
        description = describe_tiff(self._pool, first)
        grid = arrange_planes(
            first.axes,
            first.shape,
            renamed=self._parameters.get("axes"),
            channels=first.channels or description.channels,
        )
        self._choices += grid.choices
        files = np.arange(len(series)).reshape(
            len(arranged.fields), arranged.timesteps, arranged.depth
        )
        # Axes of the files are slower than those within a file: field, time and depth alike.
        numbers = np.add.outer(files * first.planes, grid.planes).transpose(0, 3, 1, 4, 2, 5)
        outer, inner = files.shape, grid.planes.shape
        planes = numbers.reshape([a * b for a, b in zip(outer, inner, strict=True)])
        labels = tuple(
            " ".join(word for word in pair if word)
            for pair in itertools.product(arranged.fields, grid.labels)
        )
        return _Group(name, series, PlaneGrid(planes, labels), description)

    def _check_alike(self, main: dict[str, Series]) -> None:
        """All files must show alike: UnlikeSlices names the odd one."""
        kinds: dict[Any, list[str]] = {}
        for name, series in main.items():
            kinds.setdefault(series.keyframe.shown, []).append(name)
        if len(kinds) == 1:
            return
        odd = min(kinds.values(), key=len)
        usual = max((names for names in kinds.values() if names is not odd), key=len)
        raise UnlikeSlices(
            f"{odd[0]} is {_kind(main[odd[0]].keyframe)}, unlike {usual[0]}, "
            f"which is {_kind(main[usual[0]].keyframe)}."
        )

    def _source(self, title: str, groups: Sequence[_Group]) -> Source:
        datasets, fields = [], {}
        for number, group in enumerate(groups):
            dataset, planes = self._dataset(number, group)
            datasets.append(dataset)
            fields.update(planes)
            self._notes += [n for s in group.series[:1] for n in s.notes]
            self._notes += group.description.notes
        inputs = dict.fromkeys(s.path for group in groups for s in group.series)
        spec = SourceSpec(
            title,
            tuple(datasets),
            tuple(inputs),
            tuple(self._choices),
            tuple(dict.fromkeys(self._notes)),
            groups[0].description.metadata,
        )
        flip = self._selection.sensor is Sensor.TIFF_RGB
        return PlaneSource(spec, fields, self._pool.close, flip=flip)

    def _dataset(self, number: int, group: _Group) -> tuple[DatasetSpec, dict[str, PlaneField]]:
        _, timesteps, depth = group.grid.planes.shape
        _, _, height, width, _ = group.series[0].keyframe.format.shape
        specs, planes = [], {}
        for f, label in enumerate(group.grid.labels):
            keyframe = group.series[group.grid.planes[f, 0, 0] // group.series[0].planes].keyframe
            for band in range(keyframe.bands):
                words = [label, f"band {band + 1}" if keyframe.bands > 1 else ""]
                key = f"{number}/{f}/{band}"
                name = " ".join(word for word in words if word) or _FIELD_NAME
                specs.append(_field(key, name, keyframe, depth, group.description))
                planes[key] = PlaneField(self._lookup(group, f, band), height)
        shape = (depth, height, width) if depth > 1 else (height, width)
        dataset = DatasetSpec(
            group.name,
            shape,
            group.description.axes[-len(shape) :],
            tuple(specs),
            timesteps,
            metadata=group.description.metadata if number else {},
        )
        return dataset, planes

    def _lookup(self, group: _Group, f: int, band: int) -> Any:
        numbers, series = group.grid.planes[f], group.series
        per_file, reader = series[0].planes, self._reader

        def plane(timestep: int, z: int) -> Plane:
            file, number = divmod(int(numbers[timestep, z]), per_file)
            member = series[file]
            depth = member.keyframe.format.shape[1]
            page = member.pages[number // depth]
            return TiffPlane(reader, member.keyframe, page, number % depth, band)

        return plane


def select_files(names: Sequence[str], pattern: object) -> list[str]:
    """Those of `names` that the parameter ``files`` (a name or shell pattern) picks; all without.

    Raises
    ------
    InvalidOptions
        It picks none.
    """
    if pattern is None:
        return list(names)
    found = [n for n in names if fnmatch.fnmatchcase(n, str(pattern))]
    if not found:
        raise InvalidOptions(f"The parameter files={pattern!r} fits none of the files.")
    return found


def _field(
    key: str, name: str, keyframe: Keyframe, depth: int, description: Description
) -> FieldSpec:
    rows, columns = native_chunks(keyframe)
    return FieldSpec(
        key=key,
        name=name,
        dtype=keyframe.color.dtype,
        chunks=(1, rows, columns) if depth > 1 else (rows, columns),
        components=keyframe.color.components,
        working_bytes=working_bytes(keyframe),
        fill_value=description.fill_value,
    )


def _kind(keyframe: Keyframe) -> str:
    (depth, height, width), dtype, components, bands = keyframe.shown
    samples = components * bands
    deep = f" x {depth}" if depth > 1 else ""
    return f"{width} x {height}{deep} {dtype}" + (f"[{samples}]" if samples > 1 else "")
