"""One DICOM file: where its frames lie in space and in the file.

Source: DICOM PS3.3 (C.7.6.2 image plane, C.7.6.3 image pixel, C.11.1 modality LUT) and PS3.5.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread, uid

from scientistcloud.errors import ConversionError, CorruptSource, UnsupportedLayout
from scientistcloud.readers.arrays.raw_array import Scale
from scientistcloud.readers.dicom.deflated import check_deflated
from scientistcloud.readers.dicom.elements import (
    attributes,
    color_table,
    functional_group,
    number,
    numbers,
    pixel_spacing,
    sample_units,
)
from scientistcloud.readers.files.archive_names import shown
from scientistcloud.readers.files.listing import open_regular

MAX_FRAMES = 1_000_000
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXELS = {0x7FE00010: "", 0x7FE00008: "f4", 0x7FE00009: "f8"}
_RAW_SYNTAXES = {
    uid.ImplicitVRLittleEndian: "<",
    uid.ExplicitVRLittleEndian: "<",
    uid.ExplicitVRBigEndian: ">",
}
_RAW_PHOTOMETRIC = frozenset({"MONOCHROME1", "MONOCHROME2", "RGB"})

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How samples are stored; frames of one series share it.

    Attributes
    ----------
    is_raw : bool
        Whether they are read by position; else pydicom decodes frame by frame.
    stored : numpy.dtype
        Of one sample, byte order included; of decoded samples, the machine's.
    unused_bits : int
        High bits of a raw sample that mean nothing (PS3.5, 8.1.1).
    """

    rows: int
    columns: int
    samples: int
    stored: np.dtype[Any]
    unused_bits: int
    is_raw: bool
    is_planar: bool
    is_palette: bool
    photometric: str
    syntax: str

    @property
    def components(self) -> int:
        return 3 if self.is_palette else self.samples

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * self.samples * self.stored.itemsize


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a file.

    Attributes
    ----------
    position : Vector or None
        Of its first sample, in mm.
    order : tuple of float
        What tells apart frames at one place, as far as the file tells: time before number.
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


