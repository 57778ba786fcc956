"""Where a frame lies: in space, in time, and in the image that it was stored in.

Source: DICOM PS3.3 (C.7.6.2 image plane, C.7.6.16 functional groups, C.8.8.3.2 RT dose).
"""

from __future__ import annotations

from datetime import datetime
from itertools import accumulate

from pydicom import Dataset

from scientistcloud.readers.dicom.elements import functional_group, number, numbers

Vector = tuple[float, float, float]


def normal_of(orientation: tuple[float, ...]) -> Vector:
    """The cross product of the directions of rows and columns."""
    a, b = orientation[:3], orientation[3:]
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def moved(place: Vector, direction: tuple[float, ...], distance: float) -> Vector:
    """The place that lies `distance` further along `direction`."""
    x, y, z = (p + d * distance for p, d in zip(place, direction, strict=True))
    return x, y, z


def frame_orientation(dataset: Dataset, index: int) -> tuple[float, ...] | None:
    """Directions of rows and of columns of a frame."""
    turn = functional_group(dataset, index, "PlaneOrientationSequence")
    found = numbers(turn.get("ImageOrientationPatient") or dataset.get("ImageOrientationPatient"))
    return found if len(found) == 6 else None


def frame_position(dataset: Dataset, index: int, count: int) -> Vector | None:
    """Where the first sample of a frame lies, in mm; None where the file does not tell."""
    plane = functional_group(dataset, index, "PlanePositionSequence")
    place = _vector(plane.get("ImagePositionPatient"))
    if place is not None:
        return place
    place = _vector(dataset.get("ImagePositionPatient"))
    if count == 1 or place is None:
        return place
    return _offset_position(dataset, index, count, place)


def _offset_position(dataset: Dataset, index: int, count: int, place: Vector) -> Vector | None:
    """By GridFrameOffsetVector: offsets from the first frame, or z itself (C.8.8.3.2)."""
    offsets = numbers(dataset.get("GridFrameOffsetVector"))
    turn = frame_orientation(dataset, index)
    if len(offsets) != count or turn is None:
        return None
    if offsets[0] == 0:
        return moved(place, normal_of(turn), offsets[index])
    return place[0], place[1], offsets[index]


def _vector(value: object) -> Vector | None:
    found = numbers(value)  # type: ignore[arg-type]
    return (found[0], found[1], found[2]) if len(found) == 3 else None


def frame_seconds(dataset: Dataset, index: int) -> tuple[float | None, float | None]:
    """Seconds since the trigger, and of the acquisition since year 1; None where not told."""
    content = functional_group(dataset, index, "FrameContentSequence")
    trigger = number(dataset.get("TriggerTime"))
    text = content.get("FrameAcquisitionDateTime") or dataset.get("AcquisitionDateTime")
    if not text and dataset.get("AcquisitionTime"):
        day = dataset.get("AcquisitionDate") or dataset.get("ContentDate") or "00010101"
        text = f"{day}{dataset.AcquisitionTime}"
    return None if trigger is None else trigger / 1000, _seconds_of(str(text or ""))


def frame_times(dataset: Dataset, count: int) -> tuple[float, ...]:
    """When each frame of a loop is shown, in seconds; empty where it is none."""
    interval = number(dataset.get("FrameTime"))
    if interval:
        return tuple(i * interval / 1000 for i in range(count))
    intervals = numbers(dataset.get("FrameTimeVector"))
    return tuple(t / 1000 for t in accumulate(intervals)) if len(intervals) == count else ()


def _seconds_of(text: str) -> float | None:
    """``YYYYMMDDHHMMSS.FFFFFF``, with or without fraction and zone (PS3.5, 6.2, DT)."""
    for layout in ("%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S"):
        try:
            moment = datetime.strptime(text.split("+")[0].strip(), layout)
        except ValueError:
            continue
        return (moment - datetime(1, 1, 1)).total_seconds()
    return None


def frame_order(dataset: Dataset, index: int) -> tuple[float, ...]:
    """What tells apart frames at one place, as far as the file tells: time before number."""
    content = functional_group(dataset, index, "FrameContentSequence")
    found = [
        content.get("TemporalPositionIndex") or dataset.get("TemporalPositionIdentifier"),
        dataset.get("TriggerTime"),
        dataset.get("AcquisitionNumber"),
        dataset.get("EchoNumbers"),
        dataset.get("DiffusionBValue"),
        dataset.get("AcquisitionTime"),
    ]
    return tuple(number(value) or 0.0 for value in found)
