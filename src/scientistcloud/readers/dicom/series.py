"""From frames to volumes: by their place in space, never by the names of files. Pure decisions.

1. Frames of one series (SeriesInstanceUID), one size, type and orientation belong together;
   localizers, which lie across, become a dataset of their own.
2. Slices are sorted by their position along the normal of the image plane, ascending.
3. Several frames at each place are timesteps, in the order of temporal position, trigger time,
   acquisition, echo, b-value, acquisition time, instance number.
4. Without positions, the frames of a file with a frame time are timesteps; all others are slices,
   in the order of instance number, then of natural names.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scientistcloud.errors import AmbiguousFormat
from scientistcloud.readers.dicom.file import DicomFile, Frame, Vector
from scientistcloud.readers.files.listing import natural_key

_SAME_PLACE = 1e-3
_UNEVEN = 0.01
_GAP = 1.5


@dataclass(frozen=True)
class Series:
    """Frames that make one volume.

    Attributes
    ----------
    frames : tuple of Frame
        Timestep by timestep, each from the first slice to the last.
    spacing, origin : float or None
        Along the normal, in mm; None where slices are not evenly placed or tell no position.
    """

    first: DicomFile
    frames: tuple[Frame, ...]
    timesteps: int
    spacing: float | None
    origin: float | None
    rule: str
    notes: tuple[str, ...]

    @property
    def depth(self) -> int:
        return len(self.frames) // self.timesteps


def group_series(files: Sequence[DicomFile]) -> list[Series]:
    """The volumes that `files` hold, the largest first.

    Raises
    ------
    AmbiguousFormat
        Places in a series have unlike numbers of frames.
    """
    groups: dict[tuple[object, ...], list[DicomFile]] = {}
    for file in files:
        turn = file.frames[0].orientation
        key = (
            file.series,
            file.pixels,
            tuple(round(v, 3) + 0.0 for v in turn) if turn else None,
            id(file) if len(file.frames) > 1 else None,
        )
        groups.setdefault(key, []).append(file)
    series = [_series(group) for group in groups.values()]
    return sorted(series, key=lambda s: -len(s.frames) * s.first.pixels.frame_bytes)


def normal_of(orientation: Sequence[float]) -> Vector:
    """The cross product of the directions of rows and columns."""
    a, b = orientation[:3], orientation[3:]
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def _series(files: list[DicomFile]) -> Series:
    first = files[0]
    frames = [frame for file in files for frame in file.frames]
    placed = all(f.position is not None and f.orientation is not None for f in frames)
    if placed and len(frames) > 1:
        return _by_place(first, frames)
    if not placed:
        frames.sort(key=lambda f: (f.number, natural_key(f.name)))
    if first.is_cine and len(files) == 1:
        rule = "frames with a frame time are timesteps"
        return Series(first, tuple(frames), len(frames), None, None, rule, ())
    if len(frames) == 1:
        return Series(first, tuple(frames), 1, None, None, "a single image", ())
    note = f"{first.label}: the images tell no position; they are in the order of their numbers."
    spacing = first.thickness if len(files) == 1 else None
    return Series(
        first, tuple(frames), 1, spacing, None, "the order of the images' numbers is depth", (note,)
    )


def _by_place(first: DicomFile, frames: list[Frame]) -> Series:
    normal = normal_of(frames[0].orientation or ())
    places = [
        (sum(p * n for p, n in zip(f.position or (), normal, strict=True)), f) for f in frames
    ]
    places.sort(
        key=lambda item: (item[0], item[1].order, item[1].number, natural_key(item[1].name))
    )
    levels: list[list[tuple[float, Frame]]] = []
    for distance, frame in places:
        if levels and distance - levels[-1][0][0] <= _SAME_PLACE:
            levels[-1].append((distance, frame))
        else:
            levels.append([(distance, frame)])
    steps = len(levels[0])
    if any(len(level) != steps for level in levels):
        raise AmbiguousFormat(
            f"{first.label}: some slices have {min(map(len, levels))} images, others "
            f"{max(map(len, levels))}, so they form no series of volumes.",
            remedy="Upload each acquisition as a dataset of its own.",
        )
    ordered = [sorted((f for _, f in level), key=_in_time) for level in levels]
    distances = [level[0][0] for level in levels]
    spacing, notes = _even(distances, first.label)
    rule = "slices by position along the normal of the image plane"
    if steps > 1:
        rule += "; images at one place are timesteps, by time and number"
    return Series(
        first=first,
        frames=tuple(ordered[z][t] for t in range(steps) for z in range(len(ordered))),
        timesteps=steps,
        spacing=spacing,
        origin=distances[0],
        rule=rule,
        notes=notes,
    )


def _in_time(frame: Frame) -> tuple[object, ...]:
    return frame.order, frame.number, natural_key(frame.name)


def _even(distances: list[float], label: str) -> tuple[float | None, tuple[str, ...]]:
    steps = [b - a for a, b in itertools.pairwise(distances)]
    if not steps:
        return None, ()
    usual = statistics.median(steps)
    if all(abs(step - usual) <= _UNEVEN * usual for step in steps):
        return usual, ()
    gaps = [i for i, step in enumerate(steps) if step > _GAP * usual]
    notes = [
        f"{label}: the slices are not evenly placed ({min(steps):.4g} to {max(steps):.4g} mm)."
    ]
    if gaps:
        where = ", ".join(str(i + 1) for i in gaps[:6])
        notes.append(f"{label}: slices are missing behind number {where}; the gap was closed up.")
    return None, tuple(notes)


def renamed(series: Sequence[Series]) -> list[Series]:
    """The same with labels that tell them apart."""
    seen: dict[str, int] = {}
    result = []
    for one in series:
        label = one.first.label
        seen[label] = seen.get(label, 0) + 1
        if seen[label] > 1:
            label = f"{label} {seen[label]}"
        result.append(replace(one, first=replace(one.first, label=label)))
    return result
