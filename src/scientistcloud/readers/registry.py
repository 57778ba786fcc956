"""Which reader understands an upload: by content before suffix, the sensor as a hint.

`READERS` is the one ordered table of formats; a line there is all that a new format needs. Of two
readers that are equally sure of a file, the earlier one gets it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import cast

from scientistcloud.errors import (
    AmbiguousFormat,
    CorruptSource,
    DronePhotos,
    InvalidOptions,
    MissingLibrary,
    SensorMismatch,
    UnrecognizedFormat,
)
from scientistcloud.readers.base import Match, Reader, Sensor
from scientistcloud.readers.files.foreign_formats import ForeignFormat, foreign_format
from scientistcloud.readers.files.listing import FileEntry, Listing
from scientistcloud.readers.names.natural import stem
from scientistcloud.readers.names.numbers import parse_names

READERS: tuple[tuple[str, str], ...] = (
    ("idx", "scientistcloud.readers.idx"),
    ("dicom", "scientistcloud.readers.dicom"),
    ("tiff", "scientistcloud.readers.tiff"),
    ("image", "scientistcloud.readers.images"),
    ("zarr", "scientistcloud.readers.zarr"),
    ("netcdf", "scientistcloud.readers.netcdf"),
    ("hdf5", "scientistcloud.readers.hdf5"),
    ("nifti", "scientistcloud.readers.volumes.nifti"),
    ("nrrd", "scientistcloud.readers.volumes.nrrd"),
    ("mrc", "scientistcloud.readers.volumes.mrc"),
    ("metaimage", "scientistcloud.readers.volumes.metaimage"),
    ("fits", "scientistcloud.readers.fits"),
    ("edf", "scientistcloud.readers.detectors.edf"),
    ("cbf", "scientistcloud.readers.detectors.cbf"),
    ("envi", "scientistcloud.readers.geo.envi"),
    ("lif", "scientistcloud.readers.microscopy.lif"),
    ("dm", "scientistcloud.readers.microscopy.dm"),
    ("segy", "scientistcloud.readers.seismic.segy"),
    ("grib", "scientistcloud.readers.weather.grib"),
    ("numpy", "scientistcloud.readers.volumes.numpy"),
    ("npz", "scientistcloud.readers.volumes.npz"),
    ("raw", "scientistcloud.readers.volumes.raw"),
)
"""Name and module of each format. The module offers a `Reader` as ``READER``.

A reader with a true attribute ``owns_folder`` (Zarr, IDX) tells its files by name and content; with
one that it is certain of, it gets everything beside and below it. Another reader gets a file there
only if both name and content say so.
"""

MEANT: dict[Sensor, tuple[str, ...]] = {
    Sensor.IDX: ("idx",),
    Sensor.TIFF: ("tiff",),
    Sensor.TIFF_RGB: ("tiff",),
    Sensor.NETCDF: ("netcdf",),
    Sensor.HDF5: ("hdf5",),
    Sensor.NEXUS_4D: ("hdf5",),
    Sensor.RGB: ("image", "tiff"),
    Sensor.MAPIR: ("image", "tiff"),
    Sensor.OTHER: (),
}
"""The formats that a sensor stands for."""

CAN_DO: dict[Sensor, tuple[str, ...]] = {
    Sensor.TIFF: ("image",),
    Sensor.TIFF_RGB: ("image",),
    Sensor.NETCDF: ("hdf5", "zarr"),
    Sensor.HDF5: ("netcdf",),
    Sensor.NEXUS_4D: ("netcdf",),
}
"""Other formats whose reader gives what the sensor asks for; the record says so."""

SIDECARS = frozenset({
    ".txt", ".xml", ".json", ".csv", ".tsv", ".log", ".pdf", ".md", ".rst", ".html", ".htm",
    ".yaml", ".yml", ".toml", ".ini", ".cfg", ".doc", ".docx", ".xls", ".xlsx", ".rtf", ".py",
    ".m", ".ipynb", ".sh", ".bat", ".url", ".lnk", ".sha256", ".md5", ".db", ".tfw", ".prj",
    ".aux", ".ovr", ".lock", ".readme", ".license", ".bib", ".tex", ".cff", ".ods", ".odt",
    ".ppt", ".pptx",
})  # fmt: skip
"""Suffixes of files that go along with data: passed over unless a reader is certain of them."""


@dataclass(frozen=True)
class Detection:
    """The reader for an upload, its files in natural order, and what was passed over.

    Attributes
    ----------
    said : tuple of str
        Sentences about the choice.
    unread : tuple of (str, tuple of FileEntry)
        Files that were not handed to the reader, with the words for them.
    """

    name: str
    reader: Reader
    files: tuple[FileEntry, ...]
    said: tuple[str, ...] = ()
    unread: tuple[tuple[str, tuple[FileEntry, ...]], ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the record, as if the reader read nothing but its files."""
        return self.notes_beside(())

    def notes_beside(self, inputs: Iterable[Path]) -> tuple[str, ...]:
        """Sentences for the record: what the reader found beside its files is not unread."""
        names = {entry.path.name for _, entries in self.unread for entry in entries}
        read = {path.resolve() for path in inputs if path.name in names}
        told = []
        for words, entries in self.unread:
            left = [e.name for e in entries if not read or e.path.resolve() not in read]
            told += _listed(words, left)
        return (*self.said, *told)


