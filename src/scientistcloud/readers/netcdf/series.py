"""NetCDF files opened together: a series over time, or datasets side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scientistcloud.errors import InvalidOptions, PermanentError, UnsupportedLayout
from scientistcloud.readers.base import Choice, DatasetSpec, FieldSpec, Selection, SourceSpec
from scientistcloud.readers.cf.datasets import datasets_of, described
from scientistcloud.readers.cf.grids import CfGrids, GridField, grids_of
from scientistcloud.readers.cf.packing import DEFAULT_FILLS
from scientistcloud.readers.cf.source import CfPart, CfSource, working_bytes
from scientistcloud.readers.cf.variables import Variable
from scientistcloud.readers.files.named_files import all_files, named_files
from scientistcloud.readers.files.open_files import handed_over
from scientistcloud.readers.files.output_names import output_name
from scientistcloud.readers.netcdf.files import CHUNK_CACHE_BYTES, NetcdfFiles

_MAX_DESCRIBED_FILES = 16


@dataclass(frozen=True)
class _Opened:
    file: Path
    found: CfGrids
    datasets: list[tuple[DatasetSpec, tuple[GridField, ...]]]
    metadata: dict[str, Any]
    without_records: frozenset[str] = frozenset()

    @property
    def variables(self) -> set[str]:
        """The paths of what is converted."""
        return {member.variable.path for _, members in self.datasets for member in members}

    @property
    def times(self) -> tuple[Any, ...]:
        return tuple(time for dataset, _ in self.datasets for time in dataset.times)

    @property
    def signature(self) -> tuple[Any, ...]:
        """What must be equal in all files of a series."""
        return tuple(
            (d.name, d.shape, tuple((f.name, f.dtype.str) for f in d.fields))
            for d, _ in self.datasets
        )


def open_files(paths: Sequence[Path], selection: Selection) -> CfSource:
    """Open `paths` as one source, by the rules in `readers.netcdf`."""
    with handed_over(NetcdfFiles(selection.root)) as files:
        return _open(files, [path.resolve() for path in paths], selection.parameters)


def _open(files: NetcdfFiles, paths: list[Path], parameters: Mapping[str, Any]) -> CfSource:
    paths, choices = named_files(paths, files.name_of, parameters)
    opened, notes = _open_all(files, paths, parameters)
    opened = _with_records(files, opened, notes)
    parts: dict[str, tuple[CfPart, ...]] = {}
    if any(o.signature != opened[0].signature for o in opened):
        rule = "files with unlike grids are datasets of their own; {} is the largest"
        datasets = _apart(files, opened, parts, choices, rule)
        # What was chosen in one file cannot be asked of all.
        notes += [
            f"{files.name_of(o.file)}: {c.parameter} {c.chosen} ({c.rule})."
            for o in opened
            for c in o.found.choices
        ]
    else:
        choices += opened[0].found.choices
        if len(opened) == 1:
            datasets = _parts_of(files, opened[0], parts, "")
        elif opened[0].times and all(o.times == opened[0].times for o in opened):
            rule = "files with the same times are members, datasets of their own; {} is the first"
            datasets = _apart(files, opened, parts, choices, rule)
        else:
            datasets = _series(files, opened, parts, choices)
    notes += [note for o in opened for note in o.found.notes]
    for o in opened:
        used = {m.variable.path: m.variable for _, members in o.datasets for m in members}
        notes += files.absence_notes(o.file, list(used.values()))
        notes += _minc_notes(files.name_of(o.file), used)
    spec = SourceSpec(
        "NetCDF" if len(opened) == 1 else f"NetCDF, {len(opened)} files",
        tuple(datasets),
        tuple(o.file for o in opened),
        tuple(choices),
        tuple(dict.fromkeys(notes)),
        {files.name_of(o.file): o.metadata for o in opened[:_MAX_DESCRIBED_FILES]},
    )
    return CfSource(spec, parts, files.close)


def _minc_notes(name: str, used: Mapping[str, Variable]) -> list[str]:
    """Of MINC 1: its slices are scaled by variables beside the image, which is not applied."""
    image = used.get("image")
    if image is None or not {"image-max", "image-min"} <= set(image.attributes):
        return []
    return [
        f"MINC scales the image of {name} slice by slice (image-min and image-max for the ends of "
        "valid_range): that is not applied, the values are as stored."
    ]


def _open_all(
    files: NetcdfFiles, paths: list[Path], parameters: Mapping[str, Any]
) -> tuple[list[_Opened], list[str]]:
    opened: list[_Opened] = []
    notes: list[str] = []
    first: PermanentError | None = None
    for path in paths:
        try:
            opened.append(_open_one(files, path, parameters))
        except PermanentError as error:
            is_empty = isinstance(error, UnsupportedLayout) and _is_without_records(files, path)
            if len(paths) > 1 and (is_empty or isinstance(error, InvalidOptions)):
                notes.append(f"{files.name_of(path)} was left out: {error.message}")
                first = first or error
                continue
            raise
    if not opened and first is not None:
        raise first
    return opened, notes


def _open_one(files: NetcdfFiles, path: Path, parameters: Mapping[str, Any]) -> _Opened:
    files.check(path)
    variables = files.variables(path)
    found = grids_of(variables, parameters, files.name_of(path))

    def bytes_of(member: GridField) -> int:
        return working_bytes(member, CHUNK_CACHE_BYTES)

    made = datasets_of(variables, found, bytes_of)
    datasets = [(_with_fills(d, members, files, path), members) for d, members in made]
    empty = frozenset(path for path, each in variables.by_path.items() if 0 in each.shape)
    return _Opened(path, found, datasets, described(variables), empty)


def _is_without_records(files: NetcdfFiles, path: Path) -> bool:
    """Whether all that could grow in a file has no record yet."""
    found = files.variables(path)
    lengths = [
        each.shape[0]
        for each in found.by_path.values()
        if each.dims and each.dims[0] in found.unlimited
    ]
    return bool(lengths) and not any(lengths)


def _with_records(files: NetcdfFiles, opened: list[_Opened], notes: list[str]) -> list[_Opened]:
    """Without the files in which what the others hold is declared, but has no record yet."""
    held = {path for one in opened for path in one.variables}
    kept = [one for one in opened if not one.without_records & held]
    if not kept or len(kept) == len(opened):
        return opened
    left_out = [files.name_of(one.file) for one in opened if one not in kept]
    notes.append(f"Left out, as without a record: {', '.join(left_out)}.")
    return kept


def _with_fills(
    dataset: DatasetSpec, members: Sequence[GridField], files: NetcdfFiles, path: Path
) -> DatasetSpec:
    """Integers that were written in part have NetCDF's own fill value for no data."""
    absences = files.absences.get(path, {})
    fields = []
    for field, member in zip(dataset.fields, members, strict=True):
        default = DEFAULT_FILLS.get(f"{field.dtype.kind}{field.dtype.itemsize}")
        is_partial = member.variable.path in absences and field.dtype.kind in "iu"
        if is_partial and field.fill_value is None and default is not None:
            field = replace(field, fill_value=int(default))
        fields.append(field)
    return replace(dataset, fields=tuple(fields))


