"""ENVI rasters: a header ``.hdr`` beside plain samples (``.img``, ``.dat``, no suffix).

Bands with wavelengths are an axis of the grid, others a field each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from scientistcloud.errors import CorruptSource, MissingMember
from scientistcloud.readers.arrays.attributes import json_attributes, text
from scientistcloud.readers.arrays.raw_array import BoxReader
from scientistcloud.readers.arrays.raw_grid import StoredAxis, Volume, make_volume
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Axis, Choice, FieldSpec, Match, Selection, Source
from scientistcloud.readers.files.listing import read_head
from scientistcloud.readers.files.open_files import FilePool, handed_over
from scientistcloud.readers.geo.envi_header import (
    MOST_HEADER_BYTES,
    EnviHeader,
    parse_header,
    place,
)

_MAGIC = b"ENVI"
_DATA_SUFFIXES = ("", ".img", ".dat", ".bsq", ".bil", ".bip", ".raw", ".bin", ".envi")
_MOST_FIELDS = 64
_FEW_BANDS = 4


class EnviReader:
    """Recognises and opens ENVI headers, with the samples beside them."""

    name = "envi"

    def match(self, path: Path, head: bytes) -> Match:
        if path.suffix.lower() == ".hdr":
            return Match.CERTAIN if _is_header(head) else Match.NO
        if path.suffix.lower() not in _DATA_SUFFIXES:
            return Match.NO
        return Match.CERTAIN if next(_headers_beside(path), None) else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        headers = [path for path in files if path.suffix.lower() == ".hdr"]
        headers = headers or [h for path in files for h in _headers_beside(path)]
        with handed_over(FilePool(selection.root)) as pool:
            volumes = [_volume(path, pool) for path in headers]
            read = {path for volume in volumes for path in volume.inputs}
            strays = [pool.name(path) for path in files if path not in read]
            if strays:
                note = f"Not read, as no header describes them alone: {', '.join(strays[:8])}."
                volumes[0] = replace(volumes[0], notes=(*volumes[0].notes, note))
            return open_volumes(volumes, "ENVI", selection.parameters, pool)


READER = EnviReader()


def _is_header(head: bytes) -> bool:
    return head.startswith(_MAGIC) and head[4:5] in (b"\n", b"\r", b" ")


def _headers_beside(data: Path) -> Iterator[Path]:
    for header in (data.with_suffix(".hdr"), data.with_name(data.name + ".hdr")):
        plain = header != data and header.is_file() and not header.is_symlink()
        if plain and _is_header(read_head(header, 8)):
            yield header


def _data_of(header: Path, name: str) -> Path:
    """The file that the header describes: of its name without ``.hdr``, or with another suffix."""
    stem = header.with_suffix("")
    for suffix in _DATA_SUFFIXES:
        for candidate in (
            stem.with_name(stem.name + suffix),
            stem.with_name(stem.name + suffix.upper()),
        ):
            if candidate != header and candidate.is_file() and not candidate.is_symlink():
                return candidate
    raise MissingMember(
        f"The samples that {name} describes were not uploaded.",
        remedy="Upload the file of the same name, without .hdr, beside it.",
    )


def _volume(path: Path, pool: FilePool) -> Volume:
    name = pool.name(path)
    if pool.size(path) > MOST_HEADER_BYTES:
        raise CorruptSource(f"{name} is too large for a header of ENVI.")
    header = parse_header(pool.read(path, 0, pool.size(path)), name)
    data = _data_of(path, name)
    metadata = {"format": "ENVI", "header": json_attributes(header.entries.items())}
    strides = _strides(header)
    y, x = place(header)
    space = [StoredAxis(header.height, strides[1], y), StoredAxis(header.width, strides[2], x)]
    bands = StoredAxis(header.bands, strides[0], _band_axis(header))
    stacked, rule = _bands_are_axis(header)

    def volume(offset: int, axes: list[StoredAxis]) -> Volume:
        return make_volume(
            data, pool.name(data), offset, header.dtype, axes,
            fill_value=header.ignored, metadata=metadata, choices=choices,
        )  # fmt: skip

    choices = (Choice("bands", "axis" if stacked else "fields", rule),) if header.bands > 1 else ()
    if stacked or header.bands == 1:
        found = volume(header.offset, [bands, *space])
    else:
        parts = [volume(header.offset + i * strides[0], space) for i in range(header.bands)]
        found = _as_fields(parts, _band_names(header))
    title = PurePosixPath(name).with_suffix("").as_posix()
    return replace(found, name=title, inputs=(path, data))


def _strides(header: EnviHeader) -> tuple[int, int, int]:
    """Of bands, lines and samples, in bytes."""
    size = header.dtype.itemsize
    if header.interleave == "bsq":
        return header.width * header.height * size, header.width * size, size
    if header.interleave == "bil":
        return header.width * size, header.width * header.bands * size, size
    return size, header.width * header.bands * size, header.bands * size


def _bands_are_axis(header: EnviHeader) -> tuple[bool, str]:
    if header.bands > _MOST_FIELDS:
        return True, f"more than {_MOST_FIELDS} bands are an axis"
    if header.bands > _FEW_BANDS and len(header.items("wavelength")) == header.bands:
        return True, "bands with wavelengths are an axis"
    return False, "bands are fields"


def _band_axis(header: EnviHeader) -> Axis:
    """Wavelengths where they are even; all of them are in the metadata anyway."""
    values = header.numbers("wavelength")
    if len(values) != header.bands or header.bands < 2:
        return Axis("band")
    units = header.entries.get("wavelength units", "").strip() or None
    step = (values[-1] - values[0]) / (len(values) - 1)
    even = all(abs(v - values[0] - i * step) <= 1e-3 * abs(step) for i, v in enumerate(values))
    return Axis("wavelength", step or None, values[0], units) if even else Axis("wavelength")


def _band_names(header: EnviHeader) -> list[str]:
    names = [text(n) for n in header.items("band names")]
    if len(names) != header.bands or len(set(names)) < len(names) or not all(names):
        return [f"band_{i + 1}" for i in range(header.bands)]
    return names


def _as_fields(parts: list[Volume], names: list[str]) -> Volume:
    fields: list[FieldSpec] = []
    readers: dict[str, BoxReader] = {}
    for part, name in zip(parts, names, strict=True):
        fields.append(replace(part.fields[0], key=name, name=name))
        readers[name] = part.readers["data"]
    return replace(parts[0], fields=tuple(fields), readers=readers)
