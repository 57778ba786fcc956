"""Elements of a DICOM dataset, as plain numbers and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from scientistcloud.readers.arrays.attributes import json_value
from scientistcloud.readers.arrays.raw_array import Scale
from scientistcloud.readers.files.archive_names import shown

_MAX_ATTRIBUTES = 400
_HIDDEN_VRS = frozenset({"PN", "SQ", "OB", "OW", "OF", "OD", "OL", "OV", "UN"})


def functional_group(dataset: Dataset, index: int, sequence: str) -> Dataset:
    """A functional group of a frame: its own, else the one that all share (PS3.3, C.7.6.16)."""
    for outer, at in (
        ("PerFrameFunctionalGroupsSequence", index),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        groups = dataset.get(outer)
        if groups and at < len(groups) and groups[at].get(sequence):
            inner: Dataset = groups[at].get(sequence)[0]
            return inner
    return Dataset()


def number(value: Any) -> float | None:
    try:
        result = float(value[0] if isinstance(value, MultiValue) and value else value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None


def numbers(values: Iterable[Any] | None) -> tuple[float, ...]:
    found = (number(value) for value in values or ())
    return tuple(n for n in found if n is not None)


def pixel_spacing(dataset: Dataset) -> tuple[float, float] | None:
    """Distance of rows and of columns in mm."""
    measures = functional_group(dataset, 0, "PixelMeasuresSequence")
    found = numbers(
        measures.get("PixelSpacing")
        or dataset.get("PixelSpacing")
        or dataset.get("ImagerPixelSpacing")
    )
    return (found[0], found[1]) if len(found) == 2 and min(found) > 0 else None


def slice_distance(dataset: Dataset) -> float | None:
    """From slice to slice in mm, as far as no positions tell."""
    for group in (functional_group(dataset, 0, "PixelMeasuresSequence"), dataset):
        for name in ("SpacingBetweenSlices", "SliceThickness"):
            found = number(group.get(name))
            if found:
                return abs(found)
    return None


def sample_scale(dataset: Dataset, index: int) -> Scale:
    """How stored values become those that are meant (PS3.3, C.11.1 and C.8.8.3)."""
    dose = number(dataset.get("DoseGridScaling"))
    if dose:
        return Scale(dose)
    values = functional_group(dataset, index, "PixelValueTransformationSequence")
    values = values if "RescaleSlope" in values else dataset
    slope, intercept = number(values.get("RescaleSlope")), number(values.get("RescaleIntercept"))
    return Scale(1.0 if slope is None else slope, intercept or 0.0)


def segment_label(dataset: Dataset, index: int) -> str:
    """What a frame of a segmentation is of (PS3.3, C.8.20); empty for all others."""
    which = functional_group(dataset, index, "SegmentIdentificationSequence")
    wanted = which.get("ReferencedSegmentNumber")
    for each in dataset.get("SegmentSequence") or () if wanted is not None else ():
        if each.get("SegmentNumber") == wanted:
            return shown(str(each.get("SegmentLabel") or "").strip()) or f"segment {wanted}"
    return "" if wanted is None else f"segment {wanted}"


def sample_units(dataset: Dataset) -> str | None:
    dose = str(dataset.get("DoseUnits") or "").strip()
    if dose:
        return "Gy" if dose == "GY" else dose.lower()
    kind = str(dataset.get("RescaleType") or dataset.get("Units") or "").strip()
    if not kind and dataset.get("Modality") == "CT" and "RescaleSlope" in dataset:
        return "HU"  # PS3.3, C.8.2.1.1.4
    return kind if kind and kind not in ("US", "NONE") else None


def color_table(dataset: Dataset) -> Dataset:
    """The colour table alone."""
    kept = Dataset()
    for element in dataset:
        if element.tag.group == 0x0028:
            kept.add(element)
    return kept


def attributes(dataset: Dataset) -> dict[str, Any]:
    """The file's attributes, without those of the patient, people's names and private ones."""
    found: dict[str, Any] = {}
    for element in dataset:
        tag: BaseTag = element.tag
        if tag.is_private or tag.group in (0x0010, 0x7FE0) or element.VR in _HIDDEN_VRS:
            continue
        value = element.value
        plain = list(value) if isinstance(value, MultiValue) else value
        if element.VR in ("DS", "IS"):
            plain = [number(v) for v in plain] if isinstance(plain, list) else number(plain)
        found[element.keyword or str(tag)] = json_value(plain)
        if len(found) >= _MAX_ATTRIBUTES:
            break
    return found