@cache
def load_reader(name: str) -> Reader:
    """The reader of the format `name`.

    Raises
    ------
    MissingLibrary
        A library that its module needs is not installed.
    """
    modules = dict(READERS)
    try:
        return cast(Reader, importlib.import_module(modules[name]).READER)
    except ImportError as error:
        raise MissingLibrary(
            f"The format {name} needs the library {error.name}, which is not installed."
        ) from error


def detect(listing: Listing, sensor: Sensor = Sensor.OTHER, wanted: object = None) -> Detection:
    """Find the reader for the files of `listing`.

    Parameters
    ----------
    sensor : Sensor
        What the user chose; `Sensor.OTHER` leaves it to the content.
    wanted : object
        The parameter ``format``: the name of a reader that is to be used, or None.

    Raises
    ------
    UnrecognizedFormat
        No reader matches.
    SensorMismatch
        The content is of a format that the sensor does not stand for.
    AmbiguousFormat
        Data of several formats lie side by side.
    DronePhotos
        Photos of a drone's camera, which are not stitched.
    InvalidOptions
        `wanted` names no format.
    """
    if wanted is not None and (not isinstance(wanted, str) or wanted not in dict(READERS)):
        names = ", ".join(name for name, _ in READERS)
        raise InvalidOptions(f"The parameter format={wanted!r} is none of: {names}.")
    matches, unmatched = _match_all(listing, wanted)
    certain = {n: m for n, m in matches.items() if any(g is Match.CERTAIN for _, g in m)}
    candidates = certain or matches
    if not candidates:
        raise _unrecognized(listing, unmatched)
    name = _choose(candidates, sensor, wanted)
    if sensor in (Sensor.RGB, Sensor.MAPIR) and name in MEANT[sensor]:
        raise DronePhotos(
            f"These {len(candidates[name])} {sensor.value} photos are not stitched into a mosaic.",
            remedy="Stitch them first, or choose the sensor OTHER (command line: --sensor OTHER) "
            "to convert the photos as an image stack.",
        )
    files = tuple(entry for entry, _ in matches[name])
    _refuse_empty_members(listing, [entry.name for entry, _ in matches[name]])
    said = (
        *_listed("Left out, as empty (0 bytes)", listing.empty),
        *_listed("Passed over", listing.ignored),
    )
    others = tuple(e for n, m in matches.items() if n != name for e, _ in m)
    unread = (
        ("Not read, as of another format", others),
        ("Not read, as no data", tuple(unmatched)),
    )
    if sensor is not Sensor.OTHER and name not in MEANT[sensor]:
        said = (
            f"The sensor is {sensor.value}; the files are {name}, and were read as such.",
            *said,
        )
    return Detection(name, load_reader(name), files, said, unread)


Matches = dict[str, list[tuple[FileEntry, Match]]]


def _match_all(listing: Listing, wanted: str | None) -> tuple[Matches, list[FileEntry]]:
    """Give each file to the reader that is surest of it.

    What is of a format that is known and not read is nobody's, unless its reader is `wanted`.
    """
    matches: Matches = {}
    unmatched: list[FileEntry] = []
    owned = owned_folders(listing)
    for entry in listing.files:
        name, grade = _match_owned(listing, entry) if owned(entry) else best_match(listing, entry)
        if grade is Match.NO and owned(entry):
            continue
        is_weak = grade is Match.POSSIBLE and (
            _is_sidecar(entry) or (name != wanted and _foreign(listing, entry) is not None)
        )
        if grade is Match.NO or is_weak:
            unmatched.append(entry)
        else:
            matches.setdefault(name, []).append((entry, grade))
    return matches, unmatched


def owned_folders(listing: Listing) -> Callable[[FileEntry], bool]:
    """Tell which files lie in folders of a reader of whole folders (Zarr, IDX).

    Only files whose names promise such a folder are looked into: it may hold a million others.
    """
    owners = [load_reader(name) for name in _owners()]
    folders = {
        PurePosixPath(entry.name).parent
        for entry in listing.files
        for owner in owners
        if owner.match(entry.path, b"") is not Match.NO
        and owner.match(entry.path, listing.head(entry)) is Match.CERTAIN
    }
    return lambda entry: bool(folders) and not folders.isdisjoint(PurePosixPath(entry.name).parents)


