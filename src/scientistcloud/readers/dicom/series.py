"""From frames to volumes: by their place in space, never by the names of files. Pure decisions.

1. Frames of one series (SeriesInstanceUID), one size, type and orientation belong together;
   localizers, which lie across, become a dataset of their own, and so does each segment.
2. Slices are sorted by their position along the normal of the image plane, ascending; `stack` tells
   how they stand to each other.
3. Several frames at each place are timesteps, in the order of temporal position, trigger time,
   acquisition, echo, b-value, acquisition time, instance number.
4. Without positions, the frames of a file with a frame time are timesteps; all others are slices,
   in the order of instance number, then of natural names.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scientistcloud.errors import AmbiguousFormat
from scientistcloud.readers.dicom.file import DicomFile, Frame
from scientistcloud.readers.dicom.placement import Vector, normal_of
from scientistcloud.readers.dicom.stack import stack_of
from scientistcloud.readers.files.listing import natural_key

_SAME_PLACE = 1e-3
_SAME_TURN = 1e-3


@dataclass(frozen=True)
class Series:
    """Frames that make one volume.

    Attributes
    ----------
    frames : tuple of Frame or None
        Timestep by timestep, each from the first slice to the last; None for a missing slice.
    spacing, origin : float or None
        Along the normal, in mm; None where there is one slice, or slices tell no position.
    step : Vector or None
        From one slice to the next, in mm.
    """

    first: DicomFile
    frames: tuple[Frame | None, ...]
    timesteps: int
    spacing: float | None
    origin: float | None
    rule: str
    notes: tuple[str, ...]
    step: Vector | None = None
    times: tuple[float, ...] = ()

    @property
    def depth(self) -> int:
        return len(self.frames) // self.timesteps

    @property
    def images(self) -> tuple[Frame, ...]:
        """The frames that are there."""
        return tuple(frame for frame in self.frames if frame is not None)


def group_series(files: Sequence[DicomFile], *, may_fill: bool = True) -> list[Series]:
    """The volumes that `files` hold, the largest first.

    Parameters
    ----------
    may_fill : bool
        Whether missing slices may stay empty; else gaps are closed up.

    Raises
    ------
    AmbiguousFormat
        Places in a series have unlike numbers of frames.
    """
    groups: dict[tuple[object, ...], list[DicomFile]] = {}
    turns: dict[tuple[object, ...], list[tuple[float, ...] | None]] = {}
    for file in files:
        key = (file.series, file.pixels, id(file) if len(file.frames) > 1 else None)
        if file.pixels.height != file.pixels.rows:
            key = (file.series, file.pixels, None)  # mosaics, a timestep each
        known = turns.setdefault(key, [])
        parts: dict[tuple[object, ...], list[Frame]] = {}
        for frame in file.frames:
            parts.setdefault((_turn(frame, known), frame.segment), []).append(frame)
        for (turn, segment), frames in parts.items():
            label = f"{file.label} {segment}".strip() if segment else file.label
            part = replace(file, frames=tuple(frames), label=label)
            groups.setdefault((*key, turn, segment), []).append(part)
    series = [_series(group, may_fill) for group in groups.values()]
    return sorted(series, key=lambda s: -len(s.frames) * s.first.pixels.frame_bytes)


def _turn(frame: Frame, known: list[tuple[float, ...] | None]) -> int:
    """Which of the orientations in `known` a frame has; a new one is added."""
    turn = frame.orientation
    for i, other in enumerate(known):
        if turn == other or (
            turn is not None
            and other is not None
            and all(abs(a - b) <= _SAME_TURN for a, b in zip(turn, other, strict=True))
        ):
            return i
    known.append(turn)
    return len(known) - 1


def _series(files: list[DicomFile], may_fill: bool) -> Series:
    first = files[0]
    frames = [frame for file in files for frame in file.frames]
    notes = tuple(dict.fromkeys(note for file in files for note in file.notes))
    placed = all(f.position is not None and f.orientation is not None for f in frames)
    if placed and len(frames) > 1:
        found = _by_place(first, frames, may_fill)
        return replace(found, notes=notes + found.notes)
    if not placed:
        frames.sort(key=lambda f: (f.number, natural_key(f.name)))
    images = tuple(frames)
    if first.is_cine and len(files) == 1:
        rule = "frames with a frame time are timesteps"
        times = first.frame_times
        return Series(first, images, len(frames), None, None, rule, notes, times=times)
    if len(frames) == 1:
        return Series(first, images, 1, None, None, "a single image", notes)
    notes += (
        f"{first.label}: the images tell no position; they are in the order of their numbers.",
    )
    spacing = first.thickness if len(files) == 1 else None
    rule = "the order of the images' numbers is depth"
    return Series(first, images, 1, spacing, None, rule, notes)


def _by_place(first: DicomFile, frames: list[Frame], may_fill: bool) -> Series:
    turn = frames[0].orientation or ()
    levels = _levels(frames, normal_of(turn))
    steps = len(levels[0])
    if any(len(level) != steps for level in levels):
        raise AmbiguousFormat(
            f"{first.label}: some slices have {min(map(len, levels))} images, others "
            f"{max(map(len, levels))}, so they form no series of volumes.",
            remedy="Upload each acquisition as a dataset of its own.",
        )
    ordered = [sorted((f for _, f in level), key=_in_time) for level in levels]
    places = [level[0][1].position or (0.0, 0.0, 0.0) for level in levels]
    pixel = min(first.spacing) if first.spacing else 1.0
    stack = stack_of(places, turn, pixel, first.label, may_fill=may_fill)
    rule = "slices by position along the normal of the image plane"
    if steps > 1:
        rule += "; images at one place are timesteps, by time and number"
    return Series(
        first=first,
        frames=tuple(ordered[z][t] if z >= 0 else None for t in range(steps) for z in stack.filled),
        timesteps=steps,
        spacing=stack.spacing,
        origin=levels[0][0][0],
        rule=rule,
        notes=stack.notes,
        step=stack.step,
        times=_times([ordered[0][t] for t in range(steps)]),
    )


def _levels(frames: list[Frame], normal: Vector) -> list[list[tuple[float, Frame]]]:
    """Frames and their distances along the normal; those of one place together, ascending."""
    places = [
        (math.fsum(p * n for p, n in zip(f.position or (), normal, strict=True)), f) for f in frames
    ]
    places.sort(key=lambda item: (item[0], *_in_time(item[1])))
    levels: list[list[tuple[float, Frame]]] = []
    for distance, frame in places:
        if levels and distance - levels[-1][0][0] <= _SAME_PLACE:
            levels[-1].append((distance, frame))
        else:
            levels.append([(distance, frame)])
    return levels


def _in_time(frame: Frame) -> tuple[object, ...]:
    return frame.order, frame.number, natural_key(frame.name)


def _times(frames: list[Frame]) -> tuple[float, ...]:
    """Seconds of timesteps, from their first slices: since the trigger, else since the first."""
    if len(frames) < 2:
        return ()
    triggered = [f.since_trigger for f in frames if f.since_trigger is not None]
    if _ascend(triggered, len(frames)):
        return tuple(triggered)
    acquired = [f.acquired for f in frames if f.acquired is not None]
    if _ascend(acquired, len(frames)):
        return tuple(round(t - acquired[0], 6) for t in acquired)
    return ()


def _ascend(times: list[float], count: int) -> bool:
    return len(times) == count and all(a < b for a, b in itertools.pairwise(times))


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
