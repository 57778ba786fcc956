"""HDF5 files opened together: parts of each other, a series, or datasets side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scientistcloud.errors import ConversionError, InvalidOptions, UnsupportedLayout
from scientistcloud.readers.arrays.attributes import text
from scientistcloud.readers.arrays.axis_letters import PARAMETER as AXES
from scientistcloud.readers.arrays.axis_letters import check_used
from scientistcloud.readers.base import Selection, SourceSpec
from scientistcloud.readers.files.named_files import all_files, named_files
from scientistcloud.readers.files.open_files import handed_over
from scientistcloud.readers.hdf5.bigdataviewer import setups_of
from scientistcloud.readers.hdf5.catalogue import Catalogue, catalogue, described
from scientistcloud.readers.hdf5.choice import choose
from scientistcloud.readers.hdf5.datasets import Built, Opened, build
from scientistcloud.readers.hdf5.files import Hdf5Files, Place
from scientistcloud.readers.hdf5.imaris import without_padding
from scientistcloud.readers.hdf5.nexus import is_nexus
from scientistcloud.readers.hdf5.source import Hdf5Source

_MAX_DESCRIBED_FILES = 16
_MAX_LINKS = 20


def open_files(paths: Sequence[Path], selection: Selection) -> Hdf5Source:
    """Open `paths` as one source, by the rules in `readers.hdf5`."""
    with handed_over(Hdf5Files(selection.root)) as files:
        return _open(files, [path.resolve() for path in paths], selection)


def _open(files: Hdf5Files, paths: list[Path], selection: Selection) -> Hdf5Source:
    parameters = selection.parameters
    notes: list[str] = []
    found = {path: catalogue(files, Place(path, "/")) for path in paths}
    sidecars = []
    for path, one in found.items():
        without_padding(one)
        one.setups, sidecar = setups_of(path, one)
        sidecars += [sidecar] if sidecar is not None else []
    masters = [path for path in paths if path not in files.referred] or paths
    if len(masters) < len(paths):
        parts = [files.name_of(path) for path in paths if path not in masters]
        notes.append(f"Read as parts of another file: {', '.join(parts[:8])}.")
    masters, choices = named_files(masters, files.name_of, parameters)
    opened, skipped = _choose_all(files, masters, found, parameters)
    notes += skipped
    built = Built(choices=choices, notes=notes)
    if len(opened) == 1:
        build(files, opened[0], parameters, built)
    elif _is_series(opened):
        _build_series(files, opened, parameters, built)
    else:
        _build_apart(files, opened, parameters, built)
    if len(opened) == 1 or _is_series(opened):
        check_used(parameters.get(AXES), built.choices)
    inputs = [o.file for o in opened] + sorted(files.referred - {o.file for o in opened})
    inputs += sidecars
    spec = SourceSpec(
        _format(opened),
        tuple(built.datasets),
        tuple(inputs),
        tuple(dict.fromkeys(built.choices)),
        (*built.notes, *_matlab_notes(opened), *_broken_links(opened)),
        {files.name_of(o.file): described(o.found) for o in opened[:_MAX_DESCRIBED_FILES]},
    )
    return Hdf5Source(files, spec, built.fields)


def _choose_all(
    files: Hdf5Files,
    paths: list[Path],
    found: Mapping[Path, Catalogue],
    parameters: Mapping[str, Any],
) -> tuple[list[Opened], list[str]]:
    """Choose in each file; files beside another that hold nothing to convert are left out."""
    opened: list[Opened] = []
    notes: list[str] = []
    first: ConversionError | None = None
    for path in paths:
        try:
            chosen, choice = choose(found[path], parameters, files.name_of(path))
            opened.append(Opened(path, found[path], chosen, (choice,)))
        except (UnsupportedLayout, InvalidOptions) as error:
            first = first or error
            notes.append(f"{files.name_of(path)} was left out: {error.message}")
    if not opened and first is not None:
        raise first
    return opened, notes


def _signature(opened: Opened) -> tuple[Any, ...]:
    return tuple(
        (a.path, a.shape, str(a.dtype), c.step_times) for c in opened.chosen for a in c.arrays
    )


def _is_series(opened: list[Opened]) -> bool:
    return all(_signature(o) == _signature(opened[0]) for o in opened)


def _build_series(
    files: Hdf5Files, opened: list[Opened], parameters: Mapping[str, Any], built: Built
) -> None:
    build(files, opened[0], parameters, built)
    names = [files.name_of(o.file) for o in opened]
    for key, stored in built.fields.items():
        path = key.split("|")[1]
        arrays = [(c, a) for o in opened for c in o.chosen for a in c.arrays if a.path == path]
        places = [place for c, a in arrays for place in c.places(a)]
        built.fields[key] = replace(stored, places=tuple(places))
    built.datasets = [
        replace(
            dataset,
            timesteps=dataset.timesteps * len(opened),
            times=tuple(text(n) for n in names) if dataset.timesteps == 1 else (),
            time_units=None,
            metadata={**dataset.metadata, "files": names},
        )
        for dataset in built.datasets
    ]
    rule = "files with equal arrays are a series: their timesteps follow each other"
    built.choices.append(all_files(rule, names))


def _build_apart(
    files: Hdf5Files, opened: list[Opened], parameters: Mapping[str, Any], built: Built
) -> None:
    ordered = sorted(opened, key=lambda o: -o.chosen[0].arrays[0].size_bytes)
    names = [files.name_of(o.file) for o in ordered]
    before = list(built.choices)
    for one, name in zip(ordered, names, strict=True):
        build(files, one, parameters, built, one.file.stem)
        # What was chosen in one file cannot be asked of all.
        built.notes += [f"{name}: {c.parameter} {c.chosen} ({c.rule})." for c in built.choices]
        built.choices.clear()
    built.choices += before
    rule = f"files with unlike arrays are datasets of their own; {names[0]} is the largest"
    built.choices.append(all_files(rule, names))


def _format(opened: list[Opened]) -> str:
    name = "NeXus" if is_nexus(opened[0].found) else "HDF5"
    return f"{name} series" if len(opened) > 1 and _is_series(opened) else name


def _matlab_notes(opened: list[Opened]) -> list[str]:
    if not any("MATLAB_class" in o.chosen[0].arrays[0].attributes for o in opened):
        return []
    return ["MATLAB writes arrays with reversed axes: rows are y, columns x and pages z here."]


def _broken_links(opened: list[Opened]) -> list[str]:
    return [
        f"The link {text(path)} leads nowhere: {error.message}"
        for o in opened
        for path, error in list(o.found.links.items())[:_MAX_LINKS]
    ]