def _match_owned(listing: Listing, entry: FileEntry) -> tuple[str, Match]:
    """The reader of a file in an owned folder: its owner, or one of which name and content say so.

    All others are parts of what the owner reads.
    """
    for name, _ in READERS:
        if load_reader(name).match(entry.path, b"") is Match.NO:
            continue
        if load_reader(name).match(entry.path, listing.head(entry)) is Match.CERTAIN:
            return name, Match.CERTAIN
    return "", Match.NO


def _owners() -> list[str]:
    return [name for name, _ in READERS if getattr(load_reader(name), "owns_folder", False)]


def best_match(listing: Listing, entry: FileEntry) -> tuple[str, Match]:
    """The reader that is surest of a file, and how sure it is (`Match.NO`: none is)."""
    head = listing.head(entry)
    best = ("", Match.NO)
    for name, _ in READERS:
        grade = load_reader(name).match(entry.path, head)
        if grade > best[1]:
            best = (name, grade)
        if grade is Match.CERTAIN:
            break
    return best


def _is_sidecar(entry: FileEntry) -> bool:
    path = PurePosixPath(entry.name)
    return path.suffix.lower() in SIDECARS or path.stem.casefold() in ("readme", "license")


def _choose(candidates: Matches, sensor: Sensor, wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in candidates:
            raise InvalidOptions(
                f"The parameter format={wanted!r} fits none of the files.",
                remedy=f"Leave it out, or choose one of: {', '.join(candidates)}.",
            )
        return wanted
    meant = [name for name in candidates if name in MEANT[sensor]]
    able = meant or [name for name in candidates if name in CAN_DO.get(sensor, ())]
    if sensor is not Sensor.OTHER and not able:
        found = " and ".join(f"{n} ({m[0][0].name})" for n, m in candidates.items())
        raise SensorMismatch(
            f"The sensor is {sensor.value}, but the files are {found}.",
        )
    able = able or list(candidates)
    if set(_owners()) & set(able):
        able = [name for name in able if name != "image"]  # pictures beside a dataset: previews
    if len(able) > 1:
        found = ", ".join(f"{n} ({candidates[n][0][0].name})" for n in able)
        raise AmbiguousFormat(
            f"The upload holds data of several formats: {found}.",
            remedy="Upload each as a dataset of its own, or say which one is meant with the "
            f"parameter 'format' (one of: {', '.join(able)}).",
        )
    return able[0]


def _refuse_empty_members(listing: Listing, names: Sequence[str]) -> None:
    """A file of the series that holds nothing is one that did not arrive."""
    if not listing.empty:
        return
    wordings = {parsed.wording for parsed in parse_names(names) if parsed.numbers}
    suffixes = {name[len(stem(name)) :] for name in names}
    alike = [
        name
        for name in listing.empty
        if name[len(stem(name)) :] in suffixes and parse_names([name])[0].wording in wordings
    ]
    if alike:
        more = f" and {len(alike) - 8} more" if len(alike) > 8 else ""
        raise CorruptSource(
            f"{len(alike)} of the {len(names) + len(alike)} files are empty (0 bytes): "
            f"{', '.join(alike[:8])}{more}.",
            remedy="Upload them again; or leave them out of the upload if nothing belongs there.",
        )


def _listed(words: str, names: Sequence[str]) -> list[str]:
    """A sentence about files, the first eight by name; nothing about none."""
    if not names:
        return []
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return [f"{words}: {', '.join(names[:8])}{more}."]


def _foreign(listing: Listing, entry: FileEntry) -> ForeignFormat | None:
    return foreign_format(entry.name, listing.head(entry))


def _unrecognized(listing: Listing, unmatched: Sequence[FileEntry]) -> UnrecognizedFormat:
    """The refusal, with the names of the formats where these are known."""
    known = {e.name: f for e in unmatched if (f := _foreign(listing, e)) is not None}
    if known:
        told = ", ".join(f"{name} ({found.name})" for name, found in list(known.items())[:5])
        return UnrecognizedFormat(
            f"These files are of formats that are not read: {told}"
            f"{' and others' if len(known) > 5 else ''}.",
            remedy=next(iter(known.values())).remedy,
        )
    names = [entry.name for entry in unmatched][:5]
    return UnrecognizedFormat(
        "None of the uploaded files is in a format that can be converted: "
        f"{', '.join(names)}{' and others' if len(unmatched) > 5 else ''}."
    )
