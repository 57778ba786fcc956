"""NIfTI-1, NIfTI-2 and ANALYZE 7.5 (``.nii``, ``.hdr`` with ``.img``): read by position.

The axes are x, y, z, time and (fifth) components. Samples with a slope other than 1 or an
intercept other than 0 become float32 (up to 16 bits) or float64. ``.nii.gz`` arrives unpacked: the
upload's archives are opened before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.errors import MissingMember
from scientistcloud.readers.arrays.attributes import json_value
from scientistcloud.readers.arrays.raw_array import Scale
from scientistcloud.readers.arrays.raw_grid import StoredAxis, Volume, make_volume, matrix_of
from scientistcloud.readers.arrays.volume_set import open_volumes
from scientistcloud.readers.base import Axis, Choice, Match, Matrix, Selection, Source
from scientistcloud.readers.files.listing import read_head
from scientistcloud.readers.files.open_files import FilePool, handed_over
from scientistcloud.readers.volumes.nifti_header import (
    NiftiHeader,
    check_rank,
    is_nifti,
    parse_header,
)


class NiftiReader:
    """Recognises and opens NIfTI files."""

    name = "nifti"

    def match(self, path: Path, head: bytes) -> Match:
        suffix = path.suffix.lower()
        if suffix == ".img":
            return Match.CERTAIN if _header_beside(path) is not None else Match.NO
        if is_nifti(head):
            return Match.CERTAIN
        if suffix == ".hdr" and is_nifti(head, analyze=True):
            return Match.CERTAIN if _beside(path, ".img") is not None else Match.POSSIBLE
        return Match.POSSIBLE if suffix == ".nii" else Match.NO

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        headers = [path for path in files if path.suffix.lower() != ".img"]
        headers = headers or [h for h in map(_header_beside, files) if h is not None]
        with handed_over(FilePool(selection.root)) as pool:
            volumes = [_volume(path, pool) for path in headers]
            return open_volumes(volumes, _format(volumes), selection.parameters, pool)


READER = NiftiReader()


def _format(volumes: Sequence[Volume]) -> str:
    return str(volumes[0].metadata.get("format", "NIfTI"))


def _beside(path: Path, suffix: str) -> Path | None:
    for candidate in (suffix, suffix.upper()):
        other = path.with_suffix(candidate)
        if other.is_file():
            return other
    return None


def _header_beside(image: Path) -> Path | None:
    header = _beside(image, ".hdr")
    return header if header is not None and is_nifti(read_head(header), analyze=True) else None


def _volume(path: Path, pool: FilePool) -> Volume:
    name = pool.name(path)
    header = parse_header(read_head(path), name)
    check_rank(header.dims, name)
    data = path
    if header.is_pair:
        image = _beside(path, ".img")
        if image is None:
            raise MissingMember(f"{path.stem}.img, which {name} describes, was not uploaded.")
        data = image
    axes = _axes(header)
    notes = () if header.affine is not None else (f"{name} says nothing about its orientation.",)
    return make_volume(
        data,
        name,
        header.offset,
        header.dtype,
        axes,
        scale=Scale(header.slope, header.intercept),
        metadata=_metadata(header),
        choices=_choices(header),
        notes=notes,
        matrix=_matrix(header),
    )


def _axes(header: NiftiHeader) -> list[StoredAxis]:
    """The axes of the file, slowest first."""
    step = header.dtype.itemsize * header.colors
    axes: list[StoredAxis] = []
    if header.colors > 1:
        axes.append(StoredAxis(header.colors, 1, Axis("color"), "component"))
    spacing, origin = _placement(header)
    for i, length in enumerate(header.dims[:5]):
        if i < 3:
            axis = Axis("xyz"[i], spacing[i], origin[i], header.length_units)
            axes.append(StoredAxis(length, step, axis))
        elif i == 3:
            interval = header.pixdim[4] if header.pixdim[4] > 0 else None
            time = Axis("time", interval, header.time_offset, header.time_units)
            axes.append(StoredAxis(length, step, time, "time"))
        elif header.colors == 1:
            axes.append(StoredAxis(length, step, Axis("component"), "component"))
        else:
            axes.append(StoredAxis(length, step, Axis("component"), "time"))
        step *= length
    return list(reversed(axes))


def _placement(header: NiftiHeader) -> tuple[list[float | None], list[float | None]]:
    """Spacing and origin along x, y, z.

    An oblique or mirrored grid has no origin on its own axes; its affine is in the metadata.
    """
    spacing: list[float | None] = [
        abs(v) if np.isfinite(v) and v != 0 else None for v in header.pixdim[1:4]
    ]
    if header.affine is None:
        return spacing, [None] * 3
    matrix = header.affine[:3, :3]
    lengths = np.sqrt((matrix**2).sum(axis=0))
    spacing = [float(v) if v > 0 else None for v in lengths]
    straight = np.allclose(matrix, np.diag(lengths), atol=1e-4 * max(1e-30, float(lengths.max())))
    return spacing, [float(v) if straight else None for v in header.affine[:3, 3]]


def _matrix(header: NiftiHeader) -> Matrix:
    """The affine for the axes of space that the file has."""
    if header.affine is None:
        return ()
    whole = tuple(tuple(float(v) for v in row) for row in header.affine)
    return matrix_of(whole, range(min(3, len(header.dims))))


def _metadata(header: NiftiHeader) -> dict[str, Any]:
    return {
        "format": header.kind,
        "header": header.attributes,
        "affine": json_value(header.affine) if header.affine is not None else None,
    }


def _choices(header: NiftiHeader) -> tuple[Choice, ...]:
    if len(header.dims) < 4 or header.dims[3] < 2:
        return ()
    rule = "the fourth axis of NIfTI is time"
    if header.time_units in ("Hz", "ppm", "rad/s"):
        rule += f" (here in {header.time_units}: a spectrum, stepped through as timesteps)"
    return (Choice("time_axis", "t", rule),)