@dataclass(frozen=True)
class DicomFile:
    """What one file holds."""

    series: str
    label: str
    modality: str
    units: str | None
    spacing: tuple[float, float] | None
    thickness: float | None
    pixels: PixelFormat
    frames: tuple[Frame, ...]
    is_cine: bool
    frame_seconds: float | None
    palette: Dataset | None
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
    tag, offset, length = _pixel_element(syntax, at, head)
    pixels = _pixel_format(dataset, syntax, tag, length, name)
    count = int(dataset.get("NumberOfFrames") or 1)
    if not 1 <= count <= MAX_FRAMES:
        raise CorruptSource(f"{name} says that it has {count} frames.")
    if pixels.is_raw and length < count * pixels.frame_bytes:
        raise CorruptSource(
            f"{name} is cut short: {count} frames need {count * pixels.frame_bytes:,} bytes, and "
            f"it has {length:,}."
        )
    frames = tuple(
        _frame(dataset, i, path, name, offset + i * pixels.frame_bytes) for i in range(count)
    )
    interval = number(dataset.get("FrameTime"))
    measures = functional_group(dataset, 0, "PixelMeasuresSequence")
    return DicomFile(
        series=str(dataset.get("SeriesInstanceUID") or ""),
        label=_label(dataset),
        modality=str(dataset.get("Modality") or ""),
        units=sample_units(dataset),
        spacing=pixel_spacing(dataset),
        thickness=number(measures.get("SliceThickness"))
        or number(dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness")),
        pixels=pixels,
        frames=frames,
        is_cine=count > 1 and ("FrameTime" in dataset or "FrameTimeVector" in dataset),
        frame_seconds=interval / 1000 if interval else None,
        palette=color_table(dataset) if pixels.is_palette else None,
        attributes=attributes(dataset),
    )


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


def _pixel_element(syntax: uid.UID, at: int, head: bytes) -> tuple[int, int, int]:
    """Tag, position and length in bytes of the pixel data; 0s where they are not at hand."""
    if syntax == uid.DeflatedExplicitVRLittleEndian or len(head) < 8:
        return 0, 0, 0
    order = "big" if syntax == uid.ExplicitVRBigEndian else "little"
    group, element = (int.from_bytes(head[i : i + 2], order) for i in (0, 2))  # type: ignore[arg-type]
    tag = group << 16 | element
    if tag not in _PIXELS:
        return 0, 0, 0
    if syntax == uid.ImplicitVRLittleEndian:
        return tag, at + 8, int.from_bytes(head[4:8], "little")
    return tag, at + 12, int.from_bytes(head[8:12], order)  # type: ignore[arg-type]


def _pixel_format(
    dataset: Dataset, syntax: uid.UID, tag: int, length: int, name: str
) -> PixelFormat:
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    allocated = int(dataset.get("BitsAllocated") or 0)
    stored = int(dataset.get("BitsStored") or allocated)
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    photometric = str(dataset.get("PhotometricInterpretation") or "MONOCHROME2").strip()
    if not tag and syntax != uid.DeflatedExplicitVRLittleEndian:
        raise CorruptSource(f"{name} has no pixel data.")
    if rows < 1 or columns < 1 or samples not in (1, 3, 4) or not 1 <= stored <= max(1, allocated):
        raise CorruptSource(f"{name} describes an image of {columns} x {rows} that cannot be.")
    if allocated not in (1, 8, 16, 32, 64):
        raise UnsupportedLayout(f"{name} stores samples in {allocated} bits.")
    raw = (
        syntax in _RAW_SYNTAXES
        and length != _UNDEFINED_LENGTH
        and allocated > 1
        and photometric in _RAW_PHOTOMETRIC
        # Bytes in big-endian words change places (PS3.5, A.3).
        and not (allocated == 8 and _RAW_SYNTAXES[syntax] == ">")
    )
    code = _PIXELS.get(tag) or f"{'i' if signed else 'u'}{max(1, allocated // 8)}"
    return PixelFormat(
        rows=rows,
        columns=columns,
        samples=samples,
        stored=np.dtype(_RAW_SYNTAXES[syntax] + code if raw else code),
        unused_bits=allocated - stored if code[0] != "f" else 0,
        is_raw=raw,
        is_planar=samples > 1 and int(dataset.get("PlanarConfiguration") or 0) == 1,
        is_palette=photometric == "PALETTE COLOR",
        photometric=photometric,
        syntax=str(syntax),
    )


def _frame(dataset: Dataset, index: int, path: Path, name: str, offset: int) -> Frame:
    plane = functional_group(dataset, index, "PlanePositionSequence")
    turn = functional_group(dataset, index, "PlaneOrientationSequence")
    values = functional_group(dataset, index, "PixelValueTransformationSequence")
    values = values if "RescaleSlope" in values else dataset
    content = functional_group(dataset, index, "FrameContentSequence")
    slope, intercept = number(values.get("RescaleSlope")), number(values.get("RescaleIntercept"))
    position = numbers(plane.get("ImagePositionPatient") or dataset.get("ImagePositionPatient"))
    orientation = numbers(
        turn.get("ImageOrientationPatient") or dataset.get("ImageOrientationPatient")
    )
    shared = int(dataset.get("NumberOfFrames") or 1) > 1 and "ImagePositionPatient" not in plane
    return Frame(
        path=path,
        name=name,
        index=index,
        offset=offset,
        position=(position[0], position[1], position[2])
        if len(position) == 3 and not shared
        else None,
        orientation=orientation if len(orientation) == 6 else None,
        scale=Scale(1.0 if slope is None else slope, intercept or 0.0),
        order=_order(dataset, content),
        number=(number(dataset.get("InstanceNumber")) or 0.0) + index * 1e-9,
    )


def _order(dataset: Dataset, content: Dataset) -> tuple[float, ...]:
    found = [
        content.get("TemporalPositionIndex") or dataset.get("TemporalPositionIdentifier"),
        dataset.get("TriggerTime"),
        dataset.get("AcquisitionNumber"),
        dataset.get("EchoNumbers"),
        dataset.get("DiffusionBValue"),
        dataset.get("AcquisitionTime"),
    ]
    return tuple(number(value) or 0.0 for value in found)
