"""DICOM files as a source: a dataset for each series, the largest first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.errors import CorruptSource, InvalidOptions, UnrecognizedFormat
from scientistcloud.readers.arrays.raw_array import BoxReader, RawSource, Scale
from scientistcloud.readers.base import (
    Axis,
    Choice,
    DatasetSpec,
    FieldSpec,
    Matrix,
    Selection,
    SourceSpec,
)
from scientistcloud.readers.dicom.copies import without_copies
from scientistcloud.readers.dicom.file import DicomFile, read_file
from scientistcloud.readers.dicom.frames import CACHED_FRAMES, FrameDecoder, Slices, frame_reader
from scientistcloud.readers.dicom.pixels import PixelFormat
from scientistcloud.readers.dicom.series import Series, group_series, renamed
from scientistcloud.readers.files.open_files import FilePool, handed_over
from scientistcloud.readers.files.output_names import output_name


def open_files(files: Sequence[Path], selection: Selection) -> RawSource:
    """Open `files` as `Reader.open` says."""
    with handed_over(FilePool(selection.root)) as pool:
        found, notes = _read_files(files, pool)
        found, copies = without_copies(found, pool)
        may_fill = _may_fill(selection)
        series, choice = _choose(renamed(group_series(found, may_fill=may_fill)), selection)
        return _source(series, choice, notes + copies, pool, may_fill)


def _may_fill(selection: Selection) -> bool:
    """Whether the slices that are missing stay empty: the parameter ``gaps``."""
    wanted = selection.parameters.get("gaps", "empty")
    if wanted not in ("empty", "closed"):
        raise InvalidOptions(f"The parameter gaps={wanted!r} is none of: empty, closed.")
    return bool(wanted == "empty")


def _read_files(files: Sequence[Path], pool: FilePool) -> tuple[list[DicomFile], tuple[str, ...]]:
    found, without = [], []
    for path in files:
        if path.name.upper() == "DICOMDIR":
            continue
        file = read_file(path, pool.name(path))
        if file is None:
            without.append(pool.name(path))
        else:
            found.append(file)
    if not found:
        raise UnrecognizedFormat(f"The DICOM files hold no images: {', '.join(without[:5])}.")
    notes = ["Names and identifiers of patients and people were left out of the metadata."]
    if without:
        more = f" and {len(without) - 5} more" if len(without) > 5 else ""
        notes.append(f"Left out, as without an image: {', '.join(without[:5])}{more}.")
    return found, tuple(notes)


def _choose(series: list[Series], selection: Selection) -> tuple[list[Series], Choice | None]:
    """The main series first: the largest, or the one that the parameter ``series`` names."""
    if len(series) == 1:
        return series, None
    labels = [one.first.label for one in series]
    rule, wanted = "the largest series is the main one", selection.parameters.get("series")
    if wanted is not None:
        if wanted not in labels:
            raise InvalidOptions(
                f"The parameter series={wanted!r} is none of: {', '.join(labels)}."
            )
        rule = "the parameter series"
        series = sorted(series, key=lambda one: one.first.label != wanted)
        labels = [one.first.label for one in series]
    return series, Choice("series", labels[0], rule, tuple(labels[1:]))


def _source(
    series: list[Series],
    choice: Choice | None,
    notes: tuple[str, ...],
    pool: FilePool,
    may_fill: bool,
) -> RawSource:
    datasets: list[DatasetSpec] = []
    readers: dict[str, BoxReader] = {}
    choices = [] if choice is None else [choice]
    for i, one in enumerate(series):
        name = output_name(one.first.label, [d.name for d in datasets]) if i else ""
        dtype, slices = _samples(one)
        fill = slices.fill if None in one.frames and not one.images[0].segment else None
        key = str(i)
        readers[key] = slices
        datasets.append(_dataset(one, name, key, dtype, fill))
        notes += one.notes
        if one.first.pixels.photometric == "MONOCHROME1":
            notes += (f"{one.first.label}: low values are bright (MONOCHROME1); kept as stored.",)
        if one.depth > 1:
            label = "slice_order" if i == 0 else f"slice_order of {one.first.label}"
            choices.append(
                Choice(label, "position" if one.origin is not None else "number", one.rule)
            )
    if not may_fill or any(None in one.frames for one in series):
        chosen, other = ("empty", "closed") if may_fill else ("closed", "empty")
        choices.append(Choice("gaps", chosen, "slices that are missing", (other,)))
    paths = dict.fromkeys(f.path for one in series for f in one.images)
    spec = SourceSpec(
        "DICOM",
        tuple(datasets),
        tuple(paths),
        tuple(choices),
        notes,
        {"format": "DICOM", "modality": series[0].first.modality},
    )
    return RawSource(spec, readers, pool)


def _dataset(
    series: Series, name: str, key: str, dtype: np.dtype[Any], fill: float | None
) -> DatasetSpec:
    first, pixels = series.first, series.first.pixels
    turn, place = series.images[0].orientation, series.images[0].position
    dy, dx = first.spacing or (None, None)
    straight = turn is not None and np.allclose(turn, (1, 0, 0, 0, 1, 0), atol=1e-4)
    x, y = (place[0], place[1]) if straight and place else (None, None)
    units = "mm" if first.spacing else None
    axes = [Axis("y", dy, y, units), Axis("x", dx, x, units)]
    shape: tuple[int, ...] = (pixels.rows, pixels.columns)
    chunks = (1, 1) if pixels.is_raw else shape
    if series.depth > 1:
        z_units = "mm" if series.spacing is not None else None
        axes.insert(0, Axis("z", series.spacing, series.origin, z_units))
        shape, chunks = (series.depth, *shape), (1, *chunks)
    field = FieldSpec(
        key,
        "data",
        dtype,
        chunks,
        pixels.components,
        _working_bytes(pixels),
        first.units,
        fill_value=fill if dtype.kind == "f" or fill is None else int(fill),
    )
    metadata: dict[str, Any] = {
        "series": first.label,
        "modality": first.modality,
        "orientation": list(turn) if turn else None,
        "position": list(place) if place else None,
        "attributes": first.attributes,
    }
    if any("slice_positions" in note for note in series.notes):
        metadata["slice_positions"] = [
            list(f.position or ()) for f in series.frames[: series.depth] if f is not None
        ]
    return DatasetSpec(
        name,
        shape,
        tuple(axes),
        (field,),
        series.timesteps,
        series.times,
        metadata,
        time_units="s" if series.times else None,
        matrix=_matrix(series),
    )


def _matrix(series: Series) -> Matrix:
    """From sample indices to positions in the patient, in mm; empty where the grid has none."""
    first, image = series.first, series.images[0]
    if series.step is None or first.spacing is None:
        return ()
    if image.orientation is None or image.position is None or series.depth < 2:
        return ()
    dy, dx = first.spacing
    columns = (
        [v * dx for v in image.orientation[:3]],
        [v * dy for v in image.orientation[3:]],
        series.step,
        image.position,
    )
    rows = zip(*columns, strict=True)
    return (*(tuple(float(v) for v in row) for row in rows), (0.0, 0.0, 0.0, 1.0))


def _working_bytes(pixels: PixelFormat) -> int:
    """A slice as stored, as float64 and, where it is decoded, a few times over."""
    samples = pixels.height * pixels.width * pixels.components
    copies = 0 if pixels.is_raw else 6 + CACHED_FRAMES
    decoded = copies * samples * max(2, pixels.stored.itemsize)
    return samples * (pixels.stored.itemsize + 16) + decoded + (1 << 20)


def _samples(series: Series) -> tuple[np.dtype[Any], Slices]:
    """The type of the samples given, and where they come from."""
    pixels = series.first.pixels
    stored = pixels.stored.newbyteorder("=")
    scales = {frame.scale for frame in series.images}
    scaled = any(not scale.is_identity for scale in scales) and pixels.components == 1
    if pixels.is_palette:
        dtype = np.dtype(_palette_type(series.first))
    elif scaled:
        dtype = _scaled_type(stored, pixels.unused_bits, scales)
    else:
        dtype = stored
    readers = tuple(
        None if frame is None else frame_reader(series.first, frame) for frame in series.frames
    )
    decoder = None if pixels.is_raw else FrameDecoder(series.first)
    # A stored 0 is what scanners fill with: air in a CT, nothing elsewhere.
    fill = series.images[0].scale.intercept if scaled else 0.0
    return dtype, Slices(series.frames, readers, series.depth, pixels, scaled, fill, decoder)


def _palette_type(file: DicomFile) -> str:
    descriptor = file.palette.get("RedPaletteColorLookupTableDescriptor") if file.palette else None
    if not descriptor or len(descriptor) < 3:
        raise CorruptSource(f"{file.frames[0].name} has no colour table.")
    return "u2" if int(descriptor[2]) == 16 else "u1"


def _scaled_type(stored: np.dtype[Any], unused_bits: int, scales: set[Scale]) -> np.dtype[Any]:
    if stored.kind == "f" or stored.itemsize > 4:
        return np.dtype("f8")
    bits = 8 * stored.itemsize - unused_bits
    low, high = (
        (-(1 << bits - 1), (1 << bits - 1) - 1) if stored.kind == "i" else (0, (1 << bits) - 1)
    )
    if all(s.slope.is_integer() and s.intercept.is_integer() for s in scales):
        ends = [end * s.slope + s.intercept for s in scales for end in (low, high)]
        for code in ("i2", "i4"):
            if np.iinfo(code).min <= min(ends) and max(ends) <= np.iinfo(code).max:
                return np.dtype(code)
    return Scale(0.5).dtype_of(stored)
