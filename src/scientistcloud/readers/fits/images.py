"""Images of a FITS file as volumes: samples, scale, missing values, axes; what is left out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from scientistcloud.errors import UnsupportedLayout
from scientistcloud.readers.arrays.attributes import json_value
from scientistcloud.readers.arrays.axis_roles import MAX_TIMESTEPS
from scientistcloud.readers.arrays.raw_array import BoxReader, Scale
from scientistcloud.readers.arrays.raw_grid import StoredAxis, Volume, make_volume
from scientistcloud.readers.base import FieldSpec
from scientistcloud.readers.files.open_files import FilePool
from scientistcloud.readers.fits.coordinates import axis_of
from scientistcloud.readers.fits.header import ITEM_BYTES, Unit, read_units
from scientistcloud.readers.fits.tiles import TiledImage, open_tiled

_STORED = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


def read_volumes(path: Path, pool: FilePool) -> list[Volume]:
    """The images of a file; those on one grid together.

    Raises
    ------
    CorruptSource, UnsupportedLayout, UnsupportedDtype
        It holds no image, or one that cannot be shown.
    """
    name = pool.name(path)
    units = read_units(path, pool)
    if any(u.cards.get("GROUPS") is True and u.lengths[:1] == (0,) for u in units):
        raise UnsupportedLayout(
            f"{name} holds random groups (visibilities), which are no grid.",
            remedy="Make an image of them first.",
        )
    images = [
        _tiled(path, unit, pool) if unit.is_tiled_image else _plain(path, unit, pool)
        for unit in units
        if unit.is_tiled_image or unit.is_image
    ]
    if not images:
        raise UnsupportedLayout(
            f"{name} holds tables, and no image.", remedy="Make an image (a grid) of them first."
        )
    left_out = [u for u in units if u.data_bytes and not (u.is_image or u.is_tiled_image)]
    notes: tuple[str, ...] = ()
    if left_out:
        notes = (f"{name} also holds {len(left_out)} tables, which were left out.",)
    return [replace(v, notes=(*v.notes, *notes)) for v in _together(images, name)]


def _plain(path: Path, unit: Unit, pool: FilePool) -> tuple[str, Volume]:
    name = pool.name(path)
    scale, flip, fill = _scale(unit)
    step, axes = ITEM_BYTES[unit.bitpix], []
    for index, length in enumerate(unit.lengths):
        axis, role = axis_of(unit, index)
        axes.append(StoredAxis(length, step, axis, role))
        step *= length
    stored = np.dtype(_STORED[unit.bitpix])
    if flip:  # the other sign, bit for bit
        stored = np.dtype("i1" if unit.bitpix == 8 else f">u{unit.bitpix // 8}")
    volume = make_volume(
        path, name, unit.offset, stored, axes[::-1],
        scale=scale, flip_sign=flip, units=_units(unit), fill_value=fill,
        metadata=_metadata(unit),
    )  # fmt: skip
    return unit.name, volume


def _scale(unit: Unit) -> tuple[Scale | None, bool, int | None]:
    """Scale, whether only the sign is turned (unsigned integers), and the fill value."""
    slope = unit.number_of("BSCALE", 1.0) or 1.0
    zero = unit.number_of("BZERO", 0.0) or 0.0
    blank = unit.cards.get("BLANK") if unit.bitpix > 0 else None
    if isinstance(blank, bool) or not isinstance(blank, int):
        blank = None
    if unit.bitpix > 0 and blank is not None and not _fits(blank, unit.bitpix):
        blank = None
    half = 1 << (unit.bitpix - 1) if unit.bitpix > 0 else 0
    if slope == 1.0 and zero == (-half if unit.bitpix == 8 else half) and unit.bitpix > 0:
        return None, True, None if blank is None else blank + int(zero)
    if slope == 1.0 and zero == 0.0:
        return None, False, blank
    return Scale(slope, zero, blank), False, None


def _fits(value: int, bits: int) -> bool:
    return 0 <= value < 256 if bits == 8 else -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def _units(unit: Unit) -> str | None:
    return str(unit.cards.get("BUNIT") or "").strip() or None


def _metadata(unit: Unit) -> dict[str, Any]:
    return {"format": "FITS", "header": json_value(unit.cards)}


def _tiled(path: Path, unit: Unit, pool: FilePool) -> tuple[str, Volume]:
    """An image of compressed tiles: the last three axes of space are the grid, others time."""
    name = pool.name(path)
    section, dtype, lengths, tiles = open_tiled(path, unit, pool)
    rank = len(lengths)
    described = [axis_of(unit, rank - 1 - i, "Z")[0] for i in range(rank)]
    long = [i for i in range(rank) if lengths[i] > 1] or [rank - 1]
    grid, time = tuple(long[-3:]), tuple(long[:-3])
    timesteps = math.prod(lengths[i] for i in time)
    if timesteps > MAX_TIMESTEPS:
        raise UnsupportedLayout(f"{name} would become {timesteps:,} timesteps.")
    chunks = tuple(min(lengths[i], tiles[i]) for i in grid)
    whole = math.prod(min(n, t) for n, t in zip(lengths, tiles, strict=True))
    reader: BoxReader = TiledImage(name, section, lengths, grid, time, chunks, dtype)
    spec = FieldSpec(
        "data", "data", dtype, chunks, working_bytes=40 * whole + (8 << 20), units=_units(unit)
    )
    volume = Volume(
        PurePosixPath(name).with_suffix("").as_posix(),
        tuple(lengths[i] for i in grid),
        tuple(described[i] for i in grid),
        (spec,),
        {"data": reader},
        (path,),
        timesteps,
        metadata=_metadata(unit),
    )
    return unit.name, volume


def _together(images: list[tuple[str, Volume]], name: str) -> Iterator[Volume]:
    """Images on one grid as fields of one volume, under the names of their extensions."""
    if len(images) == 1:
        yield images[0][1]
        return
    groups: dict[Any, list[tuple[str, Volume]]] = {}
    for i, (label, volume) in enumerate(images):
        groups.setdefault((volume.shape, volume.timesteps), []).append(
            (label or f"image{i}", volume)
        )
    for number, group in enumerate(groups.values()):
        first = group[0][1]
        fields: list[FieldSpec] = []
        readers: dict[str, BoxReader] = {}
        for label, volume in group:
            for spec in volume.fields:
                key = label if len(volume.fields) == 1 else f"{label}_{spec.key}"
                while key in readers:
                    key += "_"
                fields.append(replace(spec, key=key, name=key))
                readers[key] = volume.readers[spec.key]
        if len(fields) > 256:
            raise UnsupportedLayout(f"{name} holds {len(fields):,} images of one grid.")
        metadata = {label: dict(volume.metadata) for label, volume in group}
        title = first.name if not number else f"{first.name}_{group[0][0]}"
        yield replace(
            first, name=title, fields=tuple(fields), readers=readers,
            metadata={"format": "FITS", "images": metadata},
        )  # fmt: skip
