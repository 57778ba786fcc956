"""GRIB 1 and 2 (``.grib``, ``.grb``, ``.grib2``), message by message, by eccodes: an extra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scientistcloud.errors import UnsupportedLayout
from scientistcloud.readers.arrays.attributes import json_value
from scientistcloud.readers.arrays.raw_array import RawSource
from scientistcloud.readers.arrays.raw_grid import MAX_FIELDS
from scientistcloud.readers.base import DatasetSpec, Match, Selection, Source, SourceSpec
from scientistcloud.readers.files.open_files import FilePool, handed_over
from scientistcloud.readers.files.output_names import output_name
from scientistcloud.readers.weather.fields import Time, Variable, variables_of
from scientistcloud.readers.weather.messages import read_messages

_SUFFIXES = frozenset({".grib", ".grb", ".grib1", ".grib2", ".grb1", ".grb2", ".gb2"})
_MOST_DATASETS = 64


class GribReader:
    """Recognises and opens GRIB files."""

    name = "grib"

    def match(self, path: Path, head: bytes) -> Match:
        named = path.suffix.lower() in _SUFFIXES
        if head[:4] == b"GRIB" and head[7:8] in (b"\1", b"\2"):
            return Match.CERTAIN
        if named and b"GRIB" in head:  # behind the header of a bulletin
            return Match.CERTAIN
        return Match.POSSIBLE if named else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        with handed_over(FilePool(selection.root)) as pool:
            messages = [m for path in files for m in read_messages(path, pool)]
            variables, notes = variables_of(messages)
            groups = _groups(variables)
            datasets: list[DatasetSpec] = []
            readers: dict[str, Variable] = {}
            for group in groups:
                dataset, more = _dataset(group, datasets)
                datasets.append(dataset)
                readers |= more
            notes += tuple(_gap(v) for v in variables if v.missing)
            metadata = {"format": "GRIB", "messages": len(messages)}
            first = {k: json_value(v) for k, v in messages[0].keys.items()}
            spec = SourceSpec(
                "GRIB", tuple(datasets), tuple(files), notes=notes,
                metadata=metadata | {"first_message": first},
            )  # fmt: skip
            return RawSource(spec, readers, pool)


READER = GribReader()


def _gap(variable: Variable) -> str:
    total = len(variable.times) * len(variable.levels)
    return f"{variable.name}: {variable.missing} of {total} times and levels are missing, and NaN."


def _groups(variables: Sequence[Variable]) -> list[list[Variable]]:
    """Variables on one grid, over the same levels and times; the largest group first."""
    groups: dict[Any, list[Variable]] = {}
    for v in variables:
        levels = (v.level_kind, v.levels) if len(v.levels) > 1 else ()
        groups.setdefault((v.lattice, levels, v.times), []).append(v)
    if len(groups) > _MOST_DATASETS:
        raise UnsupportedLayout(
            f"These messages would become {len(groups):,} datasets, of unlike times and levels.",
            remedy="Select some with grib_copy -w, and upload these.",
        )
    order = sorted(groups.values(), key=lambda g: -_size(g))
    if any(len(g) > MAX_FIELDS for g in order):
        raise UnsupportedLayout(
            f"These messages would become more than {MAX_FIELDS} fields of one dataset.",
            remedy="Select some with grib_copy -w, and upload these.",
        )
    return order


def _size(group: Sequence[Variable]) -> int:
    one = group[0]
    return len(group) * len(one.times) * len(one.levels) * one.lattice.width * one.lattice.height


def _dataset(
    group: Sequence[Variable], before: Sequence[DatasetSpec]
) -> tuple[DatasetSpec, dict[str, Variable]]:
    first, number = group[0], len(before)
    name = ""
    if before:
        title = first.level_kind if len(first.levels) > 1 else first.name
        name = output_name(title, [d.name for d in before])
    fields = tuple(replace(v.spec(), key=f"{number}:{v.name}") for v in group)
    metadata: dict[str, Any] = {"grid": first.lattice.kind, "levels": json_value(first.levels)}
    metadata["computed_from"] = json_value(sorted({_iso(*t[2:]) for t in first.times}))
    dataset = DatasetSpec(
        name, first.shape, first.axes, fields, len(first.times), _times(first.times), metadata
    )
    return dataset, {f"{number}:{v.name}": v for v in group}


def _times(times: Sequence[Time]) -> tuple[str, ...]:
    return tuple(_iso(date, time) for date, time, _, _ in times) if len(times) > 1 else ()


def _iso(date: int, time: int) -> str:
    """A date YYYYMMDD and a time HHMM in ISO 8601."""
    day = f"{date // 10000:04d}-{date // 100 % 100:02d}-{date % 100:02d}"
    return f"{day}T{time // 100:02d}:{time % 100:02d}:00"
