"""IDX of others (``.idx``): block files or ARCO, HZ order or row-major, read block by block.

Several headers in one upload become several datasets. A ``.midx`` only says how its parts are shown
together: the parts are what is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import (
    InvalidOptions,
    MissingMember,
    StorageUnavailable,
    UnsupportedLayout,
)
from scientistcloud.grid import Box
from scientistcloud.idx.reader import IdxReader, is_idx, is_midx, load_midx
from scientistcloud.readers.base import (
    Axis,
    Choice,
    Concurrency,
    DatasetSpec,
    FieldSpec,
    Match,
    Selection,
    Source,
    SourceSpec,
)
from scientistcloud.readers.files.output_names import output_name

_CHUNK_BITS = 21
"""Blocks of coarse levels are decoded again for every chunk: chunks of 2 ** 21 samples keep that
below a fifth of the work."""

_MAX_TIMES = 100_000
_MARKS = (b"(version", b"(box)", b"(fields)", b"(bits)", b"(filename_template)", b"<dataset",
          b"<idxfile")  # fmt: skip
"""What a header that is damaged at its beginning still has."""

_AXES = "zyx"


class IdxFormatReader:
    """Recognises and opens IDX datasets."""

    name = "idx"
    owns_folder = True

    def match(self, path: Path, head: bytes) -> Match:
        if is_idx(head) or is_midx(head):
            return Match.CERTAIN
        if path.suffix.lower() not in (".idx", ".midx"):
            return Match.NO
        # Others call their indexes so, too (of GRIB tools, ADIOS2, MNIST).
        return Match.POSSIBLE if not head or any(m in head for m in _MARKS) else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        headers, notes = _headers(files, selection)
        headers, choices = _choose(headers, selection)
        members: list[_Member] = []
        names: list[str] = []
        for path in headers:
            name = output_name(_title(path), names) if members else ""
            names.append(name)
            members.append(_member(path, name, selection))
        joined = [path for path in files if is_midx(_head(path))]
        midx = joined[0] if len(joined) == 1 and "dataset" not in selection.parameters else None
        return IdxSource(members, headers, midx, choices, notes)


READER = IdxFormatReader()


@dataclass(frozen=True, slots=True)
class _Member:
    """One header as one dataset."""

    spec: DatasetSpec
    reader: IdxReader


class IdxSource:
    """One or several IDX datasets for reading, or to be carried over as they are.

    Its ``spec.carried`` names each ``.idx`` file or, where one ``.midx`` joins them, that.
    """

    concurrency = Concurrency.THREADS

    def __init__(
        self,
        members: Sequence[_Member],
        headers: Sequence[Path],
        midx: Path | None,
        choices: tuple[Choice, ...],
        notes: tuple[str, ...],
    ) -> None:
        self._members = {f.key: (m, i) for m in members for i, f in enumerate(m.spec.fields)}
        names = [member.spec.name for member in members]
        self.spec = SourceSpec(
            format="IDX",
            datasets=tuple(member.spec for member in members),
            inputs=tuple(headers),
            choices=choices,
            notes=notes,
            carried={"": midx} if midx else dict(zip(names, headers, strict=True)),
        )

    def read(self, field: FieldSpec, timestep: int, box: Box, out: NDArray[Any]) -> None:
        member, index = self._members[field.key]
        origin = member.reader.header.box.lo
        member.reader.read_into(index, timestep, box.shift(origin), out)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """No file is open between reads."""


def _headers(files: Sequence[Path], selection: Selection) -> tuple[list[Path], tuple[str, ...]]:
    """The ``.idx`` files; of a ``.midx``, those that it names, in its order."""
    parts: list[Path] = []
    notes = []
    for path in files:
        if not is_midx(_head(path)):
            continue
        parts += [path.parent / part for part in load_midx(path).parts]
        notes.append(f"{path.name} joins several datasets and is kept, with its parts.")
    headers = parts + [path for path in files if path not in parts and not is_midx(_head(path))]
    missing = [path.name for path in headers if not path.is_file()]
    if missing:
        raise MissingMember(f"The .midx names parts that were not uploaded: {', '.join(missing)}.")
    return list(dict.fromkeys(headers)), tuple(notes)


def _choose(headers: list[Path], selection: Selection) -> tuple[list[Path], tuple[Choice, ...]]:
    """The main dataset first: the least deep ``visus.idx``, else the first header."""
    names = {_relative(path, selection.root): path for path in headers}
    wanted = selection.parameters.get("dataset")
    if wanted is not None:
        if wanted not in names:
            raise InvalidOptions(
                f"The parameter dataset={wanted!r} is none of: {', '.join(names)}."
            )
        return [names[wanted]], (Choice("dataset", wanted, "the parameter dataset"),)
    if len(names) == 1:
        return headers, ()

    def rank(name: str) -> tuple[bool, int]:
        return PurePosixPath(name).name != "visus.idx", len(PurePosixPath(name).parts)

    main = min(names, key=rank)
    others = [name for name in names if name != main]
    choice = Choice(
        "dataset", main, "all, visus.idx or the first header as the main one", (*others,)
    )
    return [names[main], *(names[name] for name in others)], (choice,)


def _member(path: Path, name: str, selection: Selection) -> _Member:
    shown = _relative(path, selection.root)
    try:
        reader = IdxReader(path)
    except OSError as error:
        raise StorageUnavailable(f"{shown} cannot be read: {error.strerror}.") from error
    if len(reader.header.shape) > len(_AXES):
        raise UnsupportedLayout(f"{shown} has {len(reader.header.shape)} axes; 3 can be shown.")
    missing = selection.parameters.get("missing")
    if missing not in (None, "zeros"):
        raise InvalidOptions("The parameter missing is 'zeros' or absent.")
    if missing is None:
        reader.require_files(selection.root, shown)
    return _Member(_dataset(reader, name, shown), reader)


def _dataset(reader: IdxReader, name: str, shown: str) -> DatasetSpec:
    header = reader.header
    chunks = tuple(min(c, n) for c, n in zip(reader.brick(_CHUNK_BITS), header.shape, strict=True))
    fields = tuple(
        FieldSpec(
            key=f"{shown}:{field.name}",
            name=field.name,
            dtype=np.dtype(field.dtype.newbyteorder("=")),
            chunks=chunks,
            components=field.components,
            # A stored block, its samples, and both again where they are brought into order.
            working_bytes=5 * header.block_bytes(index),
            attributes={"compression": field.compression} if field.compression else {},
        )
        for index, field in enumerate(header.fields)
    )
    if header.timesteps <= _MAX_TIMES:
        values = tuple(float(v) for r in header.time_ranges for v in r)
    else:
        values = ()
    plain = header.time_ranges == (range(header.timesteps),)
    return DatasetSpec(
        name=name,
        shape=header.shape,
        axes=_axes(reader),
        fields=fields,
        timesteps=header.timesteps,
        times=() if plain else values,
        metadata=dict(header.metadata) | {"header": shown},
        matrix=header.matrix,
    )


def _axes(reader: IdxReader) -> tuple[Axis, ...]:
    header = reader.header
    names = header.axis_names or tuple(_AXES[-len(header.shape) :])
    axes = []
    for axis, name in enumerate(names):
        first, spacing = header.axis_place(axis) or (0.0, 0.0)
        if spacing and np.isfinite(spacing) and np.isfinite(first):
            axes.append(Axis(name, spacing, first, header.axis_unit(axis)))
        else:
            axes.append(Axis(name))
    return tuple(axes)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _title(path: Path) -> str:
    """``name/visus.idx`` is called by its folder, as our own further datasets are."""
    return path.parent.name if path.name == "visus.idx" else path.stem


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise StorageUnavailable(f"{path.name} cannot be read: {error.strerror}.") from error
