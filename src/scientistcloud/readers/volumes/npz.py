"""NumPy's ``.npz``: arrays of one shape are fields of one dataset, others datasets of their own.

Arrays that were saved without compression are read where they lie, after their checksum was
checked; compressed ones are decoded once into a scratch file. Numbered archives that hold the same
arrays are timesteps. The axes of each array are found as for ``.npy``.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    InvalidOptions,
    SourceEmpty,
    StorageUnavailable,
    UnsupportedDtype,
)
from scientistcloud.grid import Shape
from scientistcloud.readers.arrays.axis_letters import PARAMETER as AXES
from scientistcloud.readers.arrays.axis_letters import axes_choice, told_letters
from scientistcloud.readers.arrays.axis_rules import AxisPlan
from scientistcloud.readers.arrays.raw_array import BoxReader, RawArray
from scientistcloud.readers.arrays.raw_grid import Volume
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Axis, Choice, FieldSpec, Match, Selection, Source
from scientistcloud.readers.files.archive_names import shown
from scientistcloud.readers.files.open_files import handed_over
from scientistcloud.readers.files.scratch_pool import ScratchPool
from scientistcloud.readers.files.zip_members import (
    check_entries,
    count_members,
    data_offset,
    member_blocks,
)
from scientistcloud.readers.volumes.numpy import (
    HEADER_ERRORS,
    Header,
    parse_npy_header,
    plan_axes,
    raw_array,
    record_members,
)

_MAX_ARRAYS = 10_000
_MAX_HEADER_BYTES = 64 << 10


class NpzReader:
    """Takes ZIP archives that are called ``.npz``."""

    name = "npz"

    def match(self, path: Path, head: bytes) -> Match:
        if path.suffix.lower() != ".npz":
            return Match.NO
        return Match.CERTAIN if head.startswith((b"PK\3\4", b"PK\5\6")) else Match.POSSIBLE

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        with handed_over(ScratchPool(selection)) as pool:
            wanted = selection.parameters.get("arrays")
            axes = selection.parameters.get(AXES)
            volumes = [v for path in files for v in _volumes(path, pool, wanted, axes)]
            return open_volumes(volumes, "NumPy archive", selection.parameters, pool)


READER = NpzReader()


def _volumes(path: Path, pool: ScratchPool, wanted: object, axes: object) -> list[Volume]:
    """The volumes of one archive: one for each shape of its arrays."""
    name = pool.name(path)
    try:
        if count_members(path, _MAX_ARRAYS) > _MAX_ARRAYS:
            raise CorruptSource(f"{name} says that it holds more than {_MAX_ARRAYS:,} arrays.")
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            entries = [e for e in archive.infolist() if not e.is_dir()]
            check_entries(name, entries, pool.size(path))
            headers = dict(_headers(entries, file, name))
            arrays, notes, choices = _chosen(headers, wanted, name)
            placed = {
                array: _place(path, entry, file, headers[array][1], pool, f"{name}/{array}")
                for array, entry in arrays.items()
            }
    except ConversionError:
        raise
    except OSError as error:
        raise StorageUnavailable(f"{name} cannot be read: {error.strerror}.") from error
    except Exception as error:
        # zipfile raises nearly anything on damaged archives.
        reason = shown(str(error), 200)
        raise CorruptSource(f"{name} is damaged or incomplete ({reason}).") from error
    volumes = _group(path, name, placed, axes)
    choices += volumes[0].choices
    return [replace(volumes[0], notes=notes, choices=choices), *volumes[1:]]


def _headers(
    entries: list[zipfile.ZipInfo], file: BinaryIO, name: str
) -> Iterator[tuple[str, tuple[zipfile.ZipInfo, Header]]]:
    for entry in entries:
        array = shown(entry.filename.removesuffix(".npy"))
        head = b""
        for block in member_blocks(file, entry, f"{name}/{array}"):
            head += block[:_MAX_HEADER_BYTES]
            break
        if not head.startswith(b"\x93NUMPY"):
            continue
        stream = io.BytesIO(head)
        try:
            dtype, shape, fortran_order = parse_npy_header(stream)
        except HEADER_ERRORS as error:
            raise CorruptSource(f"{name}/{array} has no usable NumPy header.") from error
        yield array, (entry, Header(dtype, shape, fortran_order, stream.tell()))


def _chosen(
    headers: dict[str, tuple[zipfile.ZipInfo, Header]], wanted: object, name: str
) -> tuple[dict[str, zipfile.ZipInfo], tuple[str, ...], tuple[Choice, ...]]:
    """The arrays to convert: those that ``arrays`` names, else all that look like data."""
    usable = {
        array: entry
        for array, (entry, header) in headers.items()
        if not header.dtype.hasobject and _is_numeric(header) and math.prod(header.shape) > 0
    }
    if wanted is not None:
        names = wanted if isinstance(wanted, list | tuple) else str(wanted).split(",")
        plain = [str(n).strip() for n in names]
        unknown = [n for n in plain if n not in usable]
        if unknown or not plain:
            raise InvalidOptions(f"{name} holds no array of numbers called {', '.join(unknown)}.")
        return {n: usable[n] for n in plain}, (), (Choice("arrays", ",".join(plain), "as told"),)
    if not headers:
        raise SourceEmpty(f"{name} holds no arrays.")
    if not usable:
        raise UnsupportedDtype(
            f"{name} holds no arrays of numbers: {', '.join(list(headers)[:5])}."
        )
    ranks = {array: sum(n > 1 for n in headers[array][1].shape) for array in usable}
    least = 2 if max(ranks.values()) >= 2 else max(ranks.values())
    chosen = {a: e for a, e in usable.items() if ranks[a] >= least and headers[a][1].shape}
    chosen = chosen or usable
    left = [a for a in headers if a not in chosen]
    if not left:
        return chosen, (), ()
    rule = "arrays of two axes or more; not single numbers, rows, text or objects"
    notes = (f"{name}: left out {', '.join(left[:8])}{' and more' if len(left) > 8 else ''}.",)
    choice = Choice("arrays", ",".join(chosen), rule, tuple(a for a in usable if a not in chosen))
    return chosen, notes, (choice,)


def _is_numeric(header: Header) -> bool:
    types = [header.dtype]
    if header.dtype.names:
        types = [dtype.base for _, dtype, _ in record_members(header.dtype)]
    return all(t.kind in "biuf" and t.itemsize <= 8 for t in types)


def _place(
    path: Path,
    entry: zipfile.ZipInfo,
    file: BinaryIO,
    header: Header,
    pool: ScratchPool,
    name: str,
) -> tuple[Path, Header]:
    """The file with the samples of a member, and its header with the offset in that file."""
    length = math.prod(header.shape) * header.dtype.itemsize + header.offset
    if length > entry.file_size:
        raise CorruptSource(
            f"{name} is cut short: its header describes {length:,} bytes, and it has "
            f"{entry.file_size:,}."
        )
    blocks = member_blocks(file, entry, name)
    if entry.compress_type != zipfile.ZIP_STORED:
        return pool.decode(blocks, length, name), header
    for _ in blocks:  # the checksum: nothing looks at it later
        continue
    return path, replace(header, offset=data_offset(file, entry) + header.offset)


def _group(
    path: Path, name: str, placed: dict[str, tuple[Path, Header]], wanted: object
) -> list[Volume]:
    groups: dict[tuple[Any, ...], list[tuple[FieldSpec, BoxReader, AxisPlan]]] = {}
    letters = _letters({header.shape for _, header in placed.values()}, wanted)
    for array, (place, header) in placed.items():
        header = replace(header, shape=header.shape or (1,))
        plan = plan_axes(header.shape, letters.get(len(header.shape)))
        for member, dtype, position in record_members(header.dtype):
            title = array if header.dtype.names is None else f"{array}_{member}"
            for label, roles in plan.each_field():
                raw = raw_array(place, header, roles, dtype, position)
                spec = _field(f"{title} {label}".strip(), raw)
                groups.setdefault((raw.shape, raw.timesteps), []).append((spec, raw, plan))
    stem = name.removesuffix(path.suffix)
    return [
        Volume(
            stem if len(groups) == 1 else f"{stem}/{members[0][0].name}",
            shape,
            tuple(Axis(letter) for letter in "zyx"[-len(shape) :]),
            tuple(spec for spec, _, _ in members),
            {spec.key: raw for spec, raw, _ in members},
            (path,),
            timesteps,
            metadata={"format": "NumPy", "arrays": [spec.name for spec, _, _ in members]},
            choices=(axes_choice(members[0][2]),) if len(groups) == 1 else (),
        )
        for (shape, timesteps), members in groups.items()
    ]


def _letters(shapes: Collection[Shape], wanted: object) -> dict[int, str]:
    """For each rank what the parameter ``axes`` says of it.

    Raises
    ------
    InvalidOptions
        It says nothing of any array.
    """
    ranks = {len(shape) or 1 for shape in shapes}
    told = {rank: word for rank in ranks if (word := told_letters(wanted, rank)) is not None}
    if wanted not in (None, "", "auto") and not told:
        raise InvalidOptions(
            f"The parameter axes={wanted!r} is for arrays of another number of axes: here they "
            f"have {', '.join(map(str, sorted(ranks)))}."
        )
    return told


def _field(title: str, raw: RawArray) -> FieldSpec:
    return FieldSpec(
        title,
        title,
        raw.dtype.newbyteorder("="),
        (1,) * len(raw.shape),
        raw.components,
        raw.working_bytes,
    )
