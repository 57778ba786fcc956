"""What an axis means, by the name that its file gives it: the one list of words for all formats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum


class Meaning(Enum):
    """What runs along an axis."""

    X = "x"
    Y = "y"
    Z = "z"
    TIME = "time"
    CHANNEL = "channel"
    """Positions that are unlike things: channels, bands, members of an ensemble."""
    SPECTRAL = "spectral"
    """Positions that are one quantity in steps, but neither space nor time: wavelength, angle."""
    COLOUR = "colour"
    UNKNOWN = "unknown"


_WORDS: dict[Meaning, str] = {
    Meaning.X: "x xspace lon longitude long easting column columns col cols",
    Meaning.Y: "y yspace lat latitude northing row rows",
    Meaning.Z: "z zspace lev level depth altitude height plev slice slices plane planes",
    Meaning.TIME: "t time times timepoint timepoints timestep timesteps datetime date",
    Meaning.CHANNEL: "c ch channel channels member members ensemble realization realisation",
    Meaning.SPECTRAL: "wavelength wavelengths lambda energy energies ev kev wavenumber wavenumbers"
    " frequency frequencies spectral spectrum lifetime tau delay angle angles theta phi omega"
    " rotation rotation_angle tilt polarization polarisation phase mz microtime",
    Meaning.COLOUR: "rgb rgba color colour colors colours samples component components",
}
_BY_WORD = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}
_END = re.compile(r"[\s_-]*(axis|dim|index|\(.*\)|\[.*\])$")


@dataclass(frozen=True, slots=True)
class NamedAxis:
    """One axis of a stored array, as far as its file tells.

    Attributes
    ----------
    has_values : bool
        Whether the file has coordinates for its positions.
    """

    name: str
    length: int
    meaning: Meaning = Meaning.UNKNOWN
    has_values: bool = False


def meaning_of(name: str) -> Meaning:
    """What an axis of that name means; `Meaning.UNKNOWN` where the name says nothing."""
    plain = _END.sub("", name.strip().casefold())
    return _BY_WORD.get(plain.replace(" ", "_"), Meaning.UNKNOWN)


def consistent(axes: Sequence[NamedAxis]) -> list[NamedAxis]:
    """The axes, where ``c`` alone means channel only beside the other letters of that custom."""
    is_custom = {a.name.casefold() for a in axes} <= set("tczyxs")
    return [
        replace(a, meaning=Meaning.UNKNOWN) if a.name.casefold() == "c" and not is_custom else a
        for a in axes
    ]