def _part(files: NetcdfFiles, file: Path, member: GridField) -> CfPart:
    def read(field: GridField, selection: tuple[slice, ...]) -> Any:
        return files.read(file, field.variable.path, selection, field.packing)

    return CfPart(member, read)


def _parts_of(
    files: NetcdfFiles, opened: _Opened, parts: dict[str, tuple[CfPart, ...]], prefix: str
) -> list[DatasetSpec]:
    """The datasets of one file, with keys that begin with `prefix`; fills `parts`."""
    result = []
    for dataset, members in opened.datasets:
        fields: list[FieldSpec] = []
        for field, member in zip(dataset.fields, members, strict=True):
            key = prefix + field.key
            parts[key] = (_part(files, opened.file, member),)
            fields.append(replace(field, key=key))
        result.append(replace(dataset, fields=tuple(fields)))
    return result


def _series(
    files: NetcdfFiles,
    opened: list[_Opened],
    parts: dict[str, tuple[CfPart, ...]],
    choices: list[Choice],
) -> list[DatasetSpec]:
    order, rule = _in_order(opened)
    result = []
    for i, (dataset, _) in enumerate(order[0].datasets):
        each = [o.datasets[i] for o in order]
        for j, field in enumerate(dataset.fields):
            members = [members[j] for _, members in each]
            parts[field.key] = tuple(
                _part(files, o.file, m) for o, m in zip(order, members, strict=True)
            )
        largest = [
            max(d.fields[j].working_bytes for d, _ in each) for j in range(len(dataset.fields))
        ]
        times = [t for d, _ in each for t in d.times]
        count = sum(d.timesteps for d, _ in each)
        result.append(
            replace(
                dataset,
                timesteps=count,
                times=tuple(times) if len(times) == count else (),
                fields=tuple(
                    replace(f, working_bytes=w)
                    for f, w in zip(dataset.fields, largest, strict=True)
                ),
                metadata={**dataset.metadata, "files": [files.name_of(o.file) for o in order]},
            )
        )
    choices.append(all_files(rule, [files.name_of(o.file) for o in order]))
    opened[:] = order
    return result


def _in_order(opened: list[_Opened]) -> tuple[list[_Opened], str]:
    rule = "files with equal grids and variables are a series; their order is that of the {}"
    starts = [o.datasets[0][0].times[:1] for o in opened]
    comparable = all(s and isinstance(s[0], type(starts[0][0])) for s in starts)
    if comparable and len(set(starts)) == len(starts):
        ordered = sorted(zip(starts, range(len(opened)), strict=True))
        return [opened[i] for _, i in ordered], rule.format("times")
    return opened, rule.format("names")


def _apart(
    files: NetcdfFiles,
    opened: list[_Opened],
    parts: dict[str, tuple[CfPart, ...]],
    choices: list[Choice],
    rule: str,
) -> list[DatasetSpec]:
    opened.sort(key=lambda o: -o.datasets[0][0].samples_bytes)
    result: list[DatasetSpec] = []
    for number, one in enumerate(opened):
        for dataset in _parts_of(files, one, parts, f"{number}:" if number else ""):
            wanted = f"{one.file.stem}_{dataset.name}" if dataset.name else one.file.stem
            taken = [d.name for d in result]
            name = output_name(wanted, taken) if result else ""
            result.append(replace(dataset, name=name))
    names = [files.name_of(o.file) for o in opened]
    choices.append(all_files(rule.format(names[0]), names))
    return result
