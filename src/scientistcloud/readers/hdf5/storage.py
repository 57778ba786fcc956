"""How an HDF5 array is stored: chunks, filters, and the other files that it lives in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from h5py import h5d, h5p, h5s, h5z

from scientistcloud.errors import (
    CorruptSource,
    MissingMember,
    UnsupportedLayout,
)
from scientistcloud.grid import Shape
from scientistcloud.readers.hdf5.files import Hdf5Files, Place, translated

_MAX_NESTED = 8
_MAX_PRINTF = 100_000


@dataclass(frozen=True, slots=True)
class Storage:
    """How an array is stored.

    Attributes
    ----------
    chunks : Shape or None
        None where the samples lie in one piece and any box can be read by itself.
    filters : tuple of str
        Names of the compressors and other filters.
    files : tuple of str
        Other files that hold samples of it.
    is_virtual : bool
        Whether it is put together from other arrays.
    is_written : bool
        Whether anything was ever stored for it.
    """

    chunks: Shape | None
    filters: tuple[str, ...]
    files: tuple[str, ...]
    is_virtual: bool
    is_written: bool


def check_storage(files: Hdf5Files, place: Place, depth: int = 0) -> Storage:
    """Describe the storage of the dataset at `place` after checking all that it refers to.

    It asks nothing of the dataset that would make the library open another file.

    Raises
    ------
    MissingMember
        A source of a virtual dataset, or a file of external storage, is not there.
    UnsafeLink
        One lies outside the root.
    UnsupportedLayout
        A filter is not available.
    """
    if depth > _MAX_NESTED:
        raise UnsupportedLayout(f"{place.name!r} is a virtual dataset nested too deeply.")
    dataset = files.dataset(place)
    with translated(f"{place.name!r} of {files.name_of(place.file)}"):
        plist = dataset.get_create_plist()
        layout = plist.get_layout()
    if layout == h5d.VIRTUAL:
        names, chunks = _check_sources(files, place, plist, depth)
        return Storage(chunks, (), names, is_virtual=True, is_written=True)
    with translated(f"{place.name!r} of {files.name_of(place.file)}"):
        filters = _filters(place, plist)
        chunks = tuple(plist.get_chunk()) if layout == h5d.CHUNKED else None
        external = [plist.get_external(i) for i in range(plist.get_external_count())]
        written = bool(external) or layout == h5d.COMPACT or dataset.get_storage_size() > 0
    names = _check_external(files, place, external, dataset)
    return Storage(chunks, filters, names, is_virtual=False, is_written=written)


def _filters(place: Place, plist: h5p.PropDCID) -> tuple[str, ...]:
    names = []
    for i in range(plist.get_nfilters()):
        code, _, _, raw = plist.get_filter(i)
        name = raw.decode("latin-1") or f"filter {code}"
        if not h5z.filter_avail(code):
            raise UnsupportedLayout(
                f"{place.name!r} is compressed with {name} (HDF5 filter {code}), "
                "which is not available here.",
                remedy="Repack the file with gzip or lz4 (h5repack), and upload it again.",
            )
        names.append(name)
    return tuple(names)


def _check_external(
    files: Hdf5Files,
    place: Place,
    external: list[tuple[bytes, int, int]],
    dataset: h5d.DatasetID,
) -> tuple[str, ...]:
    """Check that the raw files are there and as long as they should be.

    The library would read zeros beyond the end of one that is too short.
    """
    if not external:
        return ()
    with translated(f"{place.name!r} of {files.name_of(place.file)}"):
        needed = math.prod(dataset.shape) * dataset.get_type().get_size()
    names = []
    for raw, offset, size in external:
        name = raw.decode("utf-8", "surrogateescape")
        member = files.member(place.file, name)
        part = needed if size >= h5s.UNLIMITED or size > needed else size
        if (place.file.parent / name).resolve() != member:
            raise MissingMember(f"{place.name!r} has its samples in {name!r}, an absolute path.")
        if member.stat().st_size < offset + part:
            raise CorruptSource(
                f"{files.name_of(member)} is cut short: it should hold {offset + part} bytes of "
                f"{place.name!r}, and has {member.stat().st_size}."
            )
        needed -= part
        names.append(files.name_of(member))
    return tuple(dict.fromkeys(names))


def _check_sources(
    files: Hdf5Files, place: Place, plist: h5p.PropDCID, depth: int
) -> tuple[tuple[str, ...], Shape | None]:
    """The files of the sources of a virtual dataset, and the chunks of the first of them.

    A source of lower rank is one position of the leading axes.
    """
    names: list[str] = []
    chunks: Shape | None = None
    seen: set[tuple[str, str]] = set()
    with translated(f"{place.name!r} of {files.name_of(place.file)}"):
        sources = [
            (plist.get_virtual_filename(i), plist.get_virtual_dsetname(i))
            for i in range(plist.get_virtual_count())
        ]
    for file_name, dataset_name in sources:
        if (file_name, dataset_name) in seen:
            continue
        seen.add((file_name, dataset_name))
        for source in _existing(files, place, file_name, dataset_name):
            found = files.locate(source)
            below = check_storage(files, found, depth + 1)
            if below.files and not below.is_virtual:
                raise UnsupportedLayout(
                    f"{place.name!r} is a virtual dataset over external storage.",
                    remedy="Repack the file with its samples inside (h5repack).",
                )
            chunks = chunks or below.chunks
            if found.file != place.file:
                names.append(files.name_of(found.file))
    return tuple(dict.fromkeys(names)), chunks


def _existing(files: Hdf5Files, place: Place, file_name: str, dataset_name: str) -> list[Place]:
    """The sources that a mapping names: one, or as many as there are where it numbers them (%b)."""

    def at(number: int) -> Place:
        name = _numbered(file_name, number)
        file = place.file if name == "." else files.member(place.file, name)
        return Place(file, "/" + _numbered(dataset_name, number).strip("/"))

    found = [at(0)]
    if file_name == _numbered(file_name, 0):
        return found
    for number in range(1, _MAX_PRINTF):
        try:
            found.append(at(number))
        except MissingMember:
            break
    return found


def _numbered(pattern: str, number: int) -> str:
    """The name of a virtual source, with its number for ``%b`` and a per cent for ``%%``."""
    return "%".join(part.replace("%b", str(number)) for part in pattern.split("%%"))
