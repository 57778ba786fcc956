"""One DICOM file: where its frames lie in space and in the file.

Source: DICOM PS3.3 (C.7.6.2 image plane, C.11.1 modality LUT) and PS3.5.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread, uid

from scientistcloud.errors import ConversionError, CorruptSource, UnsupportedLayout
from scientistcloud.readers.arrays.raw_array import Scale
from scientistcloud.readers.dicom.deflated import check_deflated
from scientistcloud.readers.dicom.elements import (
    attributes,
    color_table,
    number,
    pixel_spacing,
    sample_scale,
    sample_units,
    segment_label,
    slice_distance,
)
from scientistcloud.readers.dicom.mosaic import Mosaic, is_mosaic, mosaic_of, tile_position
from scientistcloud.readers.dicom.pixels import PixelFormat, pixel_element, pixel_format
from scientistcloud.readers.dicom.placement import (
    Vector,
    frame_order,
    frame_orientation,
    frame_position,
    frame_seconds,
    frame_times,
)
from scientistcloud.readers.files.archive_names import shown
from scientistcloud.readers.files.listing import open_regular

MAX_FRAMES = 1_000_000


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a file.

    Attributes
    ----------
    position : Vector or None
        Of its first sample, in mm.
    order : tuple of float
        What tells apart frames at one place, as far as the file tells: time before number.
    since_trigger, acquired : float or None
        In seconds; `acquired` since year 1.
    segment : str
        Of a segmentation, what the frame is of.
    corner : (int, int)
        Row and column of its first sample in the image that is stored.
    """

    path: Path
    name: str
    index: int
    offset: int
    position: Vector | None
    orientation: tuple[float, ...] | None
    scale: Scale
    order: tuple[float, ...]
    number: float
    since_trigger: float | None = None
    acquired: float | None = None
    segment: str = ""
    corner: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class DicomFile:
    """What one file holds.

    Attributes
    ----------
    instance : str
        SOPInstanceUID; empty where it has none.
    thickness : float or None
        From slice to slice in mm, where no positions tell.
    pixels_at : int
        Where the element of the pixels begins; 0 where the file is deflated.
    frame_times : tuple of float
        Of a loop, in seconds.
    """

    series: str
    instance: str
    label: str
    modality: str
    units: str | None
    spacing: tuple[float, float] | None
    thickness: float | None
    pixels: PixelFormat
    frames: tuple[Frame, ...]
    is_cine: bool
    frame_times: tuple[float, ...]
    palette: Dataset | None
    pixels_at: int
    notes: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)


def read_file(path: Path, name: str) -> DicomFile | None:
    """The frames of a DICOM file; None for one without an image (a directory, a report).

    Raises
    ------
    CorruptSource
        It is damaged, or is no DICOM file.
    UnsupportedLayout
        Its transfer syntax is not known.
    """
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            check_deflated(file, name)
            dataset = dcmread(file, stop_before_pixels=True, force=True)
            at = file.tell()
            head = file.read(12)
        if "Rows" not in dataset or "Columns" not in dataset:
            if not len(dataset):
                raise CorruptSource(f"{name} holds no DICOM elements.")
            _check_without_image(dataset, name)
            return None
        return _describe(dataset, path, name, at, head)
    except ConversionError:
        raise
    except Exception as error:
        # pydicom raises nearly anything on damaged files.
        reason = shown(str(error), 200)
        raise CorruptSource(f"{name} is a damaged DICOM file ({reason}).") from error


def _check_without_image(dataset: Dataset, name: str) -> None:
    """A report has no size of an image; an image without one is damaged, and no stray."""
    meta = getattr(dataset, "file_meta", None) or Dataset()
    kind = uid.UID(str(dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or ""))
    if not kind or "Image Storage" in kind.name:
        raise CorruptSource(f"{name} is a damaged DICOM file (it lacks the size of its image).")


