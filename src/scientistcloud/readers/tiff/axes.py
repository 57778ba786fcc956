"""Which axis of a TIFF is depth, time or channel: pure rules.

tifffile names the axes of a series of pages: Z depth, T time, C channel, S sample, I pages in the
order of the file, Q unknown, and further letters for what some instruments vary (angle, phase,
position, wavelength). The rules:

1. Z is depth, T is time, C are fields.
2. Pages of no said meaning (I, then Q; the last such axis first) are depth if there is no Z, else
   time if there is no T, else fields.
3. All other axes are fields.

The parameter ``axes`` renames them: one letter for each axis longer than 1 that is not Y, X or S.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scientistcloud.errors import InvalidOptions, UnsupportedLayout
from scientistcloud.readers.base import Choice

_UNSAID = "IQ"
_NAMES = {
    "C": "channel", "A": "angle", "E": "wavelength", "P": "phase", "H": "lifetime", "J": "column",
    "K": "row", "R": "position", "V": "event", "L": "exposure", "M": "mosaic", "I": "page",
    "Q": "other",
}  # fmt: skip
_MAX_FIELDS = 4096


@dataclass(frozen=True)
class PlaneGrid:
    """Where each plane of a series belongs.

    Attributes
    ----------
    planes : ndarray
        Integers of shape (fields, timesteps, depth): which plane, counted in the order of the file.
    labels : tuple of str
        One for each field; a single empty one where there is nothing to tell apart.
    """

    planes: NDArray[np.intp]
    labels: tuple[str, ...] = ("",)
    choices: tuple[Choice, ...] = field(default_factory=tuple)


def arrange_planes(
    axes: str,
    shape: Sequence[int],
    *,
    renamed: object = None,
    channels: Sequence[str] = (),
) -> PlaneGrid:
    """Tell depth, time and fields among the plane axes (all but Y, X and S) of a series.

    Parameters
    ----------
    axes, shape : str, sequence of int
        The plane axes, slowest first; those of length 1 are dropped.
    renamed : object
        The parameter ``axes``.
    channels : sequence of str
        Names for the C axis, if known.

    Raises
    ------
    InvalidOptions
        `renamed` does not fit.
    """
    kept = [(a, n) for a, n in zip(axes, shape, strict=True) if n != 1]
    letters, lengths = "".join(a for a, _ in kept), [n for _, n in kept]
    given = letters
    if renamed is not None:
        letters = _rename(letters, renamed)
    roles = _roles(letters)
    numbers: NDArray[np.intp] = np.arange(math.prod(lengths), dtype=np.intp).reshape(lengths)
    order = [i for role in "ftz" for i, r in enumerate(roles) if r == role]
    counts = [math.prod(lengths[i] for i, r in enumerate(roles) if r == role) for role in "ftz"]
    if counts[0] > _MAX_FIELDS:
        raise UnsupportedLayout(
            f"Its axes {given} would make {counts[0]} fields.",
            remedy="Say with the parameter 'axes' which of them is depth (Z) or time (T).",
        )
    planes = numbers.transpose(order).reshape(counts)
    labels = _labels(letters, lengths, roles, channels)
    return PlaneGrid(planes, labels, _choices(given, letters, roles, renamed))


def _rename(letters: str, renamed: object) -> str:
    if not isinstance(renamed, str) or not renamed.isascii() or not renamed.isalpha():
        raise InvalidOptions(f"The parameter axes={renamed!r} is no word of letters.")
    text = renamed.upper()
    # What a user copies from elsewhere usually ends with the axes within a page.
    for tail in ("YXS", "SYX", "YX"):
        if len(text) == len(letters) + len(tail) and text.endswith(tail):
            text = text.removesuffix(tail)
    if len(text) != len(letters) or set(text) & set("XYS"):
        raise InvalidOptions(
            f"The parameter axes={renamed!r} must have {len(letters)} letters, one for each of the "
            f"axes {letters or '(none)'}: Z for depth, T for time, C for fields."
        )
    return text


def _roles(letters: str) -> list[str]:
    roles = [{"Z": "z", "T": "t"}.get(letter, "") for letter in letters]
    free = [r for r in "zt" if r not in roles]
    for unsaid in _UNSAID:
        for i in reversed(range(len(letters))):
            if letters[i] == unsaid and free:
                roles[i] = free.pop(0)
    return [role or "f" for role in roles]


def _labels(
    letters: str, lengths: Sequence[int], roles: Sequence[str], channels: Sequence[str]
) -> tuple[str, ...]:
    parts: list[list[str]] = []
    for letter, length, role in zip(letters, lengths, roles, strict=True):
        if role != "f":
            continue
        if letter == "C" and len(set(channels)) == length and all(channels):
            parts.append(list(channels))
        else:
            parts.append([f"{_NAMES.get(letter, letter.lower())} {i}" for i in range(length)])
    if not parts:
        return ("",)
    return tuple(" ".join(combination) for combination in itertools.product(*parts))


def _choices(given: str, letters: str, roles: Sequence[str], renamed: Any) -> tuple[Choice, ...]:
    if not given:
        return ()
    words = {"z": "depth", "t": "time", "f": "fields"}
    said = ", ".join(f"{g} is {words[r]}" for g, r in zip(given, roles, strict=True))
    if renamed is not None:
        return (Choice("axes", letters, f"as the parameter says: {said}"),)
    rule = f"the file names its axes {given}: {said}"
    if set(given) & set(_UNSAID):
        rule += "; pages of no said meaning are depth first, then time, then fields"
    alternatives = tuple(
        "".join(p)
        for p in itertools.islice(itertools.permutations("ZTC", min(len(given), 3)), 6)
        if len(p) == len(given) and "".join(p) != letters
    )
    return (Choice("axes", letters, rule, alternatives),)