def _describe(dataset: Dataset, path: Path, name: str, at: int, head: bytes) -> DicomFile:
    syntax = _syntax(dataset, name)
    tag, offset, length = pixel_element(syntax, at, head)
    count = int(dataset.get("NumberOfFrames") or 1)
    if not 1 <= count <= MAX_FRAMES:
        raise CorruptSource(f"{name} says that it has {count} frames.")
    mosaic = mosaic_of(dataset) if count == 1 else None
    pixels = pixel_format(dataset, syntax, tag, length, name, mosaic)
    needed = pixels.stored_bytes(count)
    if pixels.is_raw and length < needed:
        raise CorruptSource(
            f"{name} is cut short: {count} frames need {needed:,} bytes, and it has {length:,}."
        )
    if dataset.BitsAllocated == 1 and not pixels.is_raw and count > 1 and pixels.frame_bytes % 8:
        raise UnsupportedLayout(
            f"{name} holds frames of single bits that do not end at a byte, in the transfer syntax "
            f"{syntax.name}.",
            remedy="Export it without compression (Explicit VR Little Endian).",
        )
    frames = tuple(
        _frame(
            dataset,
            i,
            count,
            path,
            name,
            offset if pixels.is_bits else offset + i * pixels.frame_bytes,
        )
        for i in range(count)
    )
    if mosaic is not None:
        frames = _tiles(dataset, mosaic, frames[0])
    return DicomFile(
        series=str(dataset.get("SeriesInstanceUID") or ""),
        instance=str(dataset.get("SOPInstanceUID") or ""),
        label=_label(dataset),
        modality=str(dataset.get("Modality") or ""),
        units=sample_units(dataset),
        spacing=pixel_spacing(dataset),
        thickness=slice_distance(dataset),
        pixels=pixels,
        frames=frames,
        is_cine=count > 1 and ("FrameTime" in dataset or "FrameTimeVector" in dataset),
        frame_times=frame_times(dataset, count),
        palette=color_table(dataset) if pixels.is_palette else None,
        pixels_at=at if tag else 0,
        notes=_notes(dataset, mosaic, _label(dataset)),
        attributes=attributes(dataset),
    )


def _notes(dataset: Dataset, mosaic: Mosaic | None, label: str) -> tuple[str, ...]:
    """What the reader makes of a file beyond its images."""
    if mosaic is not None:
        side = "" if mosaic.normal else " Which side comes first was not told: taken as the normal."
        return (
            f"{label}: Siemens mosaics, of which each was cut into its {mosaic.count} slices of "
            f"{mosaic.columns} x {mosaic.rows}.{side}",
        )
    if is_mosaic(dataset):
        return (
            f"{label}: Siemens mosaics that do not tell how many slices they hold (private "
            "elements were removed): kept as planes, with the slices side by side.",
        )
    if "DoseGridScaling" in dataset:
        return (
            f"{label}: doses are the stored values times DoseGridScaling "
            f"({number(dataset.DoseGridScaling)}).",
        )
    return ()


def _label(dataset: Dataset) -> str:
    """What people call the series: its description, else its number."""
    described = shown(str(dataset.get("SeriesDescription") or "").strip())
    return described or shown(f"series {dataset.get('SeriesNumber') or ''}".strip())


def _syntax(dataset: Dataset, name: str) -> uid.UID:
    """The transfer syntax; files without a meta header are taken as pydicom read them."""
    meta = getattr(dataset, "file_meta", None) or Dataset()
    syntax = meta.get("TransferSyntaxUID")
    if syntax:
        syntax = uid.UID(str(syntax))
        if syntax.is_private or not syntax.is_transfer_syntax:
            raise UnsupportedLayout(f"{name} uses the unknown transfer syntax {shown(syntax)}.")
        return syntax
    is_implicit, is_little = dataset.original_encoding
    if is_implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if is_little else uid.ExplicitVRBigEndian


def _frame(dataset: Dataset, index: int, count: int, path: Path, name: str, offset: int) -> Frame:
    since_trigger, acquired = frame_seconds(dataset, index)
    return Frame(
        path=path,
        name=name,
        index=index,
        offset=offset,
        position=frame_position(dataset, index, count),
        orientation=frame_orientation(dataset, index),
        scale=sample_scale(dataset, index),
        order=frame_order(dataset, index),
        number=(number(dataset.get("InstanceNumber")) or 0.0) + index * 1e-9,
        since_trigger=since_trigger,
        acquired=acquired,
        segment=segment_label(dataset, index),
    )


def _tiles(dataset: Dataset, mosaic: Mosaic, whole: Frame) -> tuple[Frame, ...]:
    """The slices of a mosaic."""
    return tuple(
        replace(
            whole,
            position=tile_position(dataset, mosaic, tile, whole.position, whole.orientation),
            number=whole.number + tile * 1e-5,
            corner=mosaic.corner(tile),
        )
        for tile in range(mosaic.count)
    )
